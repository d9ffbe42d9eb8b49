"""Hooks of an app that are told of failures, when it is decided what becomes of the job."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.engine.asking import ask
from tests.engine.handlers.runners import surrounded
from tests.engine.rig import Rig, config_of
from trioq.core.events import (
    JobCancelled,
    JobDied,
    JobFailed,
    JobReleased,
    JobStarted,
    JobSucceeded,
)
from trioq.core.job import Options
from trioq.engine.runs import failures

pytestmark = pytest.mark.trio

AGAIN = trioq.Retry(max_attempts=2, base=0.01, cap=0.01, jitter=0.0)


@pytest.fixture(params=["async", "def", "asyncio"])
def told(rig: Rig, request: pytest.FixtureRequest) -> list[trioq.Failure]:
    """What a hook of this kind is told, once it has seen to be where it is to be."""
    told: list[trioq.Failure] = []
    rig.app = trioq.App(runtime="asyncio" if request.param == "asyncio" else "trio")

    if request.param == "def":

        @rig.app.on_failure
        def hear(failure: trioq.Failure) -> None:
            assert threading.current_thread() is not threading.main_thread()
            assert trioq.current_job() == failure.job
            told.append(failure)
    else:

        @rig.app.on_failure
        async def hear_in_loop(failure: trioq.Failure) -> None:
            await (asyncio if request.param == "asyncio" else trio).sleep(0)
            assert trioq.current_job() == failure.job
            told.append(failure)

    return told


@pytest.mark.parametrize("is_async", [True, False])
async def test_each_is_told_with_the_very_error_and_with_what_becomes_of_the_job(
    rig: Rig, told: list[trioq.Failure], *, is_async: bool
) -> None:
    errors = [ValueError("first"), KeyError("second")]

    def fails(job: trioq.Job) -> None:
        raise errors[job.attempt - 1]

    async def fails_in_loop(job: trioq.Job) -> None:
        raise errors[job.attempt - 1]

    rig.app.job("fails", retry=AGAIN)(fails_in_loop if is_async else fails)  # type: ignore[arg-type]
    (uid,) = rig.enqueue("fails")
    async with rig.running():
        await rig.reported(JobDied)
        await rig.until(lambda: len(told) == 2)
    first, second = told
    assert [failure.error for failure in told] == errors
    assert (first.text, first.dies, first.retry_in) == ("ValueError: first", False, 0.01)
    assert (second.text, second.dies, second.retry_in) == ("KeyError: 'second'", True, None)
    assert (first.job.uid, first.job.attempt, second.job.attempt) == (uid, 1, 2)
    assert "raise errors" in first.traceback


async def test_it_is_told_after_the_middleware_and_of_what_that_made_of_it(
    rig: Rig, told: list[trioq.Failure]
) -> None:
    @rig.app.middleware
    def explains(job: trioq.Job) -> Any:
        try:
            yield
        except ValueError as error:
            raise trioq.GiveUp("of no use") from error

    @rig.app.job("fails")
    async def fails() -> None:
        raise ValueError("no")

    rig.enqueue("fails")
    async with rig.running():
        await rig.reported(JobDied)
    (failure,) = told
    assert (type(failure.error), failure.dies) == (trioq.GiveUp, True)


async def test_nothing_is_told_of_what_is_no_failure(rig: Rig, told: list[trioq.Failure]) -> None:
    waits = trio.Event()

    @rig.app.job("stopped", runtime="trio")
    async def stopped_or_released() -> None:
        await trio.sleep_forever()

    @rig.app.job("snoozes")
    async def snoozes(job: trioq.Job) -> None:
        if not waits.is_set():
            waits.set()
            raise trioq.Snooze(0.001)

    @rig.app.job("later", retry=AGAIN)
    async def later(job: trioq.Job) -> None:
        if job.attempt == 1:
            raise trioq.RetryLater(0.001)

    rig.enqueue("snoozes")
    rig.enqueue("later")
    (stopped,) = rig.enqueue("stopped")
    async with rig.running() as engine:
        await rig.reported(JobSucceeded, name="snoozes")
        await rig.reported(JobSucceeded, name="later")
        await ask(rig, engine, stopped)
        await rig.reported(JobCancelled)
        (released,) = rig.enqueue("stopped")
        await rig.reported(JobStarted, uid=released)
        engine.hurry()
    assert len(rig.of(JobReleased)) == 1
    assert told == []


async def test_an_engine_that_is_cancelled_tells_to_the_end(rig: Rig) -> None:
    told: list[str] = []
    began = trio.Event()

    @rig.app.on_failure
    async def slow(failure: trioq.Failure) -> None:
        began.set()
        await trio.sleep(0.01)
        told.append("slow")

    @rig.app.on_failure
    def next_one(failure: trioq.Failure) -> None:
        told.append("next")

    @rig.app.job("fails", retry=AGAIN)
    async def fails() -> None:
        raise ValueError("no")

    rig.enqueue("fails")
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine().run)
        await began.wait()
        nursery.cancel_scope.cancel()
    assert told == ["slow", "next"]


async def test_a_wish_to_run_later_is_told_when_the_job_dies_of_it(
    rig: Rig, told: list[trioq.Failure]
) -> None:
    @rig.app.job("later", retry=AGAIN)
    async def later(job: trioq.Job) -> None:
        raise trioq.RetryLater(0.001)

    rig.enqueue("later")
    async with rig.running():
        await rig.reported(JobDied)
    (failure,) = told
    assert (type(failure.error), failure.dies) == (trioq.RetryLater, True)


async def test_of_a_timeout_there_is_no_error_but_what_was_raised_meanwhile(
    rig: Rig, told: list[trioq.Failure]
) -> None:
    @rig.app.job("slow", runtime="trio")
    async def slow() -> None:
        await trio.sleep_forever()

    @rig.app.job("slower", runtime="trio")
    async def slower() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("closed")

    options = Options(max_attempts=1, timeout_s=0.01)
    rig.enqueue("slow", options=options)
    async with rig.running():
        await rig.reported(JobDied, name="slow")
        rig.enqueue("slower", options=options)
        await rig.reported(JobDied, name="slower")
    assert [type(failure.error) for failure in told] == [type(None), OSError]
    assert told[0].text == "timeout: took longer than 0.01 s"


async def test_of_a_payload_that_does_not_fit_it_is_told(
    rig: Rig, told: list[trioq.Failure]
) -> None:
    @rig.app.job("typed")
    async def typed(n: int) -> None: ...

    rig.enqueue("typed", payload={"n": "x"})
    async with rig.running():
        await rig.reported(JobDied)
    (failure,) = told
    assert failure.dies
    assert failure.text.startswith("BadPayload: n: ")


async def test_what_a_hook_raises_is_logged_and_the_next_is_told_and_the_worker_goes_on(
    rig: Rig, told: list[trioq.Failure], caplog: pytest.LogCaptureFixture
) -> None:
    app = rig.app = trioq.App()
    for hook in (_breaks, _ends, told.append):
        app.on_failure(hook)

    @app.job("fails")
    async def fails() -> None:
        raise ValueError("no")

    @app.job("works")
    async def works() -> None: ...

    rig.config = config_of(count=1, max_attempts=1)
    (uid,) = rig.enqueue("fails")
    rig.enqueue("works")
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert len(told) == 1
    assert [type(event) for event in rig.events if isinstance(event, JobDied | JobFailed)] == [
        JobDied
    ]
    first, second = (r for r in caplog.records if r.name == "trioq.on_failure")
    assert "the on_failure hook _breaks failed: OSError: it broke" in first.getMessage()
    assert "raise OSError" in first.getMessage()
    assert "_ends failed: SystemExit: 3" in second.getMessage()
    assert first.__dict__["job_id"] == uid


async def _breaks(failure: trioq.Failure) -> None:
    raise OSError("it broke")


def _ends(failure: trioq.Failure) -> None:
    raise SystemExit(3)


async def test_a_hook_has_a_bounded_time_and_the_next_job_all_of_its_own(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(failures, "TELL_S", 0.3)

    @rig.app.on_failure
    async def hangs(failure: trioq.Failure) -> None:
        await trio.sleep_forever()

    @rig.app.job("fails")
    async def fails() -> None:
        raise ValueError("no")

    @rig.app.job("short")
    async def short() -> None:
        await trio.sleep(0.01)

    rig.config = config_of(count=1, max_attempts=1)
    rig.enqueue("fails")
    rig.enqueue("short", options=Options(timeout_s=0.25))
    async with rig.running():
        await rig.until(lambda: rig.of(JobSucceeded) or rig.of(JobDied)[1:])
    assert rig.of(JobSucceeded)
    assert "hangs failed: timeout: took longer than 0.3 s" in caplog.text


# -- in processes ----------------------------------------------------------------------------------


async def test_around_handlers_in_processes_it_is_in_there_and_hooks_are_in_the_engine(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOQ_TEST_ENGINE", str(os.getpid()))
    surrounded.told.clear()
    rig.app, notes = surrounded.app, tmp_path / "notes"
    rig.config = config_of(runners=1, timeout_s=30.0, max_attempts=1)
    payload = {"notes": str(notes)}
    rig.enqueue("work", payload=payload)
    async with rig.running():
        await rig.reported(JobSucceeded)
        rig.enqueue("fail", payload=payload)
        await rig.reported(JobDied, name="fail")
        rig.enqueue("die", payload={})
        await rig.reported(JobDied, name="die")
    assert notes.read_text().splitlines() == [
        "async True", "plain False True", "done True",
        "async True", "plain False True", "ValueError True",
    ]  # fmt: skip
    assert [(failure.text, failure.dies, failure.error) for failure, _ in surrounded.told] == [
        ("ValueError: no", True, None),
        ("KeyError: 'notes'", True, None),
    ]
    assert "raise ValueError" in surrounded.told[0][0].traceback
    assert {pid for _, pid in surrounded.told} == {os.getpid()}


# -- said when it is registered --------------------------------------------------------------------


def _nothing() -> None: ...


def _yields(failure: trioq.Failure) -> Any:
    yield


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (_nothing, "_nothing has to take the failure, and no more"),
        (_yields, "_yields yields: write a function"),
        (trioq.Failure, "Failure is no function"),
        (7, "7 is no function"),
    ],
)
async def test_what_can_be_no_hook_is_told_at_once(what: Any, said: str) -> None:
    with pytest.raises(TypeError) as told:
        trioq.App().on_failure(what)
    assert str(told.value).startswith(f"on_failure: {said}")
