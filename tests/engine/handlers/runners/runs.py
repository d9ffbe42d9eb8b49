"""Runs in runners without an engine around them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

import trioq
from tests.engine.handlers.programs import children
from trioq.core.config import Config
from trioq.core.config.sections import NamedBreakerConfig, WorkerConfig
from trioq.core.keep import Keep
from trioq.core.outcome import Failed, Outcome
from trioq.engine.handlers import Runners, Timebox, invoke
from trioq.engine.handlers.grace import NoPatience
from trioq.isolation import runners_of

THREADS = trio.CapacityLimiter(4)

_others = set[str]()
"""Children that other tests have left to this process, by their pids."""


@asynccontextmanager
async def runners(
    app: trioq.App, *, breakers: Sequence[NamedBreakerConfig] = (), **worker: Any
) -> AsyncIterator[Runners]:
    """Those of an app, as an engine has them."""
    config = Config(
        worker=WorkerConfig(**{"runners": 1, **worker}),
        breakers={breaker.name: breaker for breaker in breakers},
    )
    made = runners_of(app, config)
    assert made is not None
    _others.update(children())
    async with trio.open_nursery() as nursery:
        await nursery.start(made.run)
        try:
            yield made
        except BaseException:
            _kill_all()  # one that was forgotten would be waited for as long as it lives
            raise
        nursery.cancel_scope.cancel()


async def outcome_of(
    runners: Runners,
    name: str,
    payload: dict[str, Any] | None = None,
    *,
    timeout_s: float | None = 60,
    kill_after_s: float = 30,
    keep: Keep | None = None,
) -> Outcome:
    job = trioq.Job(uid="0" * 32, name=name, queue="low", payload=payload or {}, token="boot:1")
    with contextlib.closing(Timebox()) as timebox:
        async with runners.lent(lambda: timeout_s, keep) as lent:
            return await invoke(
                lent,
                job,
                timeout_s=timeout_s,
                timebox=timebox,
                threads=THREADS,
                grace=NoPatience(kill_after_s),
            )


async def failure_of(runners: Runners, name: str, *args: Any, **options: Any) -> Failed:
    outcome = await outcome_of(runners, name, *args, **options)
    assert isinstance(outcome, Failed), outcome
    return outcome


def processes() -> set[str]:
    """Runners of this process, and what of its children nobody has reaped but tests before."""
    return {pid for pid in {*children()} - _others if _command(pid) in ("", "trioq.runner")}


def _kill_all() -> None:
    for pid in processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _command(pid: str) -> str:
    """The module that a process runs; empty: it has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return words[words.index("-m") + 1] if "-m" in words else words[0]
