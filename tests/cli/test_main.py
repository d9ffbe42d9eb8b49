"""How every command is found, how it ends, and what it says when it is used wrongly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.conftest import Cli, only_error, run
from tests.cli.terminal import on_terminal
from tests.scene import Scene
from tests.support import Server, new_job, trioq_started
from tests.support import trioq as trioq_process
from trioq.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]


def leaves(group: click.Group, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    """All commands with their names."""
    found = []
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                found += leaves(command, *path, name)
            else:
                found.append(((*path, name), command))
    return found


ALL = leaves(cli)
each_command = pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*found, id=" ".join(found[0])) for found in ALL]
)


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; sys.argv = ['trioq', '--help']\n"
        "from trioq.cli import main\n"
        "try: main()\n"
        "finally: assert not {'trio', 'redis', 'rich'} & set(sys.modules), 'slow'"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", shown, re.MULTILINE)


@each_command
def test_every_command_has_help_that_explains_each_option(
    path: tuple[str, ...], command: click.Command
) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.opts[0] in result.stdout
            assert parameter.help or parameter.metavar or parameter.type.name == "choice"


@each_command
def test_everything_that_prints_has_json(path: tuple[str, ...], command: click.Command) -> None:
    options = [option for parameter in command.params for option in parameter.opts]
    # What export writes is JSON anyhow, an engine prints its log, and the others are for people.
    for_people = [("top",), ("shell",), ("init",), ("dev",), ("web", "show")]
    assert "--json" in options or path in [("serve",), ("dead", "export"), *for_people]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stat", "q.toml"], "No such command 'stat'. Did you mean 'stats'?"),
        (["dead", "lst", "q.toml"], "No such command 'lst'. Did you mean 'list'?"),
        (["zzz"], "No such command 'zzz'."),
        (["stats", "q.toml", "--jsn"], "No such option '--jsn'. Did you mean '--json'?"),
        (["job", "q.toml"], "Missing argument 'ID'."),
        (["stats", "q.toml", "more"], "Got unexpected extra argument (more)"),
        (["peek", "q.toml", "low", "-n", "0"], "0 is not in the range x>=1"),
        (["enqueue", "q.toml", "x", "--delay", "soon"], "'soon' is no duration"),
        (["enqueue", "q.toml", "x", "--deadline", "soon"], "'soon' is no moment, such as 10m"),
        (["enqueue", "q.toml", "x", "--deadline", "2030-01-31T12:00"], "names no time zone, such"),
        (["enqueue", "q.toml", "x", "--deadline", "2030-01-31"], "such as 2030-01-31T00:00:00Z."),
        (["enqueue", "q.toml", "x", "--deadline", "0"], "'0' is no time from now: expected one"),
        (["enqueue", "q.toml", "x", "--expires", "0s"], "'0s' is no time from now: expected"),
        (["serve", "q.toml", "--drain-horizon", "nan"], "nan is not in the range 0<=x<="),
        (["serve", "q.toml", "--drain-horizon", "inf"], "inf is not in the range 0<=x<="),
        (["purge", "q.toml", "low", "--rate", "nan"], "nan is not in the range 0<x<=10000000"),
        (["dead", "revive", "q.toml", "--rate", "inf"], "inf is not in the range 0<x<="),
        (["bench", "q.toml", "--rate", "NaN"], "NaN is not in the range 0<=x<="),
        (["acl", "q.toml", "--user", "a b"], "'a b' is no user's name"),
        (["acl", "q.toml", "--user", "a\nFLUSHALL"], "'a\\nFLUSHALL' is no user's name"),
        (["acl", "q.toml", "--user", ""], "'' is no user's name"),
    ],
)
def test_wrong_use_is_told_with_what_was_meant_and_exit_code_2(
    arguments: list[str], said: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_the_name_of_the_program_is_trioq_however_it_is_started() -> None:
    assert "Usage: trioq stats" in trioq_process("stats", "--none").stderr


def test_a_url_where_a_configuration_belongs_is_told_without_its_password() -> None:
    said = only_error(run("stats", "redis://ann:secret@localhost:6379"), 2)
    assert said.startswith("a configuration is a TOML file, not a URL: that goes into it as redis")
    assert "secret" not in said


@pytest.mark.parametrize(
    "command",
    ["stats", "engines", "peek", "jobs", "job", "cancel", "pause", "resume", "purge", "doctor",
     "acl", "dead list", "dead show", "dead revive", "dead purge", "dead export", "enqueue",
     "config check", "config show", "serve"],
)  # fmt: skip
def test_a_configuration_that_is_not_there_is_one_line_and_exit_code_2(
    command: str, tmp_path: Path
) -> None:
    """The predecessor took a mistyped path for a wish to have the defaults."""
    more = {"peek": ["low"], "job": ["a"], "cancel": ["a"], "pause": ["low"], "resume": ["low"],
            "purge": ["low"], "dead show": ["a"], "dead revive": ["--all"],
            "dead purge": ["--all"], "enqueue": ["x"]}  # fmt: skip
    result = run(*command.split(), tmp_path / "nowhere.toml", *more.get(command, []))
    assert only_error(result, 2) == f"{tmp_path}/nowhere.toml: no such file"


def test_every_fault_of_a_configuration_is_a_line(tmp_path: Path) -> None:
    config = tmp_path / "q.toml"
    config.write_text('namespace = "a b"\nworker.count = "four"\nworker.cuont = 4\n')
    result = run("stats", config)
    assert result.exit_code == 2
    assert [line.split(": ")[2] for line in result.stderr.splitlines()] == [
        "namespace", "worker.cuont", "worker.count",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [["stats"], ["peek", "low"], ["dead", "purge", "--all", "--yes"], ["enqueue", "convert"]],
    ids=str,
)
def test_a_server_that_is_not_there_is_one_line_and_exit_code_1(
    arguments: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "q.toml"
    config.write_text(f'redis.url = "unix://{tmp_path}/s.sock"\n[commands.convert]\nargv=["true"]')
    at = 2 if arguments[0] == "dead" else 1
    result = run(*arguments[:at], config, *arguments[at:])
    assert only_error(result, 1) == (
        f"unix://{tmp_path}/s.sock: there is no such socket: is the server running?"
    )


def test_a_wrong_password_is_one_line_that_does_not_show_it(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.call("CONFIG", "SET", "requirepass", "right")
    config = tmp_path / "q.toml"
    config.write_text(f'redis.url = "{own_server.url}"')
    monkeypatch.setenv("TRIOQ_REDIS__PASSWORD", "canary")
    said = only_error(run("stats", config), 1)
    assert "wrong user name or password" in said
    assert "canary" not in said


def test_credentials_come_from_the_environment_b15(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.call("CONFIG", "SET", "requirepass", "right")
    config = tmp_path / "q.toml"
    config.write_text(f'redis.url = "{own_server.url}"')
    monkeypatch.setenv("TRIOQ_REDIS__PASSWORD", "right")
    assert run("stats", config).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [["stats"], ["engines"], ["peek", "low"], ["jobs"], ["job", "a"], ["cancel", "a"], ["doctor"],
     ["pause", "low"], ["purge", "--all"], ["dead", "list"], ["dead", "revive", "--all", "--yes"],
     ["dead", "export"]],
    ids=str,
)  # fmt: skip
def test_who_looks_where_nothing_is_makes_nothing(arguments: list[str], tmp_path: Path) -> None:
    config = tmp_path / "q.toml"
    config.write_text('redis.url = "embedded:data"')
    at = 2 if arguments[0] == "dead" else 1
    said = only_error(run(*arguments[:at], config, *arguments[at:]), 1)
    assert said == f"embedded:data: {tmp_path}/data: no data there yet; `trioq serve` makes it"
    assert list(tmp_path.iterdir()) == [config]


# -- pipes, terminals, shells ------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_trouble(trioq: Cli, scene: Scene) -> None:
    scene.many_dead(5000)
    for arguments in (["dead", "list"], ["dead", "export"]):
        more = ["--json"] if arguments == ["dead", "list"] else []
        process = trioq_started(
            *arguments, trioq.config, *more, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PYTHONUNBUFFERED": ""},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 1
        process.stderr.close()


def test_an_output_that_cannot_be_written_is_one_line(trioq: Cli) -> None:
    with open("/dev/full", "w") as full:
        process = trioq_started(
            "stats", trioq.config, stdout=full, stderr=subprocess.PIPE,
            env={"PYTHONUNBUFFERED": ""},  # what is buffered fails once more at the very end
        )  # fmt: skip
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "trioq: [Errno 28] No space left on device\n")


def test_a_table_is_plain_text_in_a_pipe_and_cut_nowhere(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("high", "n" * 200))
    shown = trioq("peek", "high").stdout
    assert uid in shown
    assert "n" * 200 in shown
    assert shown.isascii()


def test_what_jobs_say_commands_no_terminal(trioq: Cli, scene: Scene) -> None:
    evil = b'{"a": "\\u001b[2J\\u202e[red]"}'
    scene.dead(new_job("low", payload=evil), message="\x1b]0;title\x07[bold]\nnext")
    (uid,) = [job["uid"] for job in trioq.json("dead list")]
    with on_terminal("dead", "list", trioq.config) as terminal:
        assert terminal.end() == 0
    for shown in (trioq("dead list").stdout, trioq("job", uid).stdout, terminal.shown):
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown
        assert "[red]" in shown
        assert "[bold]" in shown


def test_shells_complete_commands_and_queues(trioq: Cli) -> None:
    def completed(words: str) -> set[str]:
        env = {"_TRIOQ_COMPLETE": "bash_complete", "COMP_WORDS": words,
               "COMP_CWORD": str(len(words.split(" ")) - 1)}  # fmt: skip
        shown = run(env=env).stdout
        return {line.partition(",")[2] for line in shown.splitlines()}

    assert completed("trioq p") == {"peek", "pause", "purge"}
    assert completed("trioq dead re") == {"revive"}
    assert completed(f"trioq peek {trioq.config} ") == {"high", "low"}
    source = run(env={"_TRIOQ_COMPLETE": "bash_source"})
    assert "_TRIOQ_COMPLETE=bash_complete" in source.stdout


def test_the_version_is_the_packages() -> None:
    assert re.fullmatch(r"trioq, version \d+\.\d+\.\d+\n", run("--version").stdout)


def test_closed_streams_are_no_traceback(trioq: Cli) -> None:
    """As some supervisors start programs."""
    program = f'"{sys.executable}" -m trioq'
    for command, said in (
        (f'stats "{trioq.config}"', ""),
        (f'enqueue "{trioq.config}" convert --from -', "trioq: -: stdin is closed\n"),
    ):
        process = subprocess.run(
            ["sh", "-c", f"exec {program} {command} >&- <&-"],
            check=False, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert process.stderr == said


# -- what can't be spelt or told ---------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding",
    ["ascii", "utf-8", *(pytest.param(e, marks=pytest.mark.long) for e in ("latin-1", "cp437"))],
)
def test_any_id_is_printed_on_any_stream_and_what_was_done_is_the_exit_code(
    trioq: Cli, encoding: str
) -> None:
    env = {"PYTHONIOENCODING": encoding}
    assert trioq("enqueue", "convert", '{"path": "✓"}', "--id", "q✓").exit_code == 0
    for command, arguments in (
        ("stats", []), ("peek", ["high"]), ("job", ["q✓"]), ("job", ["q✓", "--json"]),
        ("cancel", ["q✓"]),
    ):  # fmt: skip
        ended = as_program(command, trioq.config, *arguments, env=env)
        assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), ended
    ended = as_program("cancel", trioq.config, "never ✓", env=env)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"not cancelled" in ended.stderr


@pytest.mark.parametrize("command", ["job", "cancel", "dead show", "dead revive", "dead purge"])
def test_an_id_that_is_not_text_is_wrong_use(trioq: Cli, command: str) -> None:
    ended = as_program(*command.split(), trioq.config, b"a\xffb")
    assert ended.returncode == 2
    assert b"isn't UTF-8" in ended.stderr
    assert b"Traceback" not in ended.stderr


CHANGES = (
    ["enqueue", "convert", '{"path": "x"}'], ["enqueue", "convert", "--from", "payloads"],
    ["cancel", "mine"], ["pause", "high"], ["resume", "high"], ["purge", "high", "--yes"],
    ["dead", "revive", "--all", "--yes"], ["dead", "purge", "--all", "--yes"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", CHANGES, ids=" ".join)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_was_changed_decides_the_exit_code_also_where_it_cannot_be_told(
    trioq: Cli, scene: Scene, arguments: list[str], as_json: bool
) -> None:
    scene.many_dead(3)
    (trioq.config.parent / "payloads").write_text('{"path": "x"}\n')
    assert trioq("enqueue", "convert", '{"path": "x"}', "--id", "mine").exit_code == 0
    words = 2 if arguments[0] == "dead" else 1
    more = ["--json"] if as_json else []
    with open("/dev/full", "w") as full:
        ended = as_program(
            *arguments[:words], trioq.config, *arguments[words:], *more,
            stdout=full, cwd=trioq.config.parent,
        )  # fmt: skip
    told = b"trioq: this is done, but can't be told on stdout: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (0, told)


def as_program(
    *arguments: object, env: Mapping[str, str] | None = None, stdout: Any = subprocess.PIPE,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """The command line in a process of its own, with the streams that it makes itself."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in arguments]
    return subprocess.run(
        [sys.executable, "-m", "trioq", *words], check=False, timeout=60, cwd=cwd,
        stdout=stdout, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )  # fmt: skip
