"""`def` handlers: a thread each, under a limit, left behind if need be."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import trio
import trio.testing

from tests.engine.handlers.attempts import (
    failure_of,
    outcome_of,
    until,
)
from trioq.core.outcome import Snoozed, Succeeded
from trioq.core.tempo import Tempo
from trioq.engine.handlers import (
    abandoned_threads,
)
from trioq.engine.handlers.threads import _Call


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

    failed = await failure_of(release.wait, timeout_s=0.5, threads=limiter)

    assert failed.error.message == "took longer than 0.5 s; its thread still runs"
    assert dict(abandoned_threads()) == {"it": 1}
    assert limiter.borrowed_tokens == 1
    release.set()
    await until(lambda: limiter.borrowed_tokens == 0)
    assert not abandoned_threads()


@pytest.mark.trio
async def test_a_job_that_finds_no_thread_is_snoozed_and_never_starts() -> None:
    limiter, release, ran = trio.CapacityLimiter(1), threading.Event(), threading.Event()
    await failure_of(release.wait, timeout_s=0.5, threads=limiter)

    outcome = await outcome_of(ran.set, timeout_s=0.01, threads=limiter)

    assert isinstance(outcome, Snoozed)
    release.set()
    await until(lambda: limiter.borrowed_tokens == 0)
    assert not ran.is_set()


def test_a_call_that_was_withdrawn_is_not_made_when_its_thread_comes_up_after_all() -> None:
    ran: list[int] = []
    early = _Call(lambda: ran.append(1), "early", Tempo())
    late = _Call(lambda: ran.append(2), "late", Tempo())

    late()

    assert early.withdraw()
    assert not late.withdraw()
    early()
    assert ran == [2]


@pytest.mark.trio
async def test_the_end_of_a_call_is_heard_whether_it_comes_before_or_after_one_listens() -> None:
    ended, later = (_Call(lambda: None, "it", Tempo()) for _ in range(2))
    ended()
    assert ended.ended_event().is_set()
    event = later.ended_event()
    assert not event.is_set()
    later()
    await trio.testing.wait_all_tasks_blocked()
    assert event.is_set()


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
    limiter, begun, release = trio.CapacityLimiter(1), threading.Event(), threading.Event()

    def handler() -> None:
        begun.set()
        release.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(outcome_of, handler, threads=limiter))
        await until(begun.is_set)
        nursery.cancel_scope.cancel()

    assert nursery.cancel_scope.cancelled_caught
    assert abandoned_threads() == {"it": 1}
    release.set()
    await until(lambda: not abandoned_threads())
