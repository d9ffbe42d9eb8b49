"""A supervisor with real processes, which run no engine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import structlog
import trio
from prometheus_client import generate_latest

from tests.support import PATIENCE_S
from trioq import web
from trioq.errors import ConfigError
from trioq.processes.ends import FAILED, LONGEST_S, WRONG_USE
from trioq.processes.limits import Limits
from trioq.processes.notify import Notifier
from trioq.processes.pages import Served
from trioq.processes.supervisor import Supervisor, Terms


@attrs.define
class Scene:
    """A supervisor that runs, and what it says."""

    supervisor: Supervisor
    lines: list[dict[str, Any]]
    code: int | None = None
    over: trio.Event = attrs.field(factory=trio.Event)

    async def until(self, is_so: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110  no event tells of all of these
                await trio.sleep(0.01)

    async def until_ready(self, *numbers: int) -> None:
        await self.until(lambda: self.ready == list(numbers))

    @property
    def ready(self) -> list[int]:
        return [n for n, child in self.supervisor.children.items() if child.phase == "ready"]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def pid(self, number: int) -> int:
        return self.supervisor.children[number].pid


@asynccontextmanager
async def supervising(wanted: int, *words: str, **options: Any) -> AsyncIterator[Scene]:
    lines: list[dict[str, Any]] = []

    def keep(logger: object, method: str, line: Any) -> Any:
        lines.append({**line, "level": method})
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, processors=[keep])

    def argv(number: int, fd: int, leads: bool) -> list[str]:
        return [sys.executable, "-m", "tests.processes.child", str(fd), str(number), *words]

    terms = Terms(wanted, options.pop("limits", Limits()), grace_s=0.1)
    options = {"reread": lambda: terms, "notifier": Notifier("", None)} | options
    supervisor = Supervisor(argv, terms, log=log, **options)
    scene = Scene(supervisor, lines)

    async def run(task_status: trio.TaskStatus[None]) -> None:
        scene.code = await supervisor.run(task_status=task_status)
        scene.over.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        try:
            yield scene
        finally:
            with trio.move_on_after(PATIENCE_S, shield=True):
                supervisor.stop()
                await scene.over.wait()
            nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_as_many_run_as_are_wanted_started_in_turn() -> None:
    async with supervising(3) as scene:
        await scene.until_ready(1, 2, 3)
        events = [(line["event"], line["process"]) for line in scene.lines]
        assert events == [(e, n) for n in (1, 2, 3) for e in ("child_started", "child_ready")]
    assert scene.code == 0


@pytest.mark.trio
async def test_told_to_stop_before_one_was_started_it_ends() -> None:
    async with supervising(1) as scene:
        scene.supervisor.stop()
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
    assert scene.code == 0


@pytest.mark.trio
@pytest.mark.parametrize("code", [FAILED, 3])
async def test_what_fails_while_all_drain_is_told_by_the_exit_code(code: int) -> None:
    async with supervising(2, f"last={code}") as scene:
        await scene.until_ready(1, 2)
    assert scene.code == (FAILED if code == FAILED else 0)


@pytest.mark.trio
async def test_sigterm_drains_them_all() -> None:
    async with supervising(2) as scene:
        await scene.until_ready(1, 2)
        os.kill(os.getpid(), signal.SIGTERM)
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
    assert scene.code == 0
    assert [line["exit"] for line in scene.told("child_ended")] == [0, 0]


@pytest.mark.trio
async def test_one_that_was_killed_is_replaced() -> None:
    async with supervising(2) as scene:
        await scene.until_ready(1, 2)
        os.kill(scene.pid(1), signal.SIGKILL)
        await scene.until_ready(2, 3)
        assert scene.told("child_ended_by_itself")[0]["exit"] == -signal.SIGKILL


@pytest.mark.trio
async def test_one_that_keeps_ending_is_the_end_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioq.processes.ends.LONGEST_S", 0.1)
    async with supervising(1, "exit=1") as scene:
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
    assert scene.code == FAILED
    assert len(scene.told("child_ended_by_itself")) == 5
    assert len(scene.told("children_keep_ending")) == 1


@pytest.mark.trio
async def test_a_wrong_configuration_is_not_tried_again() -> None:
    async with supervising(1, f"exit={WRONG_USE}") as scene:
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
    assert scene.code == WRONG_USE
    assert len(scene.told("child_started")) == 1


@pytest.mark.trio
async def test_sighup_replaces_one_after_the_other_without_a_gap() -> None:
    async with supervising(2) as scene:
        await scene.until_ready(1, 2)
        os.kill(os.getpid(), signal.SIGHUP)
        fewest = 2

        def is_done() -> bool:
            nonlocal fewest
            fewest = min(fewest, len(scene.ready))
            return sorted(scene.supervisor.children) == [3, 4] and scene.ready == [3, 4]

        await scene.until(is_done)
        assert fewest == 2
        events = [
            (line["event"], line["process"])
            for line in scene.lines[5:]
            if line["event"] in ("child_ready", "child_draining", "child_ended")
        ]
        assert events == [
            ("child_ready", 3), ("child_draining", 1), ("child_ended", 1),
            ("child_ready", 4), ("child_draining", 2), ("child_ended", 2),
        ]  # fmt: skip


@pytest.mark.trio
async def test_signals_add_one_and_remove_one() -> None:
    async with supervising(1) as scene:
        await scene.until_ready(1)
        os.kill(os.getpid(), signal.SIGUSR1)
        await scene.until_ready(1, 2)
        os.kill(os.getpid(), signal.SIGUSR2)
        await scene.until(lambda: list(scene.supervisor.children) == [1])
    assert scene.code == 0


@pytest.mark.trio
async def test_while_all_drain_nobody_is_added_or_replaced() -> None:
    async with supervising(1, "deaf=yes") as scene:
        await scene.until_ready(1)
        scene.supervisor.stop()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            os.kill(os.getpid(), number)
        await scene.until(lambda: len(scene.told("signal_ignored")) == 3)
        assert scene.supervisor.wanted == 1
        assert not scene.supervisor.children[1].leaving
        scene.supervisor.children[1].kill()


@pytest.mark.trio
async def test_one_that_has_run_enough_jobs_is_replaced() -> None:
    async with supervising(1, "jobs=100", limits=Limits(max_jobs=50)) as scene:
        await scene.until(lambda: bool(scene.told("child_ended")))
        assert scene.told("child_draining")[0]["why"] == "it has run 100 jobs"


@pytest.mark.trio
async def test_one_that_has_grown_by_enough_since_its_start_is_replaced() -> None:
    limits = Limits(max_growth=16 << 20)
    async with supervising(1, f"grows={32 << 20}", limits=limits) as scene:
        await scene.until(lambda: bool(scene.told("child_draining")))
        assert "more than at its start" in scene.told("child_draining")[0]["why"]


@pytest.mark.trio
async def test_children_that_start_together_are_not_old_together() -> None:
    async with supervising(2, limits=Limits(max_age_s=1e6)) as scene:
        await scene.until_ready(1, 2)
        one, two = (child.limits.max_age_s for child in scene.supervisor.children.values())
        assert one != two


@pytest.mark.trio
async def test_a_signal_from_a_terminal_is_the_supervisors_to_handle() -> None:
    async with supervising(2) as scene:
        await scene.until_ready(1, 2)
        pids = [scene.pid(1), scene.pid(2)]
        assert [os.getpgid(pid) for pid in pids] == pids


@pytest.mark.trio
async def test_one_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioq.processes.watch.KILL_AFTER_S", 0.1)
    async with supervising(1, "deaf=yes") as scene:
        await scene.until_ready(1)
        scene.supervisor.stop()
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
    assert scene.told("child_ended")[0]["exit"] == -signal.SIGKILL


@pytest.mark.trio
async def test_what_all_have_counted_is_summed_also_of_those_that_ended() -> None:
    async with supervising(2) as scene:
        served = Served(scene.supervisor, web.bind("127.0.0.1", 0), scene.supervisor.log)
        await scene.until_ready(1, 2)
        scene.supervisor.scale(1)
        await scene.until(lambda: list(scene.supervisor.children) == [1])
        page = generate_latest(await served.registry()).decode()
        assert "jobs_total 3.0" in page
        assert 'running{process="1"} 1.0' in page
        served.bound.close()


@pytest.mark.trio
async def test_what_one_has_told_before_it_was_killed_stays_counted() -> None:
    async with supervising(2) as scene:
        served = Served(scene.supervisor, web.bind("127.0.0.1", 0), scene.supervisor.log)
        await scene.until_ready(1, 2)
        assert "jobs_total 3.0" in generate_latest(await served.registry()).decode()
        await scene.supervisor.health.ask_all()  # how they are, which says nothing of their metrics
        os.kill(scene.pid(2), signal.SIGKILL)
        await scene.until_ready(1, 3)
        assert "jobs_total 6.0" in generate_latest(await served.registry()).decode()
        served.bound.close()


@pytest.mark.trio
async def test_ready_means_that_all_are() -> None:
    async with supervising(2, "ill=2") as scene:
        await scene.until_ready(1, 2)
        await scene.supervisor.health.ask_all()
        is_ready, told = scene.supervisor.readiness()
        assert not is_ready
        assert told["processes"]["1"]["ready"]
        assert not told["processes"]["2"]["ready"]
        scene.supervisor.scale(1)
        await scene.until(lambda: list(scene.supervisor.children) == [1])
        assert scene.supervisor.readiness()[0]


@pytest.mark.trio
async def test_children_whose_supervisor_is_gone_end() -> None:
    async with supervising(1) as scene:
        await scene.until_ready(1)
        child = scene.supervisor.children[1]
        await child.close()  # what the system does for one that was killed
        with trio.fail_after(PATIENCE_S):
            assert await child.process.wait() == 0


@pytest.mark.trio
async def test_where_the_one_that_leads_sees_that_all_is_done_all_end() -> None:
    async with supervising(3, "exit=0", "not=2,3", until_done=True) as scene:
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
    assert scene.code == 0
    assert scene.told("child_ended_by_itself") == []


@pytest.mark.trio
async def test_where_others_end_before_all_is_done_they_are_replaced() -> None:
    async with supervising(2, "exit=0", "not=1,3", until_done=True) as scene:
        await scene.until_ready(1, 3)
        assert scene.told("child_ended_by_itself")[0]["process"] == 2


@pytest.mark.trio
async def test_who_leads_is_replaced_and_that_is_not_the_end_of_all() -> None:
    async with supervising(2, until_done=True) as scene:
        await scene.until_ready(1, 2)
        scene.supervisor.replace_all("new code")
        await scene.until(lambda: sorted(scene.supervisor.children) == scene.ready == [3, 4])
        assert [child.leads for child in scene.supervisor.children.values()] == [True, False]


@pytest.mark.trio
async def test_a_wrong_configuration_replaces_nobody() -> None:
    async with supervising(1, reread=wrong) as scene:
        await scene.until_ready(1)
        os.kill(os.getpid(), signal.SIGHUP)
        await scene.until(lambda: bool(scene.told("not_replaced")))
        assert scene.told("configuration")[0]["fault"] == "worker.count: expected four"
        assert not scene.supervisor.children[1].leaving


def wrong() -> Terms:
    raise ConfigError(["worker.count: expected four"])


@pytest.mark.trio
async def test_sighup_takes_what_is_configured_now() -> None:
    async with supervising(1, reread=lambda: Terms(2, Limits(), 0.1)) as scene:
        await scene.until_ready(1)
        os.kill(os.getpid(), signal.SIGHUP)
        await scene.until(lambda: scene.ready == [2, 3] and len(scene.supervisor.children) == 2)


@pytest.mark.trio
async def test_sighup_takes_the_limits_that_are_configured_now() -> None:
    terms = Terms(1, Limits(max_jobs=50), 0.1)
    async with supervising(1, "jobs=100", reread=lambda: terms) as scene:
        await scene.until_ready(1)
        os.kill(os.getpid(), signal.SIGHUP)
        await scene.until(lambda: len(scene.told("child_draining")) > 1)
        whys = [line["why"] for line in scene.told("child_draining")]
        assert whys[:2] == ["SIGHUP", "it has run 100 jobs"]


@pytest.mark.trio
async def test_sighup_leaves_as_many_as_were_asked_for_meanwhile() -> None:
    async with supervising(1) as scene:
        await scene.until_ready(1)
        scene.supervisor.scale(2)
        await scene.until_ready(1, 2)
        os.kill(os.getpid(), signal.SIGHUP)
        await scene.until(lambda: sorted(scene.supervisor.children) == scene.ready == [3, 4])
        assert scene.supervisor.wanted == 2


@pytest.mark.trio
async def test_one_that_is_being_started_while_all_are_told_to_stop_ends_too() -> None:
    async with supervising(1) as scene:
        await scene.until_ready(1)
        argv = scene.supervisor.argv

        def stopped(number: int, fd: int, leads: bool) -> Sequence[str]:
            scene.supervisor.stop()
            return argv(number, fd, leads)

        scene.supervisor.argv = stopped
        scene.supervisor.scale(2)
        with trio.fail_after(PATIENCE_S):
            await scene.over.wait()
        assert {line["process"] for line in scene.told("child_ended")} == {1, 2}


@pytest.mark.trio
async def test_a_deployment_that_is_wrong_leaves_what_runs_alone() -> None:
    async with supervising(1, f"exit={WRONG_USE}", "not=1") as scene:
        await scene.until_ready(1)
        os.kill(os.getpid(), signal.SIGHUP)
        await scene.until(lambda: bool(scene.told("child_not_replaced")))
        assert scene.ready == [1]


@pytest.mark.trio
async def test_a_deployment_that_was_mended_is_tried_at_once_on_sighup() -> None:
    async with supervising(1, f"exit={WRONG_USE}", "not=1,3") as scene:
        await scene.until_ready(1)
        scene.supervisor.replace_all("new code")
        await scene.until(lambda: bool(scene.told("child_not_replaced")))
        scene.supervisor.replace_all("mended code")
        with trio.fail_after(LONGEST_S / 2):
            await scene.until(lambda: scene.ready == [3] and len(scene.supervisor.children) == 1)


@pytest.mark.trio
async def test_one_that_drains_already_isnt_hurried_when_all_are_told_to_stop() -> None:
    async with supervising(2, "deaf=yes") as scene:
        await scene.until_ready(1, 2)
        one, two = scene.supervisor.children.values()

        looks = 0

        async def signalled(*counts: int) -> None:
            """So often each was told, by the time that a later signal has come."""
            nonlocal looks
            looks += 1
            for child in (one, two):
                os.kill(child.pid, signal.SIGWINCH)
            with trio.fail_after(PATIENCE_S):
                while [child.health.get("SIGWINCH") for child in (one, two)] != [looks, looks]:
                    await scene.supervisor.health.ask_all()
                    await trio.sleep(0.01)
            assert (one.health["SIGTERM"], two.health["SIGTERM"]) == counts

        await signalled(0, 0)
        scene.supervisor.scale(1)
        await scene.until(lambda: bool(scene.told("child_draining")))
        await signalled(0, 1)
        scene.supervisor.stop()
        await signalled(1, 1)
        scene.supervisor.stop()
        await signalled(2, 2)
        one.kill()
        two.kill()


@pytest.mark.trio
async def test_a_child_that_stands_still_is_asked_once_and_isnt_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trioq.processes.child.ANSWER_S", 0.05)
    async with supervising(1) as scene:
        await scene.until_ready(1)
        child = scene.supervisor.children[1]
        await scene.until(lambda: bool(child.health))
        os.kill(child.pid, signal.SIGSTOP)
        for _ in range(3):
            await scene.supervisor.health.ask_all()
        assert scene.supervisor.readiness()[1]["processes"]["1"]["phase"] == "doesn't answer"
        os.kill(child.pid, signal.SIGCONT)
        await scene.until(lambda: scene.supervisor.readiness()[0])
