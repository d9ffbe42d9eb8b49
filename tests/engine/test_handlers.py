"""Functions as handlers: how a run ends, whatever they do, and where it happens."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import trioq
from trioq.core.outcome import Failed, Outcome, Snoozed, Succeeded
from trioq.engine.handlers import (
    Function,
    Timebox,
    abandoned_threads,
    current_job,
    invoke,
)
from trioq.engine.handlers.describe import MESSAGE_BYTES, TRACEBACK_BYTES, clip, clip_front
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.threads import _Call

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


# --- how a run ends -----------------------------------------------------------------------


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
        (Unspeakable(), "tests.engine.test_handlers.Unspeakable", "<its text can't be made"),
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


@pytest.mark.trio
async def test_an_error_tells_the_frames_of_the_handler_and_not_ours() -> None:
    def deep() -> None:
        raise ValueError("boo")

    async def handler() -> None:
        deep()

    for function in (handler, deep):
        traceback = (await failure_of(function)).error.traceback
        assert "in deep\n" in traceback
        assert "trioq/engine" not in traceback
        assert "site-packages" not in traceback


@pytest.mark.trio
async def test_an_error_tells_what_caused_it() -> None:
    async def handler() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    traceback = (await failure_of(handler)).error.traceback

    assert traceback.index("KeyError: 'first'") < traceback.index("ValueError: second")


@pytest.mark.parametrize("character", ["x", "é", "\udc80", "\U0001f600"])
@pytest.mark.trio
async def test_errors_are_bounded_and_valid_utf8(character: str) -> None:
    def recurse(n: int) -> None:
        if n:
            recurse(n - 1)
        raise ValueError(character * 10_000_000)

    error = (await failure_of(lambda: recurse(500))).error

    assert len(error.message.encode()) <= MESSAGE_BYTES
    assert len(error.traceback.encode()) <= TRACEBACK_BYTES
    assert "in recurse\n" in error.traceback


@pytest.mark.trio
async def test_half_a_surrogate_pair_is_escaped() -> None:
    failed = await failure_of(as_async(raising(ValueError("a\udc80b"))))

    assert failed.error.message == r"a\udc80b"


@pytest.mark.trio
async def test_of_a_long_traceback_the_end_is_kept_in_whole_lines() -> None:
    def even(n: int) -> None:
        if n == 0:
            raise ValueError("boo")
        odd(n - 1)

    def odd(n: int) -> None:
        even(n - 1)

    def again_and_again(times: int) -> None:
        try:
            even(100)
        except ValueError:
            if times:
                again_and_again(times - 1)
            raise

    traceback = (await failure_of(lambda: again_and_again(10))).error.traceback

    assert len(traceback.encode()) <= TRACEBACK_BYTES
    assert traceback.startswith("…\n  ")
    assert traceback.endswith("\nValueError: boo")


@pytest.mark.parametrize("limit", range(10, 30))
def test_clipped_texts_are_as_long_as_they_may_be(limit: int) -> None:
    for text in ("a" * 20, "é" * 10, "\U0001f600" * 5, "a\ud800" * 3, "", "ab\ncd" * 5):
        whole = text.encode("utf-8", "backslashreplace").decode()
        for clipped, part in ((clip(text, limit), 0), (clip_front(text, limit), -1)):
            assert len(clipped.encode()) <= limit
            if len(whole.encode()) <= limit:
                assert clipped == whole
            else:
                assert clipped[-1 - part] == "…"
                kept = clipped.strip("…\n")
                assert kept
                assert kept in whole


class BrokenLoader:
    def get_source(self, name: str) -> str:
        raise ValueError(name)


@pytest.mark.trio
async def test_an_error_whose_lines_cannot_be_read_is_told_without_them() -> None:
    scope: dict[str, Any] = {"__loader__": BrokenLoader(), "__name__": "strange"}
    exec(compile("def handler():\n    raise ValueError('boo')", "strange.py", "exec"), scope)

    error = (await failure_of(scope["handler"])).error

    assert (error.message, error.traceback) == ("boo", "<no traceback: ValueError>")


@pytest.mark.trio
async def test_a_group_of_very_many_nested_errors_is_bounded() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(5000):  # deeper than Python's stack
        error = ExceptionGroup("g", [error])

    deep = await failure_of(as_async(raising(error)))
    wide = await failure_of(as_async(raising(ExceptionGroup("g", [ValueError("a")] * 10_000))))

    assert deep.error.message == "innermost"
    assert wide.error.message.startswith("10000 errors: ValueError: a; ")
    assert len(wide.error.message.encode()) <= MESSAGE_BYTES


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
        assert "not a delay in seconds" in failed.error.message


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


# --- time -----------------------------------------------------------------------------------


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


# --- cancellation from outside --------------------------------------------------------------


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


# --- the job, and context variables ---------------------------------------------------------


@BOTH
@pytest.mark.trio
async def test_current_job_is_the_job_that_runs(kind: Any) -> None:
    job = job_with()

    outcome = await outcome_of(kind(current_job), job=job)

    assert outcome == Succeeded(job)


@pytest.mark.trio
async def test_current_job_is_seen_in_tasks_and_threads_of_the_handler() -> None:
    seen = []

    async def child() -> None:
        await trio.lowlevel.checkpoint()
        seen.append(current_job())

    async def handler() -> None:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        seen.append(await trio.to_thread.run_sync(current_job))

    job = job_with()
    await outcome_of(handler, job=job)

    assert seen == [job, job]


@pytest.mark.trio
async def test_outside_of_a_handler_there_is_no_current_job() -> None:
    await outcome_of(as_async(current_job))

    with pytest.raises(LookupError, match="for handlers"):
        current_job()


colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


@BOTH
@pytest.mark.trio
async def test_context_variables_of_a_handler_are_gone_for_the_next(kind: Any) -> None:
    def paint() -> str:
        colour.set("red")
        return colour.get()

    assert await outcome_of(kind(paint)) == Succeeded("red")
    assert await outcome_of(kind(colour.get)) == Succeeded("none")
    assert colour.get() == "none"


@pytest.mark.trio
async def test_context_variables_survive_the_handlers_waits(autojump_clock: object) -> None:
    async def handler() -> str:
        colour.set("red")
        await trio.sleep(1)
        with trio.move_on_after(1):
            await trio.sleep_forever()
        return colour.get()

    assert await outcome_of(handler) == Succeeded("red")


class Foreign:
    """Something to await that isn't trio's."""

    def __await__(self) -> Any:
        yield "a message that trio doesn't know"


@pytest.mark.trio
async def test_context_variables_are_there_when_trio_throws_into_the_handler() -> None:
    async def handler() -> str:
        colour.set("red")
        try:
            await Foreign()
        except TypeError:
            return colour.get()
        return "not thrown"

    assert await outcome_of(handler) == Succeeded("red")


def test_an_isolated_coroutine_that_is_closed_cleans_up_in_its_context() -> None:
    seen = []

    async def inner() -> None:
        colour.set("red")
        try:
            await Foreign()
        finally:
            seen.append(colour.get())

    async def outer() -> None:
        await Isolated(inner(), contextvars.copy_context())

    coroutine = outer()
    coroutine.send(None)
    coroutine.close()

    assert seen == ["red"]


@pytest.mark.trio
async def test_a_waiting_handler_can_be_seen_in_its_task(autojump_clock: object) -> None:
    seen: list[str] = []

    async def look(task: trio.lowlevel.Task) -> None:
        await trio.sleep(1)
        seen.extend(frame.f_code.co_name for frame, _ in task.iter_await_frames())

    async def handler_that_waits() -> None:
        await trio.sleep(2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look, trio.lowlevel.current_task())
        await outcome_of(handler_that_waits)

    assert seen.index("invoke") < seen.index("handler_that_waits") < seen.index("sleep")


# --- threads ----------------------------------------------------------------------------------


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110  # it is a thread that we wait for
            await trio.sleep(0.001)


@pytest.mark.trio
async def test_a_def_handler_runs_in_a_thread_under_the_limit() -> None:
    limiter = trio.CapacityLimiter(1)

    def handler() -> bool:
        return threading.current_thread() is not threading.main_thread()

    assert await outcome_of(handler, threads=limiter) == Succeeded(True)
    assert limiter.borrowed_tokens == 0


@pytest.mark.trio
async def test_a_thread_that_does_not_return_is_left_behind_and_counted() -> None:
    limiter, release = trio.CapacityLimiter(1), threading.Event()

    failed = await failure_of(release.wait, timeout_s=0.01, threads=limiter)

    assert failed.error.message == "took longer than 0.01 s; its thread still runs"
    assert dict(abandoned_threads()) == {"it": 1}
    assert limiter.borrowed_tokens == 1
    release.set()
    await until(lambda: limiter.borrowed_tokens == 0)
    assert not abandoned_threads()


@pytest.mark.trio
async def test_a_job_that_finds_no_thread_is_snoozed_and_never_starts() -> None:
    limiter, release, ran = trio.CapacityLimiter(1), threading.Event(), threading.Event()
    await failure_of(release.wait, timeout_s=0.01, threads=limiter)

    outcome = await outcome_of(ran.set, timeout_s=0.01, threads=limiter)

    assert isinstance(outcome, Snoozed)
    release.set()
    await until(lambda: limiter.borrowed_tokens == 0)
    assert not ran.is_set()


def test_a_call_that_was_withdrawn_is_not_made_when_its_thread_comes_up_after_all() -> None:
    ran: list[int] = []
    early, late = _Call(lambda: ran.append(1), "early"), _Call(lambda: ran.append(2), "late")

    late()

    assert early.withdraw()
    assert not late.withdraw()
    early()
    assert ran == [2]


@pytest.mark.trio
async def test_a_def_handler_can_ask_whether_it_is_cancelled() -> None:
    limiter, ended = trio.CapacityLimiter(1), threading.Event()

    def handler() -> None:
        try:
            while True:
                trio.from_thread.check_cancelled()
        finally:
            ended.set()

    failed = await failure_of(handler, timeout_s=0.01, threads=limiter)

    assert failed.error.type == "timeout"
    await until(ended.is_set)
    await until(lambda: limiter.borrowed_tokens == 0)
    assert not abandoned_threads()


@pytest.mark.trio
async def test_the_engines_cancellation_does_not_wait_for_a_thread() -> None:
    limiter, release = trio.CapacityLimiter(1), threading.Event()
    with trio.move_on_after(0.01) as scope:
        await outcome_of(release.wait, threads=limiter)

    assert scope.cancelled_caught
    assert abandoned_threads() == {"it": 1}
    release.set()
    await until(lambda: not abandoned_threads())


@pytest.mark.trio
async def test_a_def_that_returns_a_coroutine_is_told_so() -> None:
    async def inner() -> None: ...

    def handler() -> Any:
        return inner()

    failed = await failure_of(handler)

    assert failed.error.type == "TypeError"
    assert "asynchronous" in failed.error.message
