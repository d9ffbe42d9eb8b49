"""What a whole engine makes of jobs: when they run, how often, and what is kept of them."""

from __future__ import annotations

import time

import pytest
import trio

import trioq
from tests.engine.rig import Rig, Tally, boot_of, config_of, noop
from tests.store.drive import Driver
from trioq.client.admin import Admin
from trioq.core import pace
from trioq.core.calls import NewJob
from trioq.core.events import (
    JobDied,
    JobFailed,
    JobParked,
    JobStarted,
    JobSucceeded,
)
from trioq.core.formats.record import encode
from trioq.core.job import Headers, Record, new_uid
from trioq.core.pace import POLL_S

pytestmark = pytest.mark.trio


# -- jobs --------------------------------------------------------------------------------------


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would come at the next poll doesn't come."""
    monkeypatch.setattr(pace, "POLL_S", 3600.0)


@pytest.mark.usefixtures("no_poll")
async def test_an_idle_engine_starts_a_job_at_the_bell_and_not_at_the_poll(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        for n in range(1, 11):
            rig.enqueue("noop")
            await rig.reported(JobSucceeded, n)


async def test_a_job_without_a_bell_is_found_all_the_same(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        await rig.until(lambda: rig.stats().engines)
        rig.server.call("DEL", "{t}:bell:low")
        for _ in range(3):  # whatever the engine's own step does, one of these has no bell
            rig.enqueue("noop")
            rig.server.call("DEL", "{t}:bell:low")
        await rig.reported(JobSucceeded, 3)


async def test_the_first_queue_goes_first(rig: Rig) -> None:
    noop(rig)
    rig.config = config_of(count=1)
    low = rig.enqueue("noop", 3, queue="low")
    high = rig.enqueue("noop", 3, queue="high")
    async with rig.running():
        await rig.reported(JobSucceeded, 6)
    assert [event.uid for event in rig.of(JobStarted)] == [*high, *low]


async def test_no_more_handlers_run_than_there_are_workers(rig: Rig) -> None:
    tally = Tally()

    @rig.app.job("counted")
    async def counted() -> None:
        with tally.one():
            await trio.sleep(0.001)

    rig.config = config_of(count=5)
    rig.enqueue("counted", 200)
    async with rig.running():
        await rig.reported(JobSucceeded, 200)
    assert tally.most == 5


async def test_a_paused_queue_rests_and_goes_on(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        rig.store.pause("operator", 1, "low", True)
        rig.enqueue("noop", queue="low")
        rig.enqueue("noop", queue="high")
        await rig.reported(JobSucceeded, queue="high")
        assert rig.of(JobStarted, queue="low") == []
        rig.store.pause("operator", 2, "low", False)
        await rig.reported(JobSucceeded, queue="low")


async def test_a_paused_queue_costs_an_engine_next_to_nothing(rig: Rig) -> None:
    noop(rig)
    rig.store.pause("operator", 1, "low", True)
    rig.enqueue("noop", 50)
    async with rig.running():
        sent = rig.wires["step"].sent
        await rig.until(lambda: len(sent) >= 3)  # two polls
        at_first = len(sent)
        await trio.sleep(2.5 * POLL_S)
        assert len(sent) - at_first <= 6, "it polls, and doesn't spin"


async def test_a_failing_job_is_tried_again_with_backoff_and_then_dead(rig: Rig) -> None:
    @rig.app.job("failing", retry=trioq.Retry(max_attempts=3, base=0.01, cap=0.02))
    async def failing(job: trioq.Job) -> None:
        raise ValueError(f"attempt {job.attempt} of {job.max_attempts}")

    (uid,) = rig.enqueue("failing")
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert [event.attempt for event in rig.of(JobFailed)] == [1, 2]
    assert (died.attempt, died.reason) == (3, "failures")
    lines = rig.history(uid)
    assert [line["attempt"] for line in lines] == [1, 2, 3]
    assert [line["message"] for line in lines] == [f"attempt {n} of 3" for n in (1, 2, 3)]
    assert all(line["type"] == "ValueError" and "failing" in line["traceback"] for line in lines)
    assert {line["engine"] for line in lines} == {boot_of(rig)}
    assert rig.key("HGET", "reasons", uid) == b"failures"


async def test_waiting_for_a_retry_takes_no_worker(rig: Rig) -> None:
    @rig.app.job("failing", retry=trioq.Retry(max_attempts=9, base=600, cap=600))
    async def failing() -> None:
        raise ValueError

    noop(rig)
    rig.config = config_of(count=1)
    rig.enqueue("failing", 5)
    rig.enqueue("noop")
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert rig.stats().queues["low"].scheduled == 5


async def test_a_snoozed_job_comes_back_with_its_attempts(rig: Rig) -> None:
    @rig.app.job("sleepy")
    async def sleepy(job: trioq.Job) -> None:
        seen.append(job.attempt)
        if len(seen) < 4:
            raise trioq.Snooze(0.01)

    seen: list[int] = []
    (uid,) = rig.enqueue("sleepy")
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert seen == [1, 1, 1, 1]
    assert rig.history(uid) == []


async def test_a_delayed_job_runs_when_it_is_due_and_not_before(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        due = time.time() + 0.3
        (late,) = rig.enqueue("noop", delay_ms=300)
        (soon,) = rig.enqueue("noop", delay_ms=100)
        await rig.reported(JobSucceeded, 2)
    assert [event.uid for event in rig.of(JobStarted)] == [soon, late]
    assert time.time() >= due - 0.002, "the server's milliseconds are whole"


async def test_an_engine_that_traces_nothing_hands_on_where_its_jobs_were_enqueued(
    rig: Rig,
) -> None:
    seen: list[Headers] = []

    @rig.app.job("looks")
    async def looks(job: trioq.Job) -> None:
        seen.append(job.trace)

    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    record = Record(new_uid(), "looks", "low", b"{}", trace=trace)
    stored, big = encode(record)
    rig.store.enqueue("caller", 1, [NewJob(record.uid, "low", stored, big)])
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert seen == [trace]


async def test_a_big_payload_reaches_its_handler_byte_for_byte(rig: Rig) -> None:
    got: list[str] = []

    @rig.app.job("big")
    async def big(text: str) -> None:
        got.append(text)

    text = "é" * 50_000
    rig.enqueue("big", payload={"text": text})
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert got == [text]


async def test_a_job_whose_big_payload_is_gone_is_dead_and_says_so(rig: Rig) -> None:
    @rig.app.job("big")
    async def big(text: str) -> None: ...

    (uid,) = rig.enqueue("big", payload={"text": "x" * 50_000})
    rig.key("DEL", "big")
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert (died.uid, died.reason) == (uid, "undecodable")
    assert rig.history(uid)[0]["message"] == "its payload is gone"


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"not json\n{}",
        b"[]\n{}",
        b'{"v":99,"name":"noop","queue":"low"}\n{}',
        b'{"v":1,"name":7,"queue":"low"}\n{}',
        b'{"v":1,"name":"noop","queue":"low"}\n[]',
        b'{"v":1,"name":"noop","queue":"low"}\n\xff',
        b'{"v":1,"name":"noop","queue":"low","max_attempts":0}\n{}',
        b'{"v":1,"name":"noop","queue":"low","max_attempts":"3"}\n{}',
        b'{"v":1,"name":"noop","queue":"low","timeout_s":"soon"}\n{}',
        b'{"v":1,"name":"noop","queue":"low","timeout_s":NaN}\n{}',
        b'{"v":1,"name":"noop","queue":"low","at":"noon"}\n{}',
        b'{"v":1,"name":"noop","queue":"low","id":[]}\n{}',
        b'{"v":1,"name":"stranger","queue":"elsewhere"}\n{}',
        b"[" * 100_000,
    ],
    ids=lambda record: record[:60].decode("latin-1"),
)
async def test_a_record_that_makes_no_sense_is_dead_and_hurts_nobody(
    rig: Rig, record: bytes
) -> None:
    noop(rig)
    (bad,) = rig.enqueue("noop")
    rig.key("HSET", "jobs", bad, record)
    rig.enqueue("noop")
    async with rig.running():
        (died,) = await rig.reported(JobDied)
        await rig.reported(JobSucceeded)
    assert (died.uid, died.reason) == (bad, "undecodable")
    assert rig.history(bad)[0]["type"] == "RecordUnreadable"
    assert rig.key("HGET", "jobs", bad) == record, "the bytes stay as they are"


async def test_a_name_that_nobody_knows_waits_and_runs_where_it_is_known(rig: Rig) -> None:
    noop(rig)
    (uid,) = rig.enqueue("stranger")
    async with rig.running():
        await rig.reported(JobParked, why="unknown name")
        rig.enqueue("noop")
        await rig.reported(JobSucceeded, name="noop")
        # Said before it is sent: the step that brought the next job may have left already.
        await rig.until(lambda: rig.stats().queues["low"].parked == 1)
        assert len(rig.of(JobParked)) == 1, "it moves once, not round and round"

        noop(rig, "stranger")  # a deployment: the next engine knows it
        async with rig.running():
            await rig.reported(JobSucceeded, uid=uid)
    assert rig.key("HLEN", "attempts") == 0
    assert rig.key("EXISTS", "parked:low:stranger") == 0


async def test_a_paused_name_waits_while_others_of_its_queue_run(rig: Rig) -> None:
    noop(rig)
    noop(rig, "other")
    admin = Admin(rig.server.store("t"))
    async with rig.running():
        admin.pause(job="noop")
        paused = rig.enqueue("noop", 20)
        rig.enqueue("other", 20)
        await rig.reported(JobSucceeded, 20, name="other")
        await rig.until(lambda: rig.stats().queues["low"].parked == 20)
        assert not rig.of(JobStarted, name="noop")
        admin.resume(job="noop")
        await rig.reported(JobSucceeded, 20, name="noop")
    assert {event.uid for event in rig.of(JobStarted, name="noop", attempt=1)} == {*paused}
    assert [rig.key("EXISTS", key) for key in ("parked", "behind", "paused", "pauses")] == [0] * 4
    admin.store.close()


async def test_parked_jobs_keep_their_order(rig: Rig) -> None:
    noop(rig)
    uids = rig.enqueue("stranger", 40)
    async with rig.running():
        await rig.reported(JobParked, 40)
    rig.events.clear()
    noop(rig, "stranger")
    rig.config = config_of(count=1)
    async with rig.running():
        await rig.reported(JobSucceeded, 40)
    assert [event.uid for event in rig.of(JobStarted)] == uids


# -- crashes -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_poll")
async def test_suspects_run_one_after_the_other_without_pauses(rig: Rig) -> None:
    """Each comes with the step that settles the one before, and not at the next poll."""
    tally = Tally()

    @rig.app.job("suspected")
    async def suspected() -> None:
        with tally.one():
            await trio.sleep(0.005)

    uids = rig.enqueue("suspected", 30)
    die_with(rig, 30)
    assert rig.stats().queues["low"].suspects == 30
    async with rig.running():
        await rig.reported(JobSucceeded, 30)
    assert tally.most == 1
    assert [event.uid for event in rig.of(JobStarted)] == uids


def die_with(rig: Rig, count: int) -> None:
    """An engine claims so many jobs and is reaped."""
    driver = Driver(rig.store)
    assert len(driver.step(count)) == count
    counter = rig.store.observe()[driver.engine]
    assert rig.store.reap(driver.engine, counter, 3).moved == count


async def test_work_ahead_that_a_busy_engine_cannot_do_goes_to_an_idle_one(rig: Rig) -> None:
    gate = trio.Event()

    @rig.app.job("tiny")
    async def tiny() -> None:
        pass

    @rig.app.job("long")
    async def long() -> None:
        await gate.wait()

    # Many tiny jobs teach the engine to look ahead; then all its workers are taken.
    rig.enqueue("tiny", 400)
    rig.enqueue("long", 4)
    rest = rig.enqueue("tiny", 20)
    async with rig.running():
        await rig.reported(JobStarted, 4, name="long")
        async with rig.running():
            await rig.until(
                lambda: {event.uid for event in rig.of(JobSucceeded)} >= set(rest), timeout_s=10
            )
        gate.set()
    assert rig.key("HLEN", "attempts") == 0
