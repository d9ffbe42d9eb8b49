"""Configurations with limits, for engines as users make them."""

from __future__ import annotations

from pathlib import Path

from tests.support import Server

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
