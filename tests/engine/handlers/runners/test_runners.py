"""What becomes of a job whose runner ends, is cancelled, or is short of something."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.engine.handlers.programs import is_alive, is_reaped, pid_in, until
from tests.engine.handlers.runners.deeds import app
from tests.engine.handlers.runners.runs import failure_of, outcome_of, processes, runners
from tests.engine.handlers.test_starved import spare
from trioq.core.outcome import Failed, Starved, Succeeded

pytestmark = pytest.mark.trio


def told_in(path: Path) -> Any:
    return json.loads(path.read_text())


def descriptors() -> set[str]:
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


def framed(text: str) -> str:
    return len(text).to_bytes(8, "big").decode("latin-1") + text


# -- ends of the process -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "type_", "message"),
    [
        ("crash", {}, "killed by SIGSEGV", "its process was killed"),
        ("kill_itself", {}, "killed by SIGKILL", "its process was killed"),
        ("kill_itself", {"number": 40}, "killed by signal 40", "its process was killed"),
        ("leave", {"code": 3}, "exit 3", "its process ended before the handler did"),
        ("leave", {"code": 0}, "exit 0", "its process ended before the handler did"),
    ],
)
async def test_a_runner_that_ends_is_a_failed_attempt_and_the_next_job_has_another(
    name: str, payload: Any, type_: str, message: str, tmp_path: Path
) -> None:
    async with runners(app) as made:
        failed = await failure_of(made, name, payload)
        assert (failed.error.type, failed.error.message) == (type_, message)
        assert (failed.error.kind, failed.permanent, failed.delay_s) == ("runner", None, None)
        note = {"told": str(tmp_path / "pid")}
        assert await outcome_of(made, "note_pid", note) == Succeeded()
    assert is_reaped(await pid_in(tmp_path / "pid"))


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("hang_up", {}),
        *(
            ("talk_nonsense", {"nonsense": nonsense})
            for nonsense in (
                framed('{"a": 1}}'),
                framed("[]"),
                framed('{"ended": "Often"}'),
                framed('{"ended": "Snoozed", "delay_s": "no"}'),
                "\xff" * 9,
            )
        ),
    ],
)
async def test_a_runner_that_loses_its_line_is_killed_and_its_job_has_failed(
    name: str, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioq.engine.handlers.runners.runner.LEAVE_S", 0.1)
    async with runners(app) as made:
        failed = await failure_of(made, name, payload)
    assert failed.error.type == "killed"
    assert failed.error.message == "it no longer answered its engine, and was killed"


async def test_a_fork_that_comes_back_is_no_second_runner(tmp_path: Path) -> None:
    async with runners(app) as made:
        assert await outcome_of(made, "fork_and_come_back") == Succeeded()
        assert await outcome_of(made, "fork_and_come_back") == Succeeded()


async def test_a_runner_that_is_killed_while_it_is_idle_costs_no_job_anything(
    tmp_path: Path,
) -> None:
    async with runners(app) as made:
        first, second = tmp_path / "1", tmp_path / "2"
        await outcome_of(made, "note_pid", {"told": str(first)})
        pid = await pid_in(first)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: is_reaped(pid))
        assert await outcome_of(made, "note_pid", {"told": str(second)}) == Succeeded()
        assert await pid_in(second) != pid


async def test_runners_are_kept_and_the_last_one_used_is_used_first(tmp_path: Path) -> None:
    async with runners(app, runners=2) as made:
        pids = []
        for n in range(3):
            await outcome_of(made, "note_pid", {"told": str(tmp_path / str(n))})
            pids.append(await pid_in(tmp_path / str(n)))
    assert len(set(pids)) == 1


async def test_a_runner_is_replaced_after_its_jobs(tmp_path: Path) -> None:
    async with runners(app, runner_jobs=2) as made:
        pids = []
        for n in range(5):
            await outcome_of(made, "note_pid", {"told": str(tmp_path / str(n))})
            pids.append(await pid_in(tmp_path / str(n)))
    a, b, c = pids[0], pids[2], pids[4]
    assert pids == [a, a, b, b, c]
    assert len({a, b, c}) == 3


async def test_there_are_never_more_at_work_than_there_may_be() -> None:
    async with runners(app, runners=2) as made:
        most = 0

        async def one() -> None:
            nonlocal most
            async with made.lent(lambda: 60):
                most = max(most, len(processes()))
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(one)
    assert most == 2


async def test_nothing_is_left_of_runners_whatever_they_did(tmp_path: Path) -> None:
    await outcome_of_all(tmp_path)  # what is made once is made
    before = descriptors(), processes()
    await outcome_of_all(tmp_path)
    assert (descriptors(), processes()) == before


async def outcome_of_all(tmp_path: Path) -> None:
    async with runners(app, runners=2) as made:
        for name, payload in (("crash", {}), ("leave", {"code": 1})):
            await outcome_of(made, name, payload)
        await outcome_of(
            made, "finish_in_spite_of_it", {"seconds": 60}, timeout_s=0.1, kill_after_s=0
        )
        note = {"told": str(tmp_path / "pid")}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome_of, made, "note_pid", note)
            nursery.start_soon(outcome_of, made, "note_pid", note)


# -- timeouts and cancellation -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["spin", "block_the_loop", "hold_the_lock"])
async def test_what_does_not_heed_its_timeout_is_killed(name: str) -> None:
    async with runners(app) as made:
        failed = await failure_of(made, name, timeout_s=0.2, kill_after_s=0.1)
        assert failed.error.message == "took longer than 0.2 s; its process was killed"
        assert failed.error.kind == "timeout"
        assert await outcome_of(made, "finish_in_spite_of_it", {"seconds": 0}) == Succeeded()


async def test_a_thread_that_asks_is_told_and_has_time_to_clean_up(tmp_path: Path) -> None:
    async with runners(app) as made:
        told = tmp_path / "told"
        failed = await failure_of(made, "heed_its_cancellation", {"told": str(told)}, timeout_s=0.3)
    assert failed.error.message == "took longer than 0.3 s"
    assert told.read_text() == "cleaned up"


async def test_a_thread_that_returns_in_spite_of_the_engines_end_is_done() -> None:
    outcome = None
    async with runners(app) as made:
        with trio.move_on_after(0.2):
            outcome = await outcome_of(made, "finish_in_spite_of_it", {"seconds": 0.6})
    assert outcome == Succeeded()


async def test_a_cancelled_run_that_goes_on_is_cancelled_and_its_runner_gone() -> None:
    async with runners(app) as made:
        with trio.move_on_after(0.2) as scope:
            await outcome_of(made, "spin", kill_after_s=0.1)
        assert scope.cancelled_caught
        assert processes() == set()


@pytest.mark.parametrize("shields", [False, True])
async def test_what_a_handler_has_started_ends_with_it(shields: bool, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    async with runners(app) as made, trio.open_nursery() as nursery:

        async def run() -> None:
            failed = await failure_of(
                made,
                "start_another",
                {"told": str(told), "shields": shields},
                timeout_s=1,
                kill_after_s=0.2 if shields else 30,
            )
            killed = "; its process was killed" if shields else ""
            swallowed = "" if shields else " and swallowed its cancellation"
            assert failed.error.message == f"took longer than 1 s{swallowed}{killed}"

        nursery.start_soon(run)
        pid = await pid_in(told)
    await until(lambda: not is_alive(pid))


async def test_what_a_job_leaves_behind_ends_with_its_runner(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    async with runners(app) as made:
        assert await outcome_of(made, "leave_another_behind", {"told": str(told)}) == Succeeded()
        pid = await pid_in(told)
        assert is_alive(pid)
    await until(lambda: not is_alive(pid))


async def test_whose_runner_is_not_free_in_time_has_not_begun() -> None:
    async with runners(app) as made, trio.open_nursery() as nursery:
        held = trio.Event()

        async def hold(task_status: trio.TaskStatus[None]) -> None:
            async with made.lent(lambda: 60):
                task_status.started()
                await held.wait()

        await nursery.start(hold)
        with trio.move_on_after(0.05) as scope:
            await outcome_of(made, "spin")
        assert scope.cancelled_caught
        held.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_all_processes_of_a_service_ends_no_job(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with runners(app) as made:
        await outcome_of(made, "note_pid", {"told": str(tmp_path / "pid")})
        pid = await pid_in(tmp_path / "pid")
        ended = []

        async def run() -> None:
            ended.append(await outcome_of(made, "finish_in_spite_of_it", {"seconds": 0.3}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.sleep(0.1)
            os.kill(pid, number)
        await outcome_of(made, "note_pid", {"told": str(tmp_path / "pid2")})
        assert await pid_in(tmp_path / "pid2") == pid
    assert ended == [Succeeded()]


async def test_a_job_that_was_only_half_told_is_not_waited_for(tmp_path: Path) -> None:
    async with runners(app) as made:
        await outcome_of(made, "note_pid", {"told": str(tmp_path / "pid")})
        os.kill(await pid_in(tmp_path / "pid"), signal.SIGSTOP)
        long = {"text": "x" * (8 << 20), "told": "/dev/null"}
        with trio.fail_after(20):
            failed = await failure_of(made, "measure", long, timeout_s=0.2, kill_after_s=60)
    assert failed.error.message == "took longer than 0.2 s; its process was killed"


# -- what it sees ------------------------------------------------------------------------------


async def test_a_runner_leads_a_session_and_is_fed_nothing(tmp_path: Path) -> None:
    told = tmp_path / "told"
    async with runners(app) as made:
        assert await outcome_of(made, "look_around", {"told": str(told)}) == Succeeded()
    seen = told_in(told)
    assert seen["group"] == seen["session"] == seen["pid"]
    assert os.getsid(0) != seen["session"]
    assert seen["stdin"] == ""
    assert seen["inheritable"] == []
    assert seen["is_current"]
    assert seen["cwd"] == str(Path.cwd())


@pytest.mark.parametrize("text", ["x" * (1 << 20), "ä☃\U0001f600\0" * 50_000], ids=["long", "odd"])
async def test_a_payload_of_a_megabyte_arrives_as_it_is(text: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    async with runners(app) as made:
        assert await outcome_of(made, "measure", {"text": text, "told": str(told)}) == Succeeded()
    assert told_in(told) == [len(text), sum(map(ord, text))]


async def test_what_is_printed_goes_where_the_engine_prints(
    capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    async with runners(app) as made:
        await outcome_of(made, "say", {"text": "this"})
        await outcome_of(made, "leave", {"code": 1})
    out, err = capfd.readouterr()
    assert out == "printed this\nbye\n"
    assert err == "logged this\n"


# -- want --------------------------------------------------------------------------------------


async def test_memory_that_a_runner_may_not_have_is_its_jobs_failure(tmp_path: Path) -> None:
    async with runners(app, runner_memory_bytes=1 << 30) as made:
        first, second = tmp_path / "1", tmp_path / "2"
        await outcome_of(made, "note_pid", {"told": str(first)})
        assert await outcome_of(made, "take", {"megabytes": 100}) == Succeeded(True)
        failed = await failure_of(made, "take", {"megabytes": 2000})
        await outcome_of(made, "note_pid", {"told": str(second)})
        assert failed.error.type == "MemoryError"
        assert await pid_in(first) != await pid_in(second), "what is left of it is given back"


@pytest.mark.parametrize("limited", [False, True])
async def test_want_of_memory_for_arguments_is_a_jobs_own_where_memory_is_limited(
    limited: bool,
) -> None:
    async with runners(app, runner_memory_bytes=1 << 30 if limited else None) as made:
        outcome = await outcome_of(made, "want", {"greedy": {"size": 1}})
    if limited:
        assert isinstance(outcome, Failed)
        assert outcome.error.type == "MemoryError"
        assert "worker.runner_memory" in outcome.error.message
    else:
        assert outcome == Starved("memory")


async def test_without_descriptors_no_runner_starts_and_no_attempt_is_lost() -> None:
    async with runners(app) as made:
        await outcome_of(made, "crash")
        for descriptors in range(12):
            with spare(descriptors):
                outcome = await outcome_of(made, "finish_in_spite_of_it", {"seconds": 0})
            assert isinstance(outcome, Starved | Succeeded)
            if isinstance(outcome, Succeeded):
                break
        assert descriptors > 3
    assert isinstance(outcome, Succeeded)


# -- starts ------------------------------------------------------------------------------------


def app_in(
    directory: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str = "late_app"
) -> Any:
    """An app of a module that was just written."""
    (directory / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(directory)
    monkeypatch.delitem(os.sys.modules, name, raising=False)  # type: ignore[attr-defined]
    return __import__(name).app


GOOD = """
import trioq
app = trioq.App(isolation="process")
@app.job
def crash(): import os; os._exit(1)
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise RuntimeError('no database')", "RuntimeError: no database"),
        ("import os; os._exit(4)", "exit 4 at its start"),
        ("import trioq; app = trioq.App()", "doesn't register crash"),
        ("app = 3", "'late_app:app' is an object of type int, not a trioq.App"),
    ],
)
async def test_an_app_that_a_runner_cannot_import_is_told_at_the_start_and_fails_jobs_later(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = app_in(tmp_path, monkeypatch, GOOD)
    async with runners(late) as made:
        (tmp_path / "late_app.py").write_text(text)
        await outcome_of(made, "crash")
        failed = await failure_of(made, "crash")
        assert failed.error.type == "can't start"
        assert told in failed.error.message
        assert (failed.permanent, failed.error.kind) == (None, "runner")
        (tmp_path / "late_app.py").write_text(GOOD)
        assert (await failure_of(made, "crash")).error.type == "exit 1", "the next one mends it"
    (tmp_path / "late_app.py").write_text(text)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with runners(late):
            pass
    assert caught.group_contains(trioq.ConfigError, match=re.escape(told))
    assert processes() == set()


async def test_a_start_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = app_in(tmp_path, monkeypatch, GOOD)
    async with runners(late) as made:
        await outcome_of(made, "crash")
        (tmp_path / "late_app.py").write_text("import time; time.sleep(60)")
        monkeypatch.setattr("trioq.engine.handlers.runners.runner.START_S", 0.5)
        failed = await failure_of(made, "crash")
    assert failed.error.message == "its start takes longer than 0.5 s"
    assert processes() == set()
