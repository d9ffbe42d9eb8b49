"""An engine on a terminal: its log above one line that moves, and nobody waits for the screen."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

import trioq
from tests.cli.conftest import run
from tests.cli.emulator import Emulator, emulated
from tests.support import Server, wait_until
from trioq.store.inspect import stats
from trioq.store.redis import RedisStore

APP = """
import logging, sys
import trioq
app = trioq.App()

@app.job
async def chatty(n: int):
    logging.getLogger("mine").warning("logged %d", n)
    print("printed", n)
    print("half", end=" ")
    print("told", n, file=sys.stderr)

@app.job
async def quiet(n: int):
    pass
"""

CONFIG = """
app = "live_app:app"
namespace = "t"
[redis]
url = "{url}"
[observability]
bind = ""
log_level = "debug"
"""

LIVE = re.compile(r"^trioq [\d,]+ done · .*\d/s$")


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    (tmp_path / "live_app.py").write_text(APP)
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url))
    return path


def live_lines(screen: Emulator) -> list[str]:
    return [line for line in screen.lines if "done ·" in line]


def test_log_lines_and_prints_stand_above_the_one_live_line(config: Path) -> None:
    with emulated("serve", config, columns=250, lines=60) as screen:
        screen.see("trioq 0 done")
        with trioq.connect_sync(config) as client:
            for n in range(3):
                client.enqueue("chatty", {"n": n})
        screen.see("trioq 3 done")
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.end() == 0
        assert len(live_lines(screen)) == 1, screen.text
        assert LIVE.match(live_lines(screen)[0])
        shown = [line for line in screen.lines if line]
        for n in range(3):
            assert f"printed {n}" in "\n".join(shown)
            assert sum(line.startswith("half ") or line == f"told {n}" for line in shown)
        for line in shown:
            assert re.match(r"\d\d:\d\d:\d\d \[|trioq 3 done|printed \d|(half )*(told \d)?", line)
        assert "logged 2" in screen.text


def test_an_engines_id_is_short_on_a_terminal(config: Path) -> None:
    with emulated("serve", config, columns=250, lines=60) as screen:
        line = screen.see("engine_started")
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.end() == 0
    assert re.search(r"engine_id=[0-9a-f]{6} ", line)
    assert socket.gethostname() not in line


def test_the_live_line_fits_into_a_narrow_terminal(config: Path) -> None:
    with emulated("serve", config, columns=12, lines=60) as screen:
        screen.see(lambda it: it.lines.count("trioq 0 do…") == 1)
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.end() == 0
    assert sum(line.startswith("trioq 0 do") for line in screen.lines) == 1, screen.text


def test_a_terminal_without_a_moving_cursor_gets_lines_alone(config: Path) -> None:
    with emulated("serve", config, columns=250, env={"TERM": "dumb"}) as screen:
        screen.see("engine_started")
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.end() == 0
        assert live_lines(screen) == []


def test_a_terminal_that_is_stopped_stops_no_job(config: Path, store: RedisStore) -> None:
    """Ctrl-S; and nobody reads, so that what the terminal itself keeps is soon full."""
    with emulated("serve", config) as screen:
        screen.see("trioq 0 done")
        screen.press("\x13")
        jobs = "\n".join(f'{{"n": {n}}}' for n in range(2000))
        assert run("enqueue", config, "quiet", "--from", "-", input=jobs).exit_code == 0
        wait_until(lambda: stats(store).counters.get("done", 0) == 2000)
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.process.wait(30) == 0
