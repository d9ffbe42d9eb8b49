"""Jobs of a whole engine that run in its runners."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trioq
from tests.engine.handlers.programs import pid_in
from tests.engine.handlers.runners import sharing
from tests.engine.handlers.runners.deeds import app
from tests.engine.handlers.runners.runs import processes
from tests.engine.rig import Rig, config_of
from trioq.core.events import (
    BootLost,
    EngineStarted,
    JobFailed,
    JobReleased,
    JobStarted,
    JobSucceeded,
    SettlementRefused,
)
from trioq.core.formats.note import Noted, decode
from trioq.core.job import Options

pytestmark = pytest.mark.trio


#: Of the engines here.
WORKERS = 4

#: An engine that could claim more would have by then: some round trips.
SETTLED_S = 0.05


@pytest.fixture(autouse=True)
def with_deeds(rig: Rig) -> None:
    rig.app = app
    rig.config = config_of(runners=1, timeout_s=30.0)


async def test_a_runner_that_dies_is_one_failed_attempt_and_the_engine_goes_on(rig: Rig) -> None:
    rig.config = config_of(runners=1, max_attempts=1)
    (uid,) = rig.enqueue("crash")
    async with rig.running():
        await rig.until(lambda: rig.stats().dead)
        rig.enqueue("finish_in_spite_of_it", payload={"seconds": 0})
        await rig.reported(JobSucceeded)
    (kept,) = rig.history(uid)
    assert kept["type"] == "killed by SIGSEGV"
    assert processes() == set()


async def test_a_drain_waits_for_the_jobs_of_runners(rig: Rig, tmp_path: Path) -> None:
    rig.enqueue("finish_in_spite_of_it", payload={"seconds": 0.5})
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        engine.drain()
    assert len(rig.of(JobSucceeded)) == 1
    assert processes() == set()


async def test_an_engine_that_hurries_gives_the_jobs_of_its_runners_back(
    rig: Rig, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    (uid,) = rig.enqueue("heed_its_cancellation", payload={"told": str(told)})
    async with rig.running() as engine:
        await rig.until(told.exists)
        engine.hurry()
    assert [event.uid for event in rig.of(JobReleased)] == [uid]
    assert rig.of(JobFailed) == []
    assert (rig.stats().queues["low"].ready, rig.history(uid)) == (1, [])
    assert told.read_text() == "cleaned up"
    assert processes() == set()


@pytest.mark.direct  # it is about runners
async def test_the_time_that_a_runner_takes_to_start_is_not_the_handlers(rig: Rig) -> None:
    rig.config = config_of(runners=1, runner_jobs=1)
    rig.enqueue("finish_in_spite_of_it", payload={"seconds": 0})
    async with rig.running():
        await rig.reported(JobSucceeded)
        since = trio.current_time()
        rig.enqueue("finish_in_spite_of_it", payload={"seconds": 0})
        await rig.reported(JobStarted, 2)
        waited_s = trio.current_time() - since
        _, second = await rig.reported(JobSucceeded, 2)
    assert second.took_s < waited_s / 2


@pytest.mark.direct  # it is about runners
async def test_the_time_that_a_job_waits_for_a_runner_is_not_its_handlers(rig: Rig) -> None:
    rig.config = config_of(runners=1, timeout_s=2.0)
    long, begun_s = Options(timeout_s=60.0), trio.current_time()
    rig.enqueue("finish_in_spite_of_it", payload={"seconds": 3.0}, options=long)
    rig.enqueue("finish_in_spite_of_it", 3, payload={"seconds": 0.1})
    async with rig.running():
        await rig.reported(JobSucceeded, 4)
    assert sum(event.took_s for event in rig.of(JobSucceeded)) < trio.current_time() - begun_s
    assert rig.of(JobFailed) == []


async def test_jobs_that_wait_for_a_runner_hold_no_worker(rig: Rig, tmp_path: Path) -> None:
    told = tmp_path / "told"
    apart = rig.enqueue("wait_for", WORKERS, payload={"told": str(told)})
    here = rig.enqueue("pass_by", 10)
    async with rig.running():
        done = await rig.reported(JobSucceeded, len(here))
        assert {event.uid for event in done} == set(here)
        told.touch()
        await rig.reported(JobSucceeded, len(apart) + len(here))
    assert [event.uid for event in rig.of(JobStarted) if event.uid in apart] == apart


async def test_however_many_wait_for_a_runner_other_queues_go_on(rig: Rig, tmp_path: Path) -> None:
    told = tmp_path / "told"
    apart = rig.enqueue("wait_for", 40, payload={"told": str(told)})
    async with rig.running() as engine:
        await rig.until(lambda: engine.status().waiting >= WORKERS)
        here = rig.enqueue("pass_by", 10, queue="high")
        done = await rig.reported(JobSucceeded, len(here))
        assert {event.uid for event in done} == set(here)
        await wait_all_tasks_blocked(SETTLED_S)
        assert rig.stats().queues["low"].ready >= len(apart) - 4 * WORKERS, "others may run them"
        told.touch()
        await rig.reported(JobSucceeded, len(apart) + len(here))
    assert [event.uid for event in rig.of(JobStarted) if event.uid in apart] == apart


@pytest.mark.long
@pytest.mark.direct  # it is about many runners
async def test_what_fails_while_many_others_of_its_queue_wait_for_a_runner_is_tried_again(
    rig: Rig,
) -> None:
    """Though nothing more is claimed from there."""
    rig.config = config_of(runners=1, timeout_s=30.0, max_attempts=2)
    rig.enqueue("crash", 2 * WORKERS)
    async with rig.running():
        await rig.until(lambda: rig.stats().dead == 2 * WORKERS)
    assert rig.of(BootLost) == rig.of(SettlementRefused) == []
    assert len(rig.of(JobFailed)) == 2 * WORKERS


async def test_where_all_queues_wait_for_a_runner_no_more_is_claimed(
    rig: Rig, tmp_path: Path
) -> None:
    rig.config = config_of(("low",), runners=1)
    told = tmp_path / "told"
    rig.enqueue("wait_for", 40, payload={"told": str(told)})
    async with rig.running() as engine:
        await rig.until(lambda: engine.status().waiting >= WORKERS)
        await wait_all_tasks_blocked(SETTLED_S)
        assert rig.stats().queues["low"].ready >= 40 - 4 * WORKERS
        told.touch()
        await rig.reported(JobSucceeded, 40)


async def test_jobs_that_wait_for_a_runner_go_back_at_once_when_the_engine_drains(
    rig: Rig, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    rig.enqueue("wait_for", WORKERS, payload={"told": str(told)})
    async with rig.running() as engine:
        await rig.until(lambda: engine.status().waiting == WORKERS - 1)
        engine.drain()
        await rig.until(lambda: rig.stats().queues["low"].ready == WORKERS - 1)
        told.touch()
    assert len(rig.of(JobSucceeded)) == 1


async def test_a_job_that_needs_no_runner_in_the_end_lets_the_next_one_have_it(
    rig: Rig, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    rig.enqueue("wait_for", payload={"told": str(told)})
    rig.enqueue("wait_for", payload={"told": 7, "and": "no such thing"})
    rig.enqueue("finish_in_spite_of_it", payload={"seconds": 0})
    async with rig.running() as engine:
        await rig.until(lambda: engine.status().waiting == 2)
        told.touch()
        await rig.reported(JobSucceeded, 2)


async def test_a_handler_is_told_where_it_runs(rig: Rig, tmp_path: Path) -> None:
    told = tmp_path / "told"
    (uid,) = rig.enqueue("look_around", payload={"told": str(told)})
    async with rig.running():
        (started_by,) = await rig.reported(EngineStarted)
        await rig.reported(JobSucceeded)
    seen = json.loads(told.read_text())
    assert seen["pid"] != os.getpid()
    boot, worker = seen["place"]
    assert (boot, 0 <= worker < 4) == (started_by.boot, True)
    token = seen["job"][2]
    assert seen["job"] == [uid, 1, token, {}]
    assert token.endswith(f":{uid}")


async def test_an_engine_that_is_cancelled_leaves_no_runner(rig: Rig, tmp_path: Path) -> None:
    told = tmp_path / "told"
    (uid,) = rig.enqueue("heed_its_cancellation", payload={"told": str(told)})
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine().run)
        await rig.until(told.exists)
        nursery.cancel_scope.cancel()
    assert (rig.stats().queues["low"].ready, rig.history(uid)) == (1, [])
    assert processes() == set()


async def test_a_job_whose_runner_is_killed_runs_again_with_another(
    rig: Rig, tmp_path: Path
) -> None:
    rig.enqueue("hold_the_lock", payload={"told": str(tmp_path / "pid")})
    async with rig.running() as engine:
        pid = await pid_in(tmp_path / "pid")
        os.kill(pid, signal.SIGKILL)
        await rig.reported(JobFailed)
        await rig.reported(JobStarted, 2)
        assert await rig.until(lambda: (tmp_path / "pid").read_text() != f"{pid}\n")
        engine.hurry()
        for runner in processes():  # which would have five seconds
            os.kill(int(runner), signal.SIGKILL)


async def test_a_job_that_waited_for_a_runner_does_not_start_on_a_lease_that_has_ended(
    rig: Rig, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    both = rig.enqueue("wait_for", 2, payload={"told": str(told)})
    async with rig.running() as engine:
        (started,) = await rig.reported(JobStarted)
        (waits,) = set(both) - {started.uid}
        await rig.until(lambda: engine.status().waiting == 1)
        for wire in rig.wires.values():
            wire.lose = ["request"] * 100_000
        dispatcher = engine.shards[0].dispatcher
        assert dispatcher is not None
        await rig.until(lambda: not dispatcher.may_start())
        told.touch()
        await rig.reported(JobReleased, uid=waits)
        assert rig.of(JobStarted) == [started]
        for wire in rig.wires.values():
            wire.lose = []


async def test_what_a_handler_in_a_process_says_is_there_for_the_next_attempt_and_in_the_history(
    rig: Rig, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    rig.config = config_of(runners=1, max_attempts=2)
    (uid,) = rig.enqueue("count", payload={"pages": 300, "told": str(told)})
    async with rig.running():
        await rig.until(lambda: rig.stats().dead)
    assert told.read_text() == f"{299 / 300:g} {{'page': 299, 'of': 1}}"
    for line in rig.history(uid):
        assert line["log"][-1] == "page 299"
        assert "page 0" not in line["log"]
    (note,) = rig.store.notes_of([uid])
    found = decode(note)
    assert found is not None
    assert found.log == tuple(f"page {n}" for n in range(100, 300))
    assert found.progress is not None
    assert (found.progress.text, found.progress.attempt) == ("page 299", 2)


async def test_what_a_handler_in_a_process_says_is_told_while_it_runs(rig: Rig) -> None:
    (uid,) = rig.enqueue("dawdle")

    def noted() -> Noted | None:
        return decode(rig.store.notes_of([uid])[0])

    async with rig.running() as engine:
        await rig.until(lambda: noted() is not None)
        engine.hurry()
    found = noted()
    assert found is not None
    assert found.progress is not None
    assert (found.progress.fraction, found.progress.data, found.log) == (0.5, ["ü"], ("here",))


# -- what handlers share ---------------------------------------------------------------------------


@pytest.fixture
def log(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rig.config = config_of(runners=1, runner_jobs=2, max_attempts=1)
    monkeypatch.setenv(sharing.LOG, str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.mark.parametrize("app", [sharing.app, sharing.of_asyncio])
async def test_each_runner_enters_a_lifespan_once_and_leaves_it_and_the_engine_does_not(
    rig: Rig, log: Path, app: trioq.App
) -> None:
    rig.app = app
    async with rig.running():
        for uid in rig.enqueue("count", 3):
            await rig.reported(JobSucceeded, uid=uid)
    said = sharing.said_in(log)
    both = ["entered", "ran 1", "ran 2", "left"]
    assert sorted(said.values()) == [["entered", "ran 1", "left"], both]
    assert os.getpid() not in said


async def test_an_engine_whose_runners_cannot_enter_a_lifespan_does_not_start(
    rig: Rig, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.app = sharing.app
    monkeypatch.setenv(sharing.FAILS, "start")
    with pytest.raises(trioq.LifespanError) as caught:
        await rig.engine().run()
    assert str(caught.value).startswith(
        "in a process of its own: the lifespan tests.engine.handlers.runners.sharing.counts failed"
        " at its start: ConnectionError: no database\n  File"
    )


async def test_a_runner_that_fails_when_it_leaves_says_so_and_costs_no_job_anything(
    rig: Rig, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rig.app = sharing.app
    monkeypatch.setenv(sharing.FAILS, "end")
    async with rig.running():
        await rig.reported(JobSucceeded, uid=rig.enqueue("count")[0])
    assert "sharing.counts failed at its end: ConnectionError: no goodbye" in capfd.readouterr().err
