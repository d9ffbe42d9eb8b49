"""Configurations with limits, and engines as users make them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

import trioq
from tests.support import PATIENCE_S, Server

CONFIG = """
namespace = "t"
queues = [{{ name = "low" }}]
redis.url = "{url}"
observability.bind = ""
"""


def limited(server: Server, directory: Path, limits: str) -> Path:
    """The file of one with these sections."""
    path = directory / "q.toml"
    path.write_text(CONFIG.format(url=server.url) + limits)
    return path


async def run_until(
    done: Callable[[], Awaitable[None]], *engines: trioq.Engine, times: int = 1
) -> None:
    """Run these engines until that was waited for, so many times; then drain them."""
    async with trio.open_nursery() as nursery:
        for engine in engines:
            await nursery.start(engine.run)
        with trio.fail_after(PATIENCE_S):
            for _ in range(times):
                await done()
        for engine in engines:
            engine.drain()
