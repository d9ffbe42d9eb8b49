"""Which runners are given another job, and how much of its time is left when one hears of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import attrs
import pytest
import trio

from tests.engine.handlers.attempts import job_with
from tests.engine.handlers.programs import pid_in, until
from tests.engine.handlers.runners.deeds import app
from tests.engine.handlers.runners.runs import THREADS, outcome_of, processes, runners
from trioq.core.job import new_uid
from trioq.core.outcome import Failed, Succeeded
from trioq.engine.handlers import Runners
from trioq.engine.handlers.begun import Broken
from trioq.engine.handlers.runners.ends import Ended

pytestmark = pytest.mark.trio


async def pid_of_next(made: Runners, directory: Path) -> int:
    """The runner that has the next job."""
    told = directory / new_uid()
    assert await outcome_of(made, "note_pid", {"told": str(told)}) == Succeeded()
    return await pid_in(told)


async def test_one_whose_job_was_cancelled_ends_though_others_go_on(tmp_path: Path) -> None:
    async with runners(app) as made:
        told = tmp_path / "told"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome_of, made, "heed_its_cancellation", {"told": str(told)})
            await until(told.exists)
            nursery.cancel_scope.cancel()
        next_ = await pid_of_next(made, tmp_path)
        await until(lambda: processes() == {str(next_)})


async def test_one_whose_job_took_too_long_by_its_own_clock_is_used_no_more(tmp_path: Path) -> None:
    async with runners(app) as made:
        first = await pid_of_next(made, tmp_path)
        async with made.lent(lambda: 0.1) as lent:
            assert not isinstance(lent, Broken)
            job = attrs.evolve(job_with(told=str(tmp_path / "told")), name="heed_its_cancellation")
            with pytest.raises(Ended) as caught:
                await lent.run(job, THREADS, 30)
        assert isinstance(caught.value.outcome, Failed)
        assert caught.value.outcome.error.kind == "timeout"
        assert await pid_of_next(made, tmp_path) != first


async def test_one_that_says_more_than_how_its_job_ended_is_used_no_more(tmp_path: Path) -> None:
    answer = json.dumps({"ended": "Succeeded", "result": None})
    framed = len(answer).to_bytes(8, "big").decode("latin-1") + answer
    async with runners(app) as made:
        first = await pid_of_next(made, tmp_path)
        nonsense = {"nonsense": framed + "\xff" * 9}
        assert await outcome_of(made, "talk_nonsense", nonsense) == Succeeded()
        assert await pid_of_next(made, tmp_path) != first


class KillsBefore(trio.abc.Instrument):
    """Kills a process in the moment in which a task is about to go on."""

    def __init__(self, task: trio.lowlevel.Task, pid: int) -> None:
        self.task, self.pid = task, pid

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            trio.lowlevel.remove_instrument(self)
            os.kill(self.pid, signal.SIGKILL)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


async def test_one_that_has_ended_is_given_no_job_though_nobody_has_seen_it_yet(
    tmp_path: Path,
) -> None:
    async with runners(app) as made:
        first = await pid_of_next(made, tmp_path)
        trio.lowlevel.add_instrument(KillsBefore(trio.lowlevel.current_task(), first))
        assert await pid_of_next(made, tmp_path) != first


async def test_a_jobs_time_counts_from_when_it_was_given_not_from_when_it_was_heard(
    tmp_path: Path,
) -> None:
    async with runners(app) as made:
        pid = await pid_of_next(made, tmp_path)
        told = tmp_path / "told"
        os.kill(pid, signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome_of, made, "tell_its_time", {"told": str(told)})
            await trio.sleep(0.5)
            os.kill(pid, signal.SIGCONT)
        assert float(told.read_text()) <= 60 - 0.5
