"""Handlers without Python, and one job that makes the next.

    trioq serve examples/pipeline.toml &
    python examples/command_pipeline.py examples/pipeline.toml FILE…

`sort` and `compress` are commands of the configuration; `pipeline` is a handler that runs
when a file has been sorted and queues its compression.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

import trioq

app = trioq.App()


@app.job("compress_when_sorted")
async def compress_when_sorted(job: trioq.Job, config: str, path: str) -> None:
    """Queue the second step once the first has left its file; ask again in a moment if not."""
    if not await trio.Path(f"{path}.sorted").exists():
        raise trioq.Snooze(0.2)
    async with trioq.connect(config) as client:
        await client.enqueue("compress", {"path": f"{path}.sorted"}, id=f"compress:{path}")


def enqueue(config: str, paths: list[str]) -> None:
    with trioq.connect_sync(config) as client:
        for path in paths:
            absolute = str(Path(path).resolve())
            client.enqueue("sort", {"path": absolute}, id=f"sort:{absolute}")
            client.enqueue(compress_when_sorted.call(str(Path(config).resolve()), absolute))


if __name__ == "__main__":
    enqueue(sys.argv[1], sys.argv[2:])
