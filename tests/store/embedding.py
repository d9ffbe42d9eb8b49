"""What tests of the embedded server share: its users in processes of their own, and a look."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from redis.connection import UnixDomainSocketConnection

from tests.support import PATIENCE_S, wait_until
from trioq.store.embedded import Embedded, EmbeddedError, start
from trioq.store.lane import Lane, no_retries


def ask(socket_path: str, *command: Any) -> Any:
    """One command on a connection of its own."""

    def dial(name: str) -> UnixDomainSocketConnection:
        return UnixDomainSocketConnection(  # type: ignore[abstract]
            path=socket_path, protocol=2, retry=no_retries(), socket_timeout=5.0, driver_info=None
        )

    lane = Lane(dial, "ask")
    try:
        return lane.call(*command)
    finally:
        lane.close()


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock."""
    if not path.exists():
        return False
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def is_at_rest(directory: Path) -> bool:
    """Whether neither a server nor a keeper is there any more."""
    return not is_locked(directory / "server.lock") and not is_locked(directory / "keeper.lock")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids_with_open(path: Path) -> list[int]:
    """The processes, besides this one, that have the file open."""
    found = subprocess.run(
        ["find", "/proc", "-maxdepth", "3", "-path", "/proc/[0-9]*/fd/*", "-lname", str(path)],
        check=False, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return sorted({int(line.split("/")[2]) for line in found.split()} - {os.getpid()})


@attrs.define
class User:
    """A process that uses the server of a directory."""

    directory: Path
    what: str = "use"
    process: subprocess.Popen[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.embedded_user", self.directory, self.what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            process_group=0,  # as a shell does with the jobs of a terminal
        )  # fmt: skip

    def told(self) -> dict[str, Any]:
        """What it says once it is there."""
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def close(self) -> None:
        """Let it end by itself."""
        self.process.communicate(timeout=PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()


def wait_at_rest(directory: Path) -> None:
    wait_until(lambda: is_at_rest(directory))


def pid_of(use: Embedded) -> int:
    info: bytes = ask(use.socket_path, "INFO", "server")
    return int(info.split(b"process_id:")[1].split()[0])


def aof(directory: Path, kind: str = "incr") -> Path:
    (piece,) = (directory / "appendonlydir").glob(f"*.{kind}.*")
    return piece


def with_data(directory: Path, keys: int = 50) -> None:
    """Make a directory with so many keys, and leave it."""
    with start(directory) as use:
        for n in range(keys):
            ask(use.socket_path, "SET", f"key-{n}", "x" * 50)
    wait_at_rest(directory)


def but_loading(told: list[str]) -> list[str]:
    """The lines that aren't of a server that took a moment to load."""
    return [line for line in told if not line.endswith("is loading its data")]


def refusal(directory: Path, **options: object) -> str:
    with pytest.raises(EmbeddedError) as caught:
        start(directory, **options)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    return line
