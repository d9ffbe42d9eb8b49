"""Programs as handlers: their arguments, how they end, and that nothing of them stays."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trioq
from trioq.core.outcome import Failed, Outcome, Succeeded
from trioq.engine.handlers import BadPayload, Command, Timebox, invoke
from trioq.engine.handlers.group import TAIL_BYTES

THREADS = trio.CapacityLimiter(1)

TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))"


def python(code: str, *argv: str, **options: Any) -> Command:
    """A command that runs a Python program. Its braces are escaped, those of ``argv`` aren't."""
    escaped = code.replace("{", "{{").replace("}", "}}")
    return Command("it", (sys.executable, "-c", escaped, *argv), **options)


def shell(script: str, *argv: str, **options: Any) -> Command:
    return Command("it", ("/bin/sh", "-c", script, "sh", *argv), **options)


def job_with(**payload: Any) -> trioq.Job:
    return trioq.Job(
        uid="a" * 32, name="it", queue="low", payload=payload, attempt=2, token="boot:7"
    )


async def outcome_of(
    command: Command,
    job: trioq.Job | None = None,
    *,
    timeout_s: float | None = 60,
    kill_after_s: float = 30,
) -> Outcome:
    with contextlib.closing(Timebox()) as timebox:
        return await invoke(
            command,
            job or job_with(),
            timeout_s=timeout_s,
            timebox=timebox,
            threads=THREADS,
            kill_after_s=kill_after_s,
        )


async def failure_of(command: Command, **options: Any) -> Failed:
    outcome = await outcome_of(command, **options)
    assert isinstance(outcome, Failed), outcome
    return outcome


async def told(command: Command, job: trioq.Job | None = None) -> Any:
    outcome = await outcome_of(command, job)
    assert isinstance(outcome, Succeeded), outcome
    return json.loads(outcome.result["stdout"])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def is_reaped(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def names_in(directory: Path) -> list[str]:
    return os.listdir(directory)


def children() -> set[str]:
    """Our children, reaped ones excepted."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}


def running(argument: str) -> list[Path]:
    """The processes that have this among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if argument.encode() in path.read_bytes().split(b"\0"):
                found.append(path)
    return found


def pid_of(path: Path) -> int | None:
    """What a program wrote about itself; None before it has."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else None


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110  # it is a process that we wait for
            await trio.sleep(0.002)


async def pid_in(path: Path) -> int:
    await until(lambda: pid_of(path) is not None)
    pid = pid_of(path)
    assert pid is not None
    return pid


# --- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "payload", "filled"),
    [
        (("convert", "{path}", "{path}.png"), {"path": "a"}, ["convert", "a", "a.png"]),
        (("x", "{a}{b}-{a}"), {"a": 1, "b": 2.5}, ["x", "12.5-1"]),
        (("x", "{on}", "{off}"), {"on": True, "off": False}, ["x", "true", "false"]),
        (("x", "{{path}}", "{{{path}}}"), {"path": "a"}, ["x", "{path}", "{a}"]),
        (("x", "{path}"), {"path": ""}, ["x", ""]),
        (("x", "{path}"), {"path": "{path}{other}"}, ["x", "{path}{other}"]),
        (("x",), {"size": 1, "mtime": 2.0}, ["x"]),
    ],
)
def test_each_element_of_the_template_makes_one_argument(
    argv: tuple[str, ...], payload: dict[str, Any], filled: list[str]
) -> None:
    assert Command("it", argv).arguments(payload) == filled


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({}, "missing: path"),
        ({"path": None}, "path: expected a string, a number, true or false, got null"),
        ({"path": ["a"]}, "path: expected a string, a number, true or false, got a list"),
        ({"path": {}}, "path: expected a string, a number, true or false, got an object"),
        ({"path": "a\0b"}, "path: a NUL can't be in an argument"),
        ({"path": "\ud800"}, "path: 'utf-8' codec can't encode"),
    ],
)
def test_a_value_that_cannot_be_an_argument_is_refused(payload: Any, fault: str) -> None:
    with pytest.raises(BadPayload) as caught:
        Command("it", ("x", "{path}", "{path}")).arguments(payload)

    assert str(caught.value).startswith(fault)
    assert str(caught.value).count("path:") + str(caught.value).count("missing") == 1


@pytest.mark.trio
@pytest.mark.parametrize(
    "value",
    [
        "; rm -rf /",
        "$(id)",
        "`id`",
        "a b  c",
        "--output=/etc/x",
        "a\nb",
        "'\"\\",
        "*",
        "~",
        "",
        "é\U0001f600",
        "> /tmp/x",
        "{path}",
    ],
)
async def test_whatever_a_value_holds_it_arrives_as_one_argument(value: str) -> None:
    arguments, _, _ = await told(python(TELL, "{path}", "--", "x{path}"), job_with(path=value))

    assert arguments == [value, "--", f"x{value}"]


@pytest.mark.trio
async def test_a_file_name_that_is_not_utf8_arrives_as_its_bytes() -> None:
    show = "import os, sys; print(list(os.fsencode(sys.argv[1])))"

    assert await told(python(show, "{path}"), job_with(path="a\udcff")) == [97, 255]


@pytest.mark.trio
async def test_arguments_that_are_too_long_for_the_system_are_a_bad_payload() -> None:
    failed = await failure_of(python(TELL, "{path}"), job=job_with(path="x" * 1_000_000))

    assert failed.permanent == "bad_payload"
    assert "longer than the system takes" in failed.error.message


@pytest.mark.trio
async def test_a_missing_field_is_a_bad_payload_and_runs_nothing(tmp_path: Path) -> None:
    failed = await failure_of(shell(f"touch {tmp_path}/ran", "{path}"))

    assert (failed.permanent, failed.error.message) == ("bad_payload", "missing: path")
    assert names_in(tmp_path) == []


# --- what a program finds -------------------------------------------------------------------


@pytest.mark.trio
async def test_a_program_finds_its_job_and_no_configuration_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOQ_REDIS__PASSWORD", "secret")
    monkeypatch.setenv("SOMETHING", "else")
    command = python(TELL, cwd=str(tmp_path), env={"SCALE": "2"})

    _, directory, environment = await told(command)

    assert directory == str(tmp_path)
    assert {k: v for k, v in environment.items() if k.startswith("TRIOQ_")} == {
        "TRIOQ_JOB_ID": "a" * 32,
        "TRIOQ_JOB_ATTEMPT": "2",
        "TRIOQ_JOB_TOKEN": "boot:7",
    }
    assert (environment["SCALE"], environment["SOMETHING"]) == ("2", "else")
    assert environment["PATH"] == os.environ["PATH"]


@pytest.fixture
def inherited_stdin() -> Iterator[None]:
    """Something to read on the engine's own stdin."""
    kept = os.dup(0)
    reader, writer = os.pipe()
    os.write(writer, b"for the engine")
    os.close(writer)
    os.dup2(reader, 0)
    yield
    os.dup2(kept, 0)
    os.close(kept)
    os.close(reader)


@pytest.mark.trio
async def test_a_program_is_fed_nothing_and_leads_a_session_of_its_own(
    inherited_stdin: None,
) -> None:
    look = "import os, sys; print([sys.stdin.read() == '', os.getsid(0) == os.getpid()])"

    outcome = await outcome_of(python(look))

    assert outcome == Succeeded({"exit": 0, "stdout": "[True, True]\n"})


@pytest.mark.trio
async def test_the_callers_id_is_the_jobs_id_if_an_environment_can_hold_it() -> None:
    named = attrs.evolve(job_with(), id="thumb:a")

    _, _, environment = await told(python(TELL), named)
    failed = await failure_of(python(TELL), job=attrs.evolve(named, id="a\0b"))

    assert environment["TRIOQ_JOB_ID"] == "thumb:a"
    assert failed.permanent == "bad_payload"


@pytest.mark.trio
async def test_a_program_is_told_of_its_runs_trace_and_never_of_the_engines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACEPARENT", "the engine's")
    monkeypatch.setenv("TRACESTATE", "the engine's")
    traced = attrs.evolve(job_with(), trace={"traceparent": "the run's", "baggage": "a=1"})

    _, _, environment = await told(python(TELL), traced)

    assert (environment["TRACEPARENT"], environment["BAGGAGE"]) == ("the run's", "a=1")
    assert "TRACESTATE" not in environment


# --- how it ends ----------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize(
    ("script", "type_", "message", "permanent"),
    [
        ("echo a >&2; echo b >&2; exit 3", "exit 3", "b", None),
        ("exit 1", "exit 1", "nothing on its stderr", None),
        ("echo gone >&2; exit 2", "exit 2", "gone", "gave_up"),
        ("echo full >&2; exit 75", "exit 75", "it asks to be tried again: full", None),
        ("kill -SEGV $$", "killed by SIGSEGV", "nothing on its stderr", None),
        ("kill -KILL $$", "killed by SIGKILL", "nothing on its stderr", None),
        ("kill -40 $$", "killed by signal 40", "nothing on its stderr", None),
    ],
)
async def test_how_a_program_ends_is_how_its_job_ends(
    script: str, type_: str, message: str, permanent: str | None
) -> None:
    failed = await failure_of(shell(script, permanent_exit_codes=(2,)))

    assert (failed.error.type, failed.error.message) == (type_, message)
    assert failed.permanent == permanent
    assert failed.delay_s is None


@pytest.mark.trio
async def test_of_its_output_the_end_is_kept_and_memory_is_bounded() -> None:
    flood = (
        "import sys\n"
        "for i in range(3000):\n"
        "    sys.stdout.write('x' * 10_000)\n"
        "    sys.stderr.write('y' * 10_000)\n"
        "sys.stderr.write('\\nthe end\\xff')\n"
        "sys.exit(1)"
    )
    failed = await failure_of(python(flood))

    assert failed.error.message.startswith("the end")
    assert failed.error.traceback.endswith("the end\u00ff")
    assert len(failed.error.traceback.encode()) <= TAIL_BYTES


@pytest.mark.trio
async def test_of_a_result_the_end_is_kept() -> None:
    outcome = await outcome_of(python("print('x' * 100_000 + 'the end', end='')"))

    assert isinstance(outcome, Succeeded)
    assert outcome.result["stdout"] == "x" * (TAIL_BYTES - 7) + "the end"


@pytest.mark.trio
async def test_output_that_is_not_utf8_is_escaped() -> None:
    failed = await failure_of(shell(r"printf 'a\377b' >&2; exit 1"))

    assert failed.error.message == r"a\xffb"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (Command("it", ("no-such-program",)), "no-such-program: No such file or directory"),
        (Command("it", ("/etc/passwd",)), "/etc/passwd: Permission denied"),
        (
            Command("it", ("true",), cwd="/no/such/directory"),
            "/no/such/directory: No such file or directory",
        ),
    ],
)
async def test_a_program_that_cannot_be_started_may_be_there_next_time(
    command: Command, told: str
) -> None:
    failed = await failure_of(command)

    assert (failed.error.type, failed.error.message) == ("can't start", told)
    assert failed.permanent is None


# --- and nothing of it stays ----------------------------------------------------------------

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
