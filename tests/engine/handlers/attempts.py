"""One attempt of a handler without an engine, and handlers that raise what a test wants."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import trioq
from trioq.core.outcome import Failed, Outcome
from trioq.engine.handlers import Function, Timebox, invoke

THREADS = trio.CapacityLimiter(4)


def job_with(**payload: Any) -> trioq.Job:
    return trioq.Job(uid="0" * 32, name="it", queue="low", payload=payload, token="boot:1")


async def outcome_of(
    function: Callable[..., Any],
    job: trioq.Job | None = None,
    *,
    timeout_s: float | None = 60,
    threads: trio.CapacityLimiter = THREADS,
) -> Outcome:
    handler = Function("it", function)
    with contextlib.closing(Timebox()) as timebox:
        return await invoke(
            handler, job or job_with(), timeout_s=timeout_s, timebox=timebox, threads=threads
        )


async def failure_of(function: Callable[..., Any], **options: Any) -> Failed:
    outcome = await outcome_of(function, **options)
    assert isinstance(outcome, Failed), outcome
    return outcome


def as_async(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def handler() -> Any:
        return function()

    return handler


def as_sync(function: Callable[[], Any]) -> Callable[[], Any]:
    def handler() -> Any:
        return function()

    return handler


BOTH = pytest.mark.parametrize("kind", [as_async, as_sync])


def raising(error: BaseException) -> Callable[[], Any]:
    def function() -> Any:
        raise error

    return function


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread or a process does."""
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110  # nobody sets an event
            await trio.sleep(0.001)
