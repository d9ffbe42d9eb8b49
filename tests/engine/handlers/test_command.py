"""Commands as handlers: what a program is given, and how its end is its job's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import trioq
from tests.engine.handlers.programs import (
    failure_of,
    job_with,
    names_in,
    outcome_of,
    python,
    shell,
)
from trioq.core.outcome import Succeeded
from trioq.engine.handlers import BadPayload, Command
from trioq.engine.handlers.group import TAIL_BYTES

TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))"


async def told(command: Command, job: trioq.Job | None = None) -> Any:
    outcome = await outcome_of(command, job)
    assert isinstance(outcome, Succeeded), outcome
    return json.loads(outcome.result["stdout"])


# -- arguments ---------------------------------------------------------------------------------


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


# -- what a program finds ----------------------------------------------------------------------


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

    _, _, environment = await told(python(TELL, env={"BAGGAGE": "configured"}), traced)

    assert (environment["TRACEPARENT"], environment["BAGGAGE"]) == ("the run's", "configured")


# -- how it ends -------------------------------------------------------------------------------


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
