"""Functions as handlers: how a run ends, whatever they do."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections.abc import Callable
from typing import Any

import pytest
import trio

import trioq
from tests.engine.handlers.attempts import (
    BOTH,
    as_async,
    failure_of,
    job_with,
    outcome_of,
    raising,
)
from trioq.core.outcome import Snoozed, Succeeded

# -- how a run ends ----------------------------------------------------------------------------


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@BOTH
@pytest.mark.trio
async def test_what_a_handler_returns_is_its_result(kind: Any) -> None:
    assert await outcome_of(kind(lambda: {"n": 1})) == Succeeded({"n": 1})


@BOTH
@pytest.mark.parametrize(
    ("error", "type_", "message"),
    [
        (ValueError("boo"), "ValueError", "boo"),
        (trioq.StoreError("x"), "trioq.errors.StoreError", "x"),
        (ExceptionGroup("g", [KeyError("k")]), "KeyError", "'k'"),
        (
            ExceptionGroup("g", [ValueError("a"), ExceptionGroup("h", [OSError("b")])]),
            "ExceptionGroup",
            "2 errors: ValueError: a; OSError: b",
        ),
        (BaseExceptionGroup("g", [SystemExit(3)]), "SystemExit", "3"),
        (SystemExit(1), "SystemExit", "1"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError", ""),
        (MemoryError(), "MemoryError", ""),
        (RecursionError("deep"), "RecursionError", "deep"),
        (Unspeakable(), "tests.engine.handlers.test_invoke.Unspeakable", "<its text can't be made"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
@pytest.mark.trio
async def test_whatever_is_raised_is_a_failure_of_the_job(
    kind: Any, error: BaseException, type_: str, message: str
) -> None:
    failed = await failure_of(kind(raising(error)))

    assert failed.error.type == type_
    assert failed.error.message.startswith(message)
    assert failed.permanent is None
    assert failed.delay_s is None


@BOTH
@pytest.mark.trio
async def test_wishes_are_granted_also_out_of_a_group(kind: Any) -> None:
    for wrap in (lambda e: e, lambda e: ExceptionGroup("g", [ExceptionGroup("h", [e])])):
        later = await failure_of(kind(raising(wrap(trioq.RetryLater(60, "busy")))))
        assert (later.delay_s, later.permanent, later.error.message) == (60, None, "busy")

        given_up = await failure_of(kind(raising(wrap(trioq.GiveUp("no such file")))))
        assert (given_up.permanent, given_up.error.message) == ("gave_up", "no such file")

        assert await outcome_of(kind(raising(wrap(trioq.Snooze(5))))) == Snoozed(5)


@pytest.mark.trio
async def test_a_wish_among_errors_is_an_error() -> None:
    group = ExceptionGroup("g", [trioq.GiveUp("done"), ValueError("boo")])

    failed = await failure_of(as_async(raising(group)))

    assert failed.permanent is None
    assert "ValueError: boo" in failed.error.message


@pytest.mark.parametrize("delay", [math.nan, math.inf, -1, 10**12, "soon"])
@pytest.mark.trio
async def test_a_delay_that_cannot_be_is_a_failure_with_the_usual_backoff(delay: Any) -> None:
    for wish in (trioq.RetryLater(delay), trioq.Snooze(delay)):
        failed = await failure_of(as_async(raising(wish)))
        assert failed.delay_s is None
        assert "expected a time in seconds" in failed.error.message


@pytest.mark.trio
async def test_a_payload_that_does_not_fit_is_permanent_and_runs_nothing() -> None:
    ran = []

    async def handler(width: int) -> None:
        ran.append(width)

    failed = await failure_of(handler, job=job_with(colour=1))

    assert failed.permanent == "bad_payload"
    assert failed.error.message == "unexpected: colour; missing: width"
    assert failed.error.traceback == ""
    assert ran == []


def test_a_real_ctrl_c_is_not_the_handlers() -> None:
    outcomes = []

    async def handler() -> str:
        signal.raise_signal(signal.SIGINT)
        return "done"

    async def main() -> None:
        outcomes.append(await outcome_of(handler))

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert outcomes == [Succeeded("done")]


# -- time --------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_a_handler_that_takes_too_long_is_cancelled(autojump_clock: object) -> None:
    ended = []

    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    started = trio.current_time()
    failed = await failure_of(handler, timeout_s=30)

    assert (failed.error.type, failed.error.message) == ("timeout", "took longer than 30 s")
    assert ended == [started + 30]


@pytest.mark.trio
async def test_without_a_timeout_a_handler_may_take_a_year(autojump_clock: object) -> None:
    async def handler() -> None:
        await trio.sleep(365 * 86400)

    assert await outcome_of(handler, timeout_s=None) == Succeeded()


@pytest.mark.trio
async def test_a_handler_that_swallows_its_cancellation_has_failed(autojump_clock: object) -> None:
    async def handler() -> str:
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep_forever()
        return "done"

    failed = await failure_of(handler, timeout_s=30)

    assert failed.error.message == "took longer than 30 s and swallowed its cancellation"


@pytest.mark.trio
async def test_an_error_while_being_cancelled_is_told_with_the_timeout(
    autojump_clock: object,
) -> None:
    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("boo")

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)

    failed = await failure_of(handler, timeout_s=30)

    assert failed.error.type == "timeout"
    assert failed.error.message.endswith("while it was cancelled, ValueError: boo")
    assert "in child\n" in failed.error.traceback


@pytest.mark.trio
async def test_a_cancelled_handler_may_still_say_how_its_job_goes_on(
    autojump_clock: object,
) -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise trioq.RetryLater(7)

    assert (await failure_of(handler, timeout_s=30)).delay_s == 7


@pytest.mark.trio
async def test_timeouts_of_its_own_are_the_handlers_business(autojump_clock: object) -> None:
    async def handler() -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    failed = await failure_of(handler, timeout_s=30)

    assert failed.error.type == "trio.TooSlowError"


# -- cancellation from outside -----------------------------------------------------------------


async def raise_on_the_way_out() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("boo")


async def raise_in_a_child() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(raise_on_the_way_out)
        nursery.start_soon(trio.sleep_forever)


async def retry_on_the_way_out() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise trioq.RetryLater(5)


@pytest.mark.parametrize(
    "handler",
    [trio.sleep_forever, raise_on_the_way_out, raise_in_a_child, retry_on_the_way_out],
    ids=lambda handler: handler.__name__,
)
@pytest.mark.parametrize("timeout_s", [30, None])
@pytest.mark.trio
async def test_the_engines_cancellation_wins_over_what_the_handler_makes_of_it(
    autojump_clock: object, handler: Callable[[], Any], timeout_s: float | None
) -> None:
    outcome = None
    with trio.move_on_after(10) as scope:
        outcome = await outcome_of(handler, timeout_s=timeout_s)

    assert scope.cancelled_caught
    assert outcome is None


@pytest.mark.trio
async def test_a_result_in_spite_of_cancellation_counts(autojump_clock: object) -> None:
    async def handler() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(11)
        return "done"

    with trio.move_on_after(10):
        outcome = await outcome_of(handler)

    assert outcome == Succeeded("done")


@BOTH
@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: BaseExceptionGroup("g", [e, OSError()])])
@pytest.mark.trio
async def test_a_cancellation_that_nobody_asked_for_is_a_failure(kind: Any, wrap: Any) -> None:
    kept = None
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            kept = cancelled
            raise
    assert kept is not None

    failed = await failure_of(kind(raising(wrap(kept))))

    assert "Cancelled" in failed.error.type + failed.error.message
