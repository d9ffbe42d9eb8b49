"""``trioq shell``: a console in trio, on a terminal and through a pipe."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, lines, write_config
from tests.cli.terminal import Terminal, on_terminal
from tests.dump import dump
from tests.support import PATIENCE_S, Server, wait_until
from tests.support import trioq as apart
from tests.support import trioq_started as started

APP = """
import trioq

app = trioq.App()

@app.job
async def add(a: int, b: int = 2):
    return a + b

@app.job("mail.send")
async def send():
    pass

@app.job
async def client():
    pass

@app.job("list")
async def list_all():
    pass
"""


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> Cli:
    (tmp_path / "shell_app.py").write_text(APP)
    config = write_config(tmp_path, server)
    config.write_text('app = "shell_app:app"\n' + config.read_text())
    return Cli(config)


def ran(cli: Cli, *options: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return apart("shell", cli.config, *options, cwd=cli.config.parent, input=input)


# -- through a pipe ----------------------------------------------------------------------------


def test_a_script_has_the_client_the_app_and_its_handlers(cli: Cli, server: Server) -> None:
    ended = ran(
        cli,
        input="""
handle = await client.enqueue(add.call(a=1), id="mine")
print(handle.is_new, (await handle.status()).state)
print(sorted(handlers), app is not None, config.namespace)
print(await add(1), handlers["mail.send"].call().name)
for _ in range(2):
    await trio.sleep(0)
print(admin.stats().queues["low"].ready, type(client).__name__)
""",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert lines(ended.stdout) == [
        "True ready",
        "['add', 'client', 'list', 'mail.send'] True t",
        "3 mail.send",
        "1 Client",
    ]
    store = server.store("t")
    assert len(dump(store).jobs) == 1
    store.lane.close()


def test_commands_are_functions_whose_keywords_are_their_options(cli: Cli) -> None:
    cli("enqueue", "add", "--id", "later", "--delay", "1h")
    cli("enqueue", "add", "--id", "soon")
    ended = ran(
        cli,
        input="""
jobs("scheduled", name="add", n=5)
jobs("scheduled", "ready", newest=True)
explain("soon")
job("soon")
stats()
job("nobody")
print("goes on")
""",
    )
    assert ended.returncode == 0
    for command in (
        ["jobs", "--state", "scheduled", "--name", "add", "-n", "5"],
        ["jobs", "--state", "scheduled", "--state", "ready", "--newest"],
        ["explain", "soon"],
    ):
        assert ageless(cli(command[0], *command[1:]).stdout) in ageless(ended.stdout)
    assert "goes on" in ended.stdout
    assert "no job 'nobody'" in ended.stderr


def ageless(text: str) -> str:
    """Without how long ago something was."""
    return " ".join(re.sub(r"\d+ \w+ ago|\bnow\b|\bin \d+ \w+", "", text).split())


@pytest.mark.parametrize(("code", "exit_code", "said"), [
    ("print(1)", 0, ""),
    ("exit(3)", 3, ""),
    ("1 / 0", 1, "ZeroDivisionError"),
    ("await client.enqueue('add', {}, queue='hihg')", 1, "trioq.errors.QueueUnknown"),
    ("x = (1", 1, "SyntaxError"),
    ("jobs(sate='dead')", 1, "TypeError: jobs() has no sate=…: it takes state=…, "),
    ("jobs(state='deadd')", 1, "ValueError: jobs(): Invalid value for '--state'"),
    ("assert list((1,)) == [1] and handlers['list']; exit(5)", 5, ""),
    ("breakpoint()", 1, "bdb.BdbQuit"),
])  # fmt: skip
def test_code_ends_as_python_ends(cli: Cli, code: str, exit_code: int, said: str) -> None:
    for ended in (ran(cli, "-c", code), ran(cli, input=code)):
        assert ended.returncode == exit_code, ended.stderr
        assert said in ended.stderr


def test_a_reader_that_goes_away_ends_it_silently(cli: Cli) -> None:
    code = "for n in range(100_000): print(n)"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started("shell", cli.config, "-c", code, cwd=cli.config.parent, **pipes) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(PATIENCE_S) == 1


def test_a_traceback_begins_at_the_script_and_has_its_lines(cli: Cli) -> None:
    told = lines(ran(cli, input="def f():\n    return 1 / 0\n\nf()\n").stderr)
    assert told[:3] == [
        "Traceback (most recent call last):", '  File "<stdin>", line 4, in <module>', "    f()"
    ]  # fmt: skip


def test_a_server_that_is_not_there_is_a_line(cli: Cli, free_port: int) -> None:
    cli.config.write_text(f'redis.url = "redis://127.0.0.1:{free_port}"')
    ended = ran(cli, "-c", "await client.enqueue('x', {})")
    assert ended.returncode == 1
    assert "127.0.0.1" in ended.stderr


# -- on a terminal -----------------------------------------------------------------------------


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def test_a_console_says_what_is_at_hand_and_remembers_lines(cli: Cli, home: Path) -> None:
    with on_terminal("shell", cli.config) as terminal:
        terminal.see("(?s)t on unix://.*handlers +add, mail.send, client.*>>> ")
        enter(terminal, "await add(20, 22)", "42")
        enter(terminal, "_ + 1", "43")
        enter(terminal, "await client.nothing()", "AttributeError")
        enter(terminal, "h = await client.enqueue(add.call(1)); h.is_new", "True")
        terminal.press("\x04")
        assert terminal.end() == 0
    history = home / ".trioq_history"
    assert "await add(20, 22)" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_cancels_what_waits_and_the_console_goes_on(cli: Cli, home: Path) -> None:
    with on_terminal("shell", cli.config) as terminal:
        terminal.see(">>> ")
        terminal.press("print('waits'); await trio.sleep_forever()\r")
        terminal.see("\r\nwaits")
        terminal.press("\x03")
        terminal.see("(?s)KeyboardInterrupt.*>>> ")
        enter(terminal, "6 * 7", "42")
        terminal.press("\x04")
        assert terminal.end() == 0


def test_what_was_started_goes_on_while_somebody_types(cli: Cli, home: Path) -> None:
    there = cli.config.parent / "there"
    with on_terminal("shell", cli.config) as terminal:
        terminal.see(">>> ")
        terminal.press("async def later():\r    await trio.sleep(0.3)\r")
        terminal.press(f"    await trio.Path({str(there)!r}).touch()\r\r")
        terminal.press("trio.lowlevel.spawn_system_task(later) and None\r")
        wait_until(there.exists)
        terminal.press("\x04")
        assert terminal.end() == 0


def enter(terminal: Terminal, line: str, answer: str) -> None:
    terminal.shown = ""
    terminal.press(line + "\r")
    terminal.see(rf"(?s)\n[^>]*{answer}.*>>> $")
