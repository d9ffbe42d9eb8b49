"""Handlers without Python, and a job that waits for them.

    trioq serve examples/pipeline.toml &
    python examples/command_pipeline.py examples/pipeline.toml FILE…

`sort` and `compress` are commands of the configuration; `sort_and_compress` is a handler that
runs one after the other for many files. Whoever enqueued it waits for what it returns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

import trioq

app = trioq.App()


@app.job(result="1h")
async def sort_and_compress(config: str, paths: list[str]) -> list[str]:
    """Sort all files, and compress each as soon as it is sorted.

    If its engine dies it runs again: the ids find the jobs that it made before, done or not.
    While it waits it holds one worker, and the commands run on the others.
    """
    made: list[str] = []
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:

        async def one(path: str) -> None:
            await ended(client, "sort", path)
            await ended(client, "compress", f"{path}.sorted")
            made.append(f"{path}.sorted.gz")

        for path in paths:
            nursery.start_soon(one, path)
    return sorted(made)


async def ended(client: trioq.Client, command: str, path: str) -> None:
    """Run a command for a file, unless that has been done, and wait for its end."""
    handle = await client.enqueue(command, {"path": path}, id=f"{command}:{path}")
    end = await handle.wait()
    if end.state != "done":
        raise trioq.GiveUp(f"{command} {path}: {end.state} {end.reason}")


def main(config: str, paths: list[str]) -> None:
    absolute = [str(Path(path).resolve()) for path in paths]
    with trioq.connect_sync(config) as client:
        call = sort_and_compress.call(str(Path(config).resolve()), absolute)
        print(*client.call(call, timeout=60), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
