"""Jobs that are to be done, or begun, by a moment: on a real server, in each kind of handler."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel

import trioq
from tests.engine.handlers.runners.deeds import app as deeds
from tests.engine.rig import Rig, config_of
from tests.engine.virtual import World, calm
from trioq.core.config.sections import CommandConfig
from trioq.core.events import (
    BreakerChanged,
    JobCancelled,
    JobDied,
    JobFailed,
    JobParked,
    JobSnoozed,
    JobStarted,
    JobSucceeded,
)
from trioq.core.formats.record import decode
from trioq.core.job import Options

pytestmark = pytest.mark.trio

LONG_S = 60.0
PAST_MS = 1_600_000_000_000
FAR_MS = 4_000_000_000_000

PASSED = {
    "deadline": Options(deadline_ms=PAST_MS),
    "expired": Options(expires_ms=PAST_MS, deadline_ms=FAR_MS),
}


def soon(ms: int = 800, **more: Any) -> Options:
    """A deadline that a job can be begun before, and that comes at once."""
    return Options(deadline_ms=time.time_ns() // 1_000_000 + ms, **more)


def with_command(rig: Rig, *argv: str) -> None:
    commands = {"program": CommandConfig(name="program", argv=argv)}
    rig.config = attrs.evolve(rig.config, commands=commands)


def kept(rig: Rig) -> list[dict[str, Any]]:
    """The summaries of the jobs that have ended."""
    lines = b"\n".join(rig.key("LRANGE", "done", 0, -1)).splitlines()
    return [json.loads(line) for line in lines if line.startswith(b"{")]


async def only_cancelled(rig: Rig, uid: str, reason: str) -> JobCancelled:
    """Wait for its end, which is this and nothing else."""
    (told,) = await rig.reported(JobCancelled)
    assert (told.uid, told.reason) == (uid, reason)
    await rig.until(lambda: kept(rig))
    (summary,) = kept(rig)
    assert (summary["uid"], summary["state"], summary["reason"]) == (uid, "cancelled", reason)
    assert rig.of(JobFailed) == rig.of(JobDied) == rig.of(JobSucceeded) == []
    assert not rig.key("EXISTS", "jobs", "attempts", "history")
    assert rig.stats().dead == 0
    return told


# -- before it has begun -----------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["deadline", "expired"])
@pytest.mark.parametrize("kind", ["async", "def", "program", "process", "nobody"])
async def test_what_comes_too_late_is_cancelled_and_never_run(
    rig: Rig, tmp_path: Path, kind: str, reason: str
) -> None:
    ran = tmp_path / "ran"

    @rig.app.job("async")
    async def handler(told: str) -> None:
        ran.touch()

    @rig.app.job("def")
    def in_thread(told: str) -> None:
        ran.touch()

    with_command(rig, "touch", str(ran))
    if kind == "process":
        rig.app, kind = deeds, "note_pid"
    (uid,) = rig.enqueue(kind, options=PASSED[reason], payload={"told": str(ran)})
    async with rig.running():
        told = await only_cancelled(rig, uid, reason)
    assert (told.attempt, told.error, told.how, told.took_s) == (1, None, "waiting", 0.0)
    assert rig.of(JobStarted) == rig.of(JobParked) == []
    assert not ran.exists()


@pytest.mark.parametrize("reason", ["deadline", "expired"])
async def test_a_door_that_is_shut_is_no_reason_to_wait(
    autojump_clock: trio.testing.MockClock, world: World, reason: str
) -> None:
    """And what wasn't run says nothing of its handler."""

    @world.app.job("shaky", retry=trioq.Retry(max_attempts=1))
    async def shaky() -> None:
        raise ConnectionError

    world.config = calm(
        breaker={"failure_threshold": 0.5, "window_s": 60.0, "cooldown_s": 3e6, "min_samples": 4}
    )
    await world.start()
    world.enqueue("shaky", 40, options=PASSED[reason])
    await world.reported(JobCancelled, 40)
    assert world.of(BreakerChanged) == []
    world.enqueue("shaky", 4)
    await world.reported(BreakerChanged, after="open")
    world.enqueue("shaky", 1, options=PASSED[reason])
    await world.reported(JobCancelled, 41)
    assert world.of(JobParked) == []


async def test_what_waits_for_a_runner_until_it_is_too_late_is_not_run(
    rig: Rig, tmp_path: Path
) -> None:
    rig.app, rig.config = deeds, config_of(runners=1, runner_jobs=1)
    told = tmp_path / "told"
    async with rig.running():
        rig.enqueue("note_pid", payload={"told": str(tmp_path / "first")})
        await rig.reported(JobSucceeded)
        # Python takes longer to start, and the app to be imported.
        options = Options(deadline_ms=time.time_ns() // 1_000_000 + 100)
        (uid,) = rig.enqueue("note_pid", payload={"told": str(told)}, options=options)
        await rig.reported(JobCancelled, uid=uid, reason="deadline", how="waiting")
    assert rig.of(JobStarted, uid=uid) == []
    assert not told.exists()


# -- while it runs -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "def", "program", "process"])
async def test_a_deadline_ends_what_runs_and_nobody_has_failed(
    rig: Rig, tmp_path: Path, kind: str
) -> None:
    never = threading.Event()

    @rig.app.job("async")
    async def handler(told: str) -> None:
        await trio.sleep(LONG_S)

    @rig.app.job("def")
    def in_thread(told: str) -> None:
        never.wait(LONG_S)

    with_command(rig, "sleep", str(LONG_S))
    begins_ms = 800
    if kind == "process":
        rig.app, kind = deeds, "heed_its_cancellation"
        begins_ms = 3000  # Python has to start, and to import the app
    began = time.monotonic()
    async with rig.running():
        options = soon(begins_ms, timeout_s=LONG_S, max_attempts=1)
        payload = {"told": str(tmp_path / "told")}
        (uid,) = rig.enqueue(kind, options=options, payload=payload)
        event = await only_cancelled(rig, uid, "deadline")
        assert len(rig.of(JobStarted)) == 1
        assert event.how == "stopped"
        assert event.took_s > 0
    assert time.time_ns() // 1_000_000 >= (options.deadline_ms or 0)
    assert time.monotonic() - began < LONG_S
    never.set()


async def test_who_swallows_the_cancellation_is_cancelled_all_the_same(rig: Rig) -> None:
    @rig.app.job("stubborn")
    async def stubborn() -> str:
        until = trio.current_effective_deadline()
        with trio.CancelScope(shield=True):
            await trio.sleep_until(until + 0.001)
        return "done"

    async with rig.running():
        (uid,) = rig.enqueue("stubborn", options=soon())
        await only_cancelled(rig, uid, "deadline")


async def test_a_timeout_that_comes_first_is_a_failed_attempt(rig: Rig) -> None:
    @rig.app.job("sleeper")
    async def sleeper() -> None:
        await trio.sleep(LONG_S)

    options = Options(max_attempts=1, timeout_s=0.02, deadline_ms=FAR_MS)
    rig.enqueue("sleeper", options=options)
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert (died.reason, died.error.kind) == ("failures", "timeout")
    assert rig.of(JobCancelled) == []


async def test_who_is_done_in_time_is_done(rig: Rig) -> None:
    left: list[float] = []

    @rig.app.job("quick")
    async def quick(job: trioq.Job) -> None:
        assert job.deadline is not None
        left.append((job.deadline - datetime.now(UTC)).total_seconds())
        assert trio.current_effective_deadline() - trio.current_time() <= left[0] + 0.1
        await trio.lowlevel.checkpoint()

    options = Options(deadline_ms=time.time_ns() // 1_000_000 + 50_000)
    rig.enqueue("quick", options=options)
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert 0 < left[0] <= 50
    assert rig.of(JobCancelled) == []


async def test_what_expires_while_it_runs_goes_on(rig: Rig) -> None:
    options = Options(expires_ms=time.time_ns() // 1_000_000 + 300)

    @rig.app.job("runs")
    async def runs() -> None:
        await rig.until(lambda: time.time_ns() // 1_000_000 > (options.expires_ms or 0))

    async with rig.running():
        rig.enqueue("runs", options=options)
        await rig.reported(JobSucceeded)
    assert rig.of(JobCancelled) == []


# -- before it would be run again --------------------------------------------------------------

AGAIN: list[tuple[Callable[[], BaseException], str | None]] = [
    (lambda: ValueError("no"), "ValueError"),
    (lambda: trioq.RetryLater(3600), "trioq.errors.RetryLater"),
    (lambda: trioq.Snooze(3600), None),
]


@pytest.mark.parametrize("reason", ["deadline", "expired"])
@pytest.mark.parametrize(("raised", "told"), AGAIN)
async def test_what_would_be_run_again_when_it_is_too_late_is_cancelled_at_once(
    rig: Rig, raised: Callable[[], BaseException], told: str | None, reason: str
) -> None:
    @rig.app.job("again", retry=trioq.Retry(base=3600, cap=3600))
    async def again() -> None:
        raise raised()

    at_ms = time.time_ns() // 1_000_000 + 600_000
    at = {"deadline_ms": at_ms} if reason == "deadline" else {"expires_ms": at_ms}
    (uid,) = rig.enqueue("again", options=Options(**at))
    async with rig.running():
        event = await only_cancelled(rig, uid, reason)
    assert rig.of(JobSnoozed) == []
    assert len(rig.of(JobStarted)) == 1
    assert (None if event.error is None else event.error.type) == told


async def test_what_is_run_again_in_time_is(rig: Rig) -> None:
    @rig.app.job("again", retry=trioq.Retry(base=0.001))
    async def again(job: trioq.Job) -> None:
        if job.attempt < 3:
            raise ValueError

    options = Options(deadline_ms=time.time_ns() // 1_000_000 + 600_000, expires_ms=FAR_MS)
    rig.enqueue("again", options=options)
    async with rig.running():
        (done,) = await rig.reported(JobSucceeded)
    assert (done.attempt, rig.of(JobCancelled)) == (3, [])


async def test_who_gives_up_is_dead_whatever_the_time(rig: Rig) -> None:
    @rig.app.job("gives_up")
    async def gives_up() -> None:
        raise trioq.GiveUp

    rig.enqueue("gives_up", options=soon())
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert died.reason == "gave_up"


# -- what a handler enqueues -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "def", "process"])
@pytest.mark.parametrize("deadline_ms", [FAR_MS, None])
async def test_what_a_handler_enqueues_has_its_deadline(
    rig: Rig, tmp_path: Path, kind: str, deadline_ms: int | None
) -> None:
    url, told = rig.server.url, tmp_path / "told"

    @rig.app.job("async")
    async def handler(job: trioq.Job, url: str, told: str) -> None:
        async with trioq.connect(url=url, namespace="t") as client:
            handle = await client.enqueue("child", queue="low")
        await trio.Path(told).write_text(f"{handle.uid} {job.deadline}")

    @rig.app.job("def")
    def in_thread(job: trioq.Job, url: str, told: str) -> None:
        with trioq.connect_sync(url=url, namespace="t") as client:
            handle = client.enqueue("child", queue="low")
        Path(told).write_text(f"{handle.uid} {job.deadline}")

    if kind == "process":
        rig.app, kind = deeds, "enqueue_another"
    options = Options(deadline_ms=deadline_ms)
    (parent,) = rig.enqueue(kind, options=options, payload={"url": url, "told": str(told)})
    async with rig.running():
        await rig.reported(JobSucceeded, uid=parent)
    uid, _, deadline = told.read_text().partition(" ")
    child = decode(uid, rig.key("HGET", "jobs", uid)).record
    assert child.options.deadline_ms == deadline_ms
    assert deadline == str(options.deadline_ms and datetime.fromtimestamp(FAR_MS / 1000, UTC))


async def test_a_program_is_told_its_deadline(rig: Rig, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with_command(rig, "sh", "-c", f"echo $TRIOQ_JOB_DEADLINE >> {told}")
    rig.enqueue("program", options=Options(deadline_ms=FAR_MS))
    async with rig.running():
        await rig.reported(JobSucceeded, 1)
        rig.enqueue("program")
        await rig.reported(JobSucceeded, 2)
    assert told.read_text() == "2096-10-02T07:06:40+00:00\n\n"


# -- who waits ---------------------------------------------------------------------------------


async def test_who_waits_is_told_that_it_came_too_late(rig: Rig) -> None:
    @rig.app.job("sleeper")
    async def sleeper() -> None:
        await trio.sleep(LONG_S)

    @rig.app.job("kept", result="1h")
    async def kept() -> int:
        return 1

    async with rig.running(), trioq.connect(url=rig.server.url, namespace="t") as client:
        late = await client.enqueue("sleeper", queue="low", deadline=0.3)
        with pytest.raises(trioq.JobCancelled) as told:
            await late.result(LONG_S)
        assert told.value.reason == "deadline"
        # Nobody has waited for these when they ended.
        for name, asked in (("sleeper", "1h"), ("nobody_knows_it", "1h"), ("kept", None)):
            past = datetime(2020, 1, 1, tzinfo=UTC)
            missed = await client.enqueue(name, queue="low", expires=past, result=asked)
            await rig.reported(JobCancelled, uid=missed.uid)
            with pytest.raises(trioq.JobCancelled) as told:
                await missed.result(LONG_S)
            assert told.value.reason == "expired"
