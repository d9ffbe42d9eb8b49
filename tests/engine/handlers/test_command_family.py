"""Nothing of a command stays: its family is ended, and nobody waits for who left it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import trio

from tests.engine.handlers.programs import (
    children,
    failure_of,
    is_alive,
    is_reaped,
    names_in,
    outcome_of,
    pid_in,
    python,
    running,
    shell,
    until,
)
from trioq.core.outcome import Succeeded
from trioq.engine.handlers import Command
from trioq.engine.handlers.group import LINGER_S

#: Starts a child that ignores SIGTERM, and writes both pids.
FAMILY = """
import os, signal, subprocess, sys, time
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", '''
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write(str(os.getpid()) + "\\\\n")
time.sleep(60)
''', sys.argv[1] + ".child"])
while not os.path.exists(sys.argv[1] + ".child"):
    time.sleep(0.002)
open(sys.argv[1], "w").write(str(os.getpid()) + "\\n")
if {stays}:
    time.sleep(60)
"""


def family(path: Path, *, stubborn: bool = False, stays: bool = True) -> Command:
    code = FAMILY.replace("{stubborn}", str(stubborn)).replace("{stays}", str(stays))
    return python(code, str(path))


@pytest.mark.trio
@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_timeout_ends_the_whole_family(tmp_path: Path, stubborn: bool) -> None:
    pids = tmp_path / "pid"

    failed = await failure_of(family(pids, stubborn=stubborn), timeout_s=1, kill_after_s=0.2)

    assert (failed.error.type, failed.error.message) == ("timeout", "took longer than 1 s")
    parent, child = await pid_in(pids), await pid_in(tmp_path / "pid.child")
    assert is_reaped(parent)
    await until(lambda: not is_alive(child))


@pytest.mark.trio
async def test_the_engines_cancellation_ends_the_whole_family(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: outcome_of(family(pids), kill_after_s=0.2))
            parent, child = await pid_in(pids), await pid_in(tmp_path / "pid.child")
            scope.cancel()

    assert scope.cancelled_caught
    assert is_reaped(parent)
    await until(lambda: not is_alive(child))


@pytest.mark.trio
async def test_a_program_that_ends_on_sigterm_is_not_waited_for_longer(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = f"trap 'echo bye >&2; exit 0' TERM; echo $$ > {pids}; while :; do sleep 0.01; done"
    started = time.monotonic()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: outcome_of(shell(script), kill_after_s=60))
            parent = await pid_in(pids)
            scope.cancel()

    assert is_reaped(parent)
    assert time.monotonic() - started < 20


@pytest.mark.trio
async def test_a_program_that_is_being_ended_can_still_write(tmp_path: Path) -> None:
    """A full pipe must not keep it from cleaning up, nor a closed one kill it."""
    done, ready = tmp_path / "done", tmp_path / "ready"
    code = (
        "import signal, sys, time\n"
        "def clean(*_):\n"
        "    sys.stderr.write('x' * 1_000_000)\n"
        "    sys.stderr.flush()\n"
        "    open(sys.argv[1], 'w').write('0\\n')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, clean)\n"
        "open(sys.argv[2], 'w').write('0\\n')\n"
        "time.sleep(60)"
    )
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome_of, python(code, str(done), str(ready)))
            await pid_in(ready)
            scope.cancel()

    assert done.exists()


@pytest.mark.trio
async def test_a_program_that_is_being_ended_has_the_time_that_it_is_given(tmp_path: Path) -> None:
    """Longer than what has ended may hold its output open."""
    done, ready = tmp_path / "done", tmp_path / "ready"
    code = (
        "import signal, sys, time\n"
        "def clean(*_):\n"
        f"    time.sleep({1.2 * LINGER_S})\n"
        "    open(sys.argv[1], 'w').write('0\\n')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, clean)\n"
        "open(sys.argv[2], 'w').write('0\\n')\n"
        "time.sleep(60)"
    )
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome_of, python(code, str(done), str(ready)))
            await pid_in(ready)
            scope.cancel()

    assert done.exists()


@pytest.mark.trio
async def test_what_a_program_leaves_behind_neither_hangs_its_job_nor_survives_it(
    tmp_path: Path,
) -> None:
    with trio.fail_after(30):
        outcome = await outcome_of(family(tmp_path / "pid", stays=False))

    assert outcome == Succeeded({"exit": 0, "stdout": ""})
    child = await pid_in(tmp_path / "pid.child")
    await until(lambda: not is_alive(child))


@pytest.mark.trio
async def test_what_left_the_group_on_purpose_does_not_hang_the_job(tmp_path: Path) -> None:
    escape = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '20'], start_new_session=True)\n"
        "open(sys.argv[1], 'w').write(f'{child.pid}\\n')"
    )
    with trio.fail_after(15):
        outcome = await outcome_of(python(escape, str(tmp_path / "pid")))

    assert outcome == Succeeded({"exit": 0, "stdout": ""})
    assert is_alive(await pid_in(tmp_path / "pid"))


@pytest.mark.trio
async def test_cancelled_before_it_starts_a_program_never_runs(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await outcome_of(shell(f"touch {tmp_path}/ran"))

    assert names_in(tmp_path) == []


@pytest.mark.trio
async def test_cancelled_at_any_moment_nothing_of_a_program_stays() -> None:
    """Descriptors and processes are as before, wherever the cancellation struck."""
    await outcome_of(shell("exit 0"))  # what is opened once and for all is open now
    descriptors, before, marked = os.listdir("/proc/self/fd"), children(), f"60.{os.getpid()}"
    for step_ms in range(0, 20, 2):
        with trio.move_on_after(step_ms / 1000):
            await outcome_of(shell(f"sleep {marked} & sleep {marked}"), kill_after_s=1)

    assert len(os.listdir("/proc/self/fd")) == len(descriptors)
    assert children() == before
    await until(lambda: not running(marked))


@pytest.mark.trio
async def test_where_processes_cannot_be_watched_unreaped_they_end_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    pids = tmp_path / "pid"

    failed = await failure_of(family(pids), timeout_s=1, kill_after_s=0.2)

    assert failed.error.type == "timeout"
    child = await pid_in(tmp_path / "pid.child")
    await until(lambda: not is_alive(child))
