"""Handlers that compute: each run in a process, which is killed if it takes too long.

python examples/compute.py examples/compute.toml 5 12 13      enqueue
trioq serve --drain examples/compute.toml                     run them
"""

from __future__ import annotations

import os
import sys

import trioq

app = trioq.App()


@app.job(isolation="process", timeout=10)
def queens(size: int) -> None:
    """In how many ways so many queens fit on a board of this size."""
    print(f"{size} queens: {count(size)} ways, counted by {os.getpid()}")


def count(size: int, row: int = 0, columns: int = 0, left: int = 0, right: int = 0) -> int:
    if row == size:
        return 1
    free = ~(columns | left | right) & ((1 << size) - 1)
    found = 0
    while free:
        here = free & -free
        free -= here
        found += count(size, row + 1, columns | here, (left | here) << 1, (right | here) >> 1)
    return found


if __name__ == "__main__":
    config, *sizes = sys.argv[1:]
    with trioq.connect_sync(config) as client:
        for size in sizes:
            client.enqueue("queens", {"size": int(size)}, id=f"queens:{size}")
