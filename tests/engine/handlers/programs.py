"""Commands as handlers: run without an engine, and what processes there are."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

import trioq
from trioq.core.outcome import Failed, Outcome
from trioq.engine.handlers import Command, Timebox, invoke
from trioq.engine.handlers.grace import NoPatience

THREADS = trio.CapacityLimiter(1)


def python(code: str, *argv: str, **options: Any) -> Command:
    """A command that runs a Python program. Its braces are escaped, those of ``argv`` aren't."""
    escaped = code.replace("{", "{{").replace("}", "}}")
    return Command("it", (sys.executable, "-c", escaped, *argv), **options)


def shell(script: str, *argv: str, **options: Any) -> Command:
    return Command("it", ("/bin/sh", "-c", script, "sh", *argv), **options)


def job_with(**payload: Any) -> trioq.Job:
    return trioq.Job(
        uid="a" * 32, name="it", queue="low", payload=payload, attempt=2, token="boot:7"
    )


async def outcome_of(
    command: Command,
    job: trioq.Job | None = None,
    *,
    timeout_s: float | None = 60,
    kill_after_s: float = 30,
) -> Outcome:
    with contextlib.closing(Timebox()) as timebox:
        return await invoke(
            command,
            job or job_with(),
            timeout_s=timeout_s,
            timebox=timebox,
            threads=THREADS,
            grace=NoPatience(kill_after_s),
        )


async def failure_of(command: Command, **options: Any) -> Failed:
    outcome = await outcome_of(command, **options)
    assert isinstance(outcome, Failed), outcome
    return outcome


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def is_reaped(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def names_in(directory: Path) -> list[str]:
    return os.listdir(directory)


def children() -> set[str]:
    """Our children, reaped ones excepted."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}


def running(argument: str) -> list[Path]:
    """The processes that have this among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if argument.encode() in path.read_bytes().split(b"\0"):
                found.append(path)
    return found


def pid_of(path: Path) -> int | None:
    """What a program wrote about itself; None before it has."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else None


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110  # it is a process that we wait for
            await trio.sleep(0.002)


async def pid_in(path: Path) -> int:
    await until(lambda: pid_of(path) is not None)
    pid = pid_of(path)
    assert pid is not None
    return pid
