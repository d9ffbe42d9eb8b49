"""Jobs that somebody doesn't want any more while they run: how their handlers hear of it, what
they make of it, and what is left of those that don't heed it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import attrs
import pytest
import trio
import trio.lowlevel

import trioq
from tests.engine.asking import ask, cancelled, runs_of
from tests.engine.handlers.attempts import until
from tests.engine.handlers.programs import is_alive, pid_in
from tests.engine.handlers.runners.deeds import app as deeds
from tests.engine.rig import Rig, config_of
from tests.support import PATIENCE_S
from trioq.client.status import status
from trioq.core.config.sections import CommandConfig
from trioq.core.events import (
    BreakerChanged,
    EngineStopped,
    JobCancelled,
    JobDied,
    JobFailed,
    JobIgnoredCancel,
    JobReleased,
    JobStarted,
    JobSucceeded,
)
from trioq.core.job import Options
from trioq.engine.handlers import abandoned_threads
from trioq.engine.shard import shard
from trioq.store import inspect

pytestmark = pytest.mark.trio

#: What the rig says when it cancels.
REASON = "no"

#: For a handler that doesn't heed it.
SOON_S = 0.1


@pytest.fixture(autouse=True)
def patient(rig: Rig) -> None:
    rig.config = config_of(cancel_grace_s=60.0, max_attempts=1)


@pytest.fixture
def hasty(rig: Rig) -> None:
    rig.config = config_of(cancel_grace_s=SOON_S, count=1, max_attempts=1)


# -- in the loop -------------------------------------------------------------------------------


async def test_a_handler_is_cancelled_with_the_reason_and_that_is_no_attempt(rig: Rig) -> None:
    seen: list[str | None] = []

    @rig.app.job("sleeper")
    async def sleeper() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as error:
            seen.append(error.reason)
            raise

    (uid,) = rig.enqueue("sleeper")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        told = await cancelled(rig, uid)
    assert seen == [REASON]
    assert (told.reason, told.by, told.attempt) == (REASON, "test", 1)
    assert told.took_s > 0
    assert rig.history(uid) == []
    assert not [event for kind in (JobReleased, JobDied, JobFailed) for event in rig.of(kind)]
    assert rig.stats().counters["cancelled"] == 1


async def test_that_it_was_cancelled_is_kept_as_long_as_its_result_was_to_be(rig: Rig) -> None:
    @rig.app.job("sleeper", result="1h")
    async def sleeper() -> int:
        await trio.sleep_forever()
        return 1

    (uid,) = rig.enqueue("sleeper")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    (end,) = rig.store.wait_for("somebody", [(uid, None)])
    assert end.state == "cancelled"


async def test_what_it_has_said_last_is_known_then(rig: Rig) -> None:
    @rig.app.job
    async def says(job: trioq.Job) -> None:
        job.progress(0.5, "half")
        try:
            await trio.sleep_forever()
        finally:
            job.log("leaving")

    (uid,) = rig.enqueue("says")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    told = status(uid, inspect.find(rig.store, uid))
    assert (told.state, told.progress, told.text, told.log) == (
        "cancelled", 0.5, "half", ("leaving",),
    )  # fmt: skip


async def test_it_has_its_grace_for_cleaning_up(rig: Rig) -> None:
    cleaned: list[str] = []

    @rig.app.job("tidy")
    async def tidy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.05)
                cleaned.append("up")

    (uid,) = rig.enqueue("tidy")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
        assert cleaned == ["up"]


async def test_one_that_catches_it_and_returns_has_finished_first(rig: Rig) -> None:
    @rig.app.job("catches")
    async def catches() -> None:
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep_forever()

    (uid,) = rig.enqueue("catches")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await rig.reported(JobSucceeded, uid=uid)
        await rig.until(lambda: rig.stats().counters.get("done"))
    assert not rig.of(JobCancelled)


@pytest.mark.parametrize(
    "error", [ValueError("no"), trioq.GiveUp("no"), trioq.Snooze(0.1), trioq.RetryLater(0.1)]
)
async def test_whatever_else_it_makes_of_it_its_job_is_cancelled_and_no_breaker_counts_it(
    rig: Rig, error: Exception
) -> None:
    rig.config = config_of(
        cancel_grace_s=60.0, breaker={"min_samples": 1, "failure_threshold": 0.01}
    )

    @rig.app.job("raises")
    async def raises() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise error from None

    (uid,) = rig.enqueue("raises")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    assert not rig.of(BreakerChanged)
    assert len(rig.of(JobStarted)) == 1


async def test_all_that_it_has_begun_ends_with_it(rig: Rig) -> None:
    ended: list[int] = []

    async def child(number: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(number)

    @rig.app.job("parent")
    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(child, number)

    (uid,) = rig.enqueue("parent")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    assert sorted(ended) == [0, 1, 2]


@pytest.mark.parametrize("swallows", [False, True])
async def test_its_worker_runs_the_next_job(rig: Rig, swallows: bool) -> None:
    rig.config = config_of(cancel_grace_s=60.0, count=1)

    @rig.app.job("sleeper")
    async def sleeper() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if not swallows:
                raise

    @rig.app.job("next")
    async def _next() -> None:
        await trio.lowlevel.checkpoint()

    (first,) = rig.enqueue("sleeper")
    rig.enqueue("next", 3)
    async with rig.running() as engine:
        await ask(rig, engine, first)
        await rig.reported(JobSucceeded, 3, name="next")
    assert not rig.of(JobReleased)


async def test_who_is_asked_twice_is_asked_once(rig: Rig) -> None:
    @rig.app.job("sleeper")
    async def sleeper() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(2 * PATIENCE_S, shield=True):
                await gate.wait()

    gate = trio.Event()
    (uid,) = rig.enqueue("sleeper")
    async with rig.running() as engine:
        run = await ask(rig, engine, uid)
        assert run.asked is not None
        given_up = run.given_up
        run.ask(run.asked)
        assert run.given_up is given_up
        gate.set()
        await cancelled(rig, uid)
    assert len(rig.of(JobCancelled)) == 1


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_timeout_that_comes_too_has_no_say(rig: Rig, swallows: bool) -> None:
    rig.config = config_of(
        cancel_grace_s=60.0, timeout_s=0.3, breaker={"min_samples": 1, "failure_threshold": 0.01}
    )

    @rig.app.job("late")
    async def late() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.4)
            if not swallows:
                raise

    (uid,) = rig.enqueue("late")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    assert not rig.of(JobFailed)
    assert not rig.of(BreakerChanged)


async def test_it_is_cancelled_also_where_it_was_to_go_back(rig: Rig) -> None:
    gate = trio.Event()

    @rig.app.job("sleeper")
    async def sleeper() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(2 * PATIENCE_S, shield=True):
                await gate.wait()

    (uid,) = rig.enqueue("sleeper")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        engine.hurry()
        await ask(rig, engine, uid)
        gate.set()
    assert rig.of(JobCancelled, uid=uid, how="stopped")
    assert not rig.of(JobReleased)


# -- those that don't heed it ------------------------------------------------------------------


def stubborn(rig: Rig) -> trio.Event:
    """Register a handler that goes on until this is set, whatever it is told; and a quick one.

    A test that fails before doesn't set it.
    """
    gate = trio.Event()

    @rig.app.job("stubborn")
    async def _stubborn() -> str:
        with trio.move_on_after(2 * PATIENCE_S, shield=True):
            await gate.wait()
        return "after all"

    @rig.app.job("next")
    async def _next() -> None:
        await trio.lowlevel.checkpoint()

    return gate


@pytest.mark.usefixtures("hasty")
async def test_one_that_goes_on_is_abandoned_and_nothing_of_what_it_does_counts(rig: Rig) -> None:
    gate = stubborn(rig)
    (uid,) = rig.enqueue("stubborn", options=Options(result_s=3600))
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        ended = await cancelled(rig, uid, "ignored")
        assert ended.took_s >= SOON_S
        (told,) = rig.of(JobIgnoredCancel)
        assert (told.uid, told.grace_s) == (uid, SOON_S)
        (end,) = rig.store.wait_for("somebody", [(uid, None)])
        assert end.state == "cancelled", "as long as its result was to be kept"
        assert (engine.status().running, dict(engine.status().abandoned)) == (0, {"stubborn": 1})
        gate.set()
        await rig.until(lambda: not engine.status().abandoned)
    assert not rig.of(JobSucceeded)
    assert len(rig.of(JobCancelled)) == 1
    assert rig.stats().counters.get("done", 0) == 0


@pytest.mark.usefixtures("hasty")
async def test_its_worker_stays_with_it_and_the_engine_claims_for_the_others(rig: Rig) -> None:
    gate = stubborn(rig)
    (uid,) = rig.enqueue("stubborn")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid, "ignored")
        rig.enqueue("next")
        await trio.sleep(0.1)
        assert rig.stats().queues["low"].ready == 1, "nobody is there to run it"
        gate.set()
        await rig.reported(JobSucceeded, name="next")
        assert not runs_of(engine).abandoned


@pytest.mark.usefixtures("hasty")
async def test_a_boot_signs_off_without_waiting_for_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "SIGN_OFF_S", PATIENCE_S)  # a busy machine may take longer
    gate = stubborn(rig)
    (uid,) = rig.enqueue("stubborn")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid, "ignored")
        engine.drain()
        (told,) = await rig.reported(EngineStopped)
        assert told.signed_off
        gate.set()


@pytest.mark.usefixtures("hasty")
@pytest.mark.direct  # who is cancelled has no time to sign off again; a reaper would have it
async def test_a_grace_goes_on_while_its_engine_is_cancelled(rig: Rig) -> None:
    gate = stubborn(rig)
    (uid,) = rig.enqueue("stubborn")
    engine = rig.engine()
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await ask(rig, engine, uid)
        nursery.cancel_scope.cancel()
        try:
            with trio.CancelScope(shield=True):
                await cancelled(rig, uid, "ignored")
                await rig.until(lambda: not rig.stats().engines)
        finally:
            gate.set()
    assert not rig.of(JobReleased)


# -- in threads --------------------------------------------------------------------------------


async def test_a_def_handler_that_asks_is_stopped(rig: Rig) -> None:
    begun, seen = threading.Event(), list[str | None]()

    @rig.app.job("asks")
    def asks() -> None:
        begun.set()
        try:
            while True:
                trioq.check_cancelled()
        except trio.Cancelled as error:
            seen.append(error.reason)
            raise

    (uid,) = rig.enqueue("asks")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    assert seen == [REASON]
    assert not abandoned_threads()


async def test_a_def_handler_that_returns_has_finished_first(rig: Rig) -> None:
    begun, release = threading.Event(), threading.Event()

    @rig.app.job("busy")
    def busy() -> None:
        begun.set()
        release.wait(30)

    (uid,) = rig.enqueue("busy")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await trio.sleep(0.02)
        assert not abandoned_threads(), "it has its grace"
        release.set()
        await rig.reported(JobSucceeded, uid=uid)
    assert not rig.of(JobCancelled)


@pytest.mark.usefixtures("hasty")
async def test_a_thread_that_never_returns_is_left_behind(rig: Rig) -> None:
    begun, release = threading.Event(), threading.Event()

    @rig.app.job("endless")
    def endless() -> None:
        begun.set()
        release.wait(30)

    (uid,) = rig.enqueue("endless")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await cancelled(rig, uid, "ignored")
        await rig.until(lambda: dict(abandoned_threads()) == {"endless": 1})
        await rig.until(lambda: not engine.status().abandoned)  # its worker is free
        release.set()
        await until(lambda: not abandoned_threads())
    assert not rig.of(JobSucceeded)


async def test_one_in_a_hand_with_others_is_asked_like_any_other(rig: Rig) -> None:
    rig.config = config_of(cancel_grace_s=60.0, count=2)
    seen: list[str | None] = []

    @rig.app.job("tiny")
    def tiny(asks: bool) -> None:
        try:
            while asks:
                trioq.check_cancelled()
        except trio.Cancelled as error:
            seen.append(error.reason)
            raise

    async with rig.running() as engine:
        rig.enqueue("tiny", 50, payload={"asks": False})
        await rig.reported(JobSucceeded, 50)
        rig.app.handlers["tiny"].tempo.mean_s = 0.0  # however busy the machine was
        rig.enqueue("tiny", 4, payload={"asks": False})
        (uid,) = rig.enqueue("tiny", payload={"asks": True})
        rig.enqueue("tiny", 4, payload={"asks": False})
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
        await rig.reported(JobSucceeded, 58)
    assert seen == [REASON]


async def test_one_in_a_hand_that_returns_has_finished_first(rig: Rig) -> None:
    rig.config = config_of(cancel_grace_s=60.0, count=2)
    begun, release = threading.Event(), threading.Event()

    @rig.app.job("tiny")
    def tiny(waits: bool) -> None:
        if waits:
            begun.set()
            release.wait(30)

    async with rig.running() as engine:
        rig.enqueue("tiny", 50, payload={"waits": False})
        await rig.reported(JobSucceeded, 50)
        rig.enqueue("tiny", 4, payload={"waits": False})
        (uid,) = rig.enqueue("tiny", payload={"waits": True})
        rig.enqueue("tiny", 4, payload={"waits": False})
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await trio.sleep(0.02)
        assert not abandoned_threads(), "it has its grace"
        release.set()
        await rig.reported(JobSucceeded, 59)
    assert not rig.of(JobCancelled)


# -- in processes ------------------------------------------------------------------------------


def program(rig: Rig, script: str) -> None:
    """Register this as the program of the name ``program``."""
    argv = ("/bin/sh", "-c", script.replace("{", "{{").replace("}", "}}"), "sh")
    command = CommandConfig(name="program", argv=argv)
    rig.config = attrs.evolve(rig.config, commands={"program": command})


async def test_a_program_gets_a_sigterm(rig: Rig, tmp_path: Path) -> None:
    told, ended = tmp_path / "pid", tmp_path / "ended"
    program(
        rig, f"trap 'echo > {ended}; exit 0' TERM; echo $$ > {told}; while :; do sleep 0.05; done"
    )
    (uid,) = rig.enqueue("program")
    async with rig.running() as engine:
        await pid_in(told)
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    assert ended.exists()


async def test_a_program_that_ignores_it_is_killed_at_the_end_of_its_grace(
    rig: Rig, tmp_path: Path
) -> None:
    rig.config = config_of(cancel_grace_s=0.2, max_attempts=1)
    told = tmp_path / "pid"
    program(rig, f"trap '' TERM; echo $$ > {told}; while :; do sleep 0.05; done")
    (uid,) = rig.enqueue("program")
    async with rig.running() as engine:
        pid = await pid_in(told)
        await ask(rig, engine, uid)
        told_ = await cancelled(rig, uid)
        assert not is_alive(pid)
    assert told_.took_s >= 0.2
    assert not rig.of(JobIgnoredCancel)


async def test_a_handler_in_a_process_hears_of_it_and_why(rig: Rig, tmp_path: Path) -> None:
    rig.app = deeds
    rig.config = config_of(cancel_grace_s=60.0, runners=1)
    told = tmp_path / "why"
    (uid,) = rig.enqueue("ask_why", payload={"told": str(told)})
    async with rig.running() as engine:
        await rig.until(told.exists)
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
        assert told.read_text() == REASON
        rig.enqueue("pass_by")
        await rig.reported(JobSucceeded, name="pass_by")


async def test_a_process_that_does_not_heed_it_is_killed_and_replaced(
    rig: Rig, tmp_path: Path
) -> None:
    rig.app = deeds
    rig.config = config_of(cancel_grace_s=0.2, runners=1)
    (uid,) = rig.enqueue("spin")
    async with rig.running() as engine:
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
        rig.enqueue("pass_by")
        await rig.reported(JobSucceeded, name="pass_by")
    assert not rig.of(JobIgnoredCancel)


async def test_one_that_returns_in_its_process_has_finished_first(rig: Rig, tmp_path: Path) -> None:
    rig.app = deeds
    rig.config = config_of(cancel_grace_s=60.0, runners=1)
    told, begun = tmp_path / "told", tmp_path / "begun"
    (uid,) = rig.enqueue("wait_for", payload={"told": str(told), "begun": str(begun)})
    async with rig.running() as engine:
        await rig.until(begun.exists)
        await ask(rig, engine, uid)
        (tmp_path / "told").touch()
        await rig.reported(JobSucceeded, uid=uid)
    assert not rig.of(JobCancelled)
