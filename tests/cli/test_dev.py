"""``trioq dev``: what somebody sees who edits handlers, on a terminal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

import trioq
from tests.cli.terminal import Terminal, on_terminal
from tests.support import PATIENCE_S, Server

CONFIG = """
namespace = "t"
app = "jobs_of_dev:app"
[redis]
url = "{url}"
[worker]
max_attempts = 1
lease = "1s"
heartbeat_interval = "200ms"
[reaper]
interval = "200ms"
[observability]
bind = ""
"""

APP = """
import os, sys, time
import trio, trioq
app = trioq.App()

@app.job(result="1h")
async def version() -> str:
    return "first"

@app.job(result="1h")
async def pid() -> int:
    return os.getpid()

@app.job(result="1h")
async def slow(job: trioq.Job) -> int:
    await trio.sleep(600)
    return job.attempt
"""

#: Instead of an end by itself.
QUICK = APP.replace("await trio.sleep(600)", "await trio.sleep(0)").replace("first", "quick")

#: What can't be loaded, for reasons of each kind, and what is told of it.
WRONG = {
    "app = trioq.App(": r"jobs_of_dev\.py\", line \d+(.|\n)*SyntaxError",
    "import nowhere_at_all": "ModuleNotFoundError: No module named 'nowhere_at_all'",
    "1 / 0": "ZeroDivisionError",
    "raise SystemExit(3)": "SystemExit: 3",
    "app = 7": "is an object of type int, not a trioq.App",
}

BLOCKS = (
    APP
    + """
@app.job
async def blocks():
    time.sleep(600)
"""
)

STOPS = (
    APP
    + """
@app.job(timeout=1, result="1h")
async def stops() -> str:
    found = "nothing"
    breakpoint()
    await trio.sleep(0.01)
    return found

@app.job(timeout=1, result="1h")
def stops_in_a_thread() -> str:
    found = "nothing"
    breakpoint()
    return found
"""
)


@attrs.define
class Dev:
    """Somebody at a terminal, with an editor beside it."""

    terminal: Terminal
    directory: Path
    config: Path

    @property
    def shown(self) -> str:
        return self.terminal.shown

    def write(self, text: str, name: str = "jobs_of_dev.py") -> None:
        """As editors do that put a new file in the place of the old one."""
        new = self.directory / ".new"
        new.write_text(text)
        os.replace(new, self.directory / name)

    def reload(self, text: str, name: str = "jobs_of_dev.py") -> None:
        """Write, and wait for the engine that runs it."""
        engines = self.shown.count("engine_started")
        self.write(text, name)
        self.started(engines + 1)

    def started(self, count: int) -> None:
        """So many engines have."""
        self.terminal.see(rf"(?s)(engine_started.*){{{count}}}\n")

    def call(self, name: str) -> object:
        """What a handler returns."""
        with trioq.connect_sync(self.config) as client:
            return client.enqueue(name, queue="low").result(timeout=PATIENCE_S)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.terminal.press("\x03")
        return self.terminal.end()


@contextmanager
def developing(directory: Path, server: Server, app: str, *options: object) -> Iterator[Dev]:
    config = directory / "jobqueue.toml"
    config.write_text(CONFIG.format(url=server.url))
    (directory / "jobs_of_dev.py").write_text(app)
    with on_terminal("dev", *options, config) as terminal:
        yield Dev(terminal, directory, config)


@pytest.fixture
def dev(tmp_path: Path, server: Server) -> Iterator[Dev]:
    with developing(tmp_path, server, APP) as dev:
        dev.started(1)
        yield dev


def test_what_is_changed_runs_in_the_same_process(dev: Dev) -> None:
    assert (dev.call("version"), dev.call("pid")) == ("first", dev.terminal.process.pid)
    dev.reload(APP.replace("first", "second"))
    assert (dev.call("version"), dev.call("pid")) == ("second", dev.terminal.process.pid)
    assert dev.interrupt() == 0
    assert "Traceback" not in dev.shown


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            line, marks=[] if line in ("app = trioq.App(", "app = 7") else pytest.mark.long
        )
        for line in WRONG
    ],
)
def test_while_it_cannot_be_loaded_the_old_code_runs_on(dev: Dev, line: str) -> None:
    dev.write(f"{APP.replace('first', 'second')}\n{line}\n")
    dev.terminal.see(rf"(?s)not_loaded.*{WRONG[line]}")
    assert dev.call("version") == "first"
    dev.reload(APP.replace("first", "third"))
    assert dev.call("version") == "third"
    assert dev.shown.count("engine_started") == 2


@pytest.mark.long
def test_a_thread_that_a_module_begins_keeps_no_reload(dev: Dev) -> None:
    thread = "\nimport threading\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    dev.reload(QUICK + thread)
    assert dev.call("version") == "quick"
    dev.write(QUICK + thread + "1 / 0\n")
    dev.terminal.see("not_loaded(.|\n)*ZeroDivisionError")


@pytest.mark.long
def test_a_module_that_is_imported_for_long_is_told(dev: Dev) -> None:
    dev.write(APP + "\ntime.sleep(600)\n")
    dev.terminal.see("still_loading")
    assert dev.call("version") == "first"
    dev.reload(QUICK)
    assert dev.call("version") == "quick"


def test_what_is_undone_changes_nothing(dev: Dev) -> None:
    file = dev.directory / "jobs_of_dev.py"
    was = file.stat()
    file.write_text("app = (")
    dev.terminal.see("not_loaded")
    file.write_text(APP)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    dev.terminal.see("as_before")
    assert dev.call("version") == "first"


def test_a_wrong_configuration_is_told_and_the_old_one_holds(dev: Dev) -> None:
    right = dev.config.read_text()
    dev.write(right.replace("[worker]", "[worker]\ncount = -1"), "jobqueue.toml")
    dev.terminal.see("(?s)not_loaded.*worker.count: expected")
    dev.reload(right.replace("[worker]", "[worker]\ncount = 3"), "jobqueue.toml")
    assert "workers=3" in dev.shown


@pytest.mark.long
def test_ten_changes_in_a_row_end_in_the_last_one(dev: Dev) -> None:
    for n in range(10):
        dev.write("app = (" if n % 3 == 1 else APP.replace("first", f"change {n}"))
    while dev.call("version") != "change 9":
        pass
    assert dev.interrupt() == 0


@pytest.mark.long
def test_what_comes_while_it_begins_again_is_not_missed(dev: Dev) -> None:
    for moment in ("reloading", "(?s)(connected.*){2}", "(?s)(watching.*){3}"):
        dev.write(APP.replace("first", f"before {moment}"))
        dev.terminal.see(moment)
    dev.write(APP.replace("first", "change 3"))
    while dev.call("version") != "change 3":
        pass


@pytest.mark.long
def test_who_saves_twice_in_a_second_gets_the_second(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes what it has compiled for as new as a file of that second and length."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    second = int(time.time()) + 1
    new = tmp_path / ".new"
    with developing(tmp_path, server, APP) as dev:
        dev.started(1)
        for n in (1, 2, 3):
            new.write_text(APP.replace("first", f"no. {n}"))
            os.utime(new, ns=(0, second * 10**9 + n))
            os.replace(new, tmp_path / "jobs_of_dev.py")
            dev.started(n + 1)
            assert dev.call("version") == f"no. {n}"


@pytest.mark.long
def test_modules_come_and_go(dev: Dev) -> None:
    with_parts = APP.replace("import os", "import parts_of_dev.one, os").replace(
        '"first"', "parts_of_dev.one.VERSION"
    )
    dev.write(with_parts)  # before the module is there
    dev.terminal.see("(?s)not_loaded.*No module named 'parts_of_dev'")
    (dev.directory / "parts_of_dev").mkdir()
    dev.reload("VERSION = 'of a part'", "parts_of_dev/one.py")
    assert dev.call("version") == "of a part"
    dev.reload("VERSION = 'of another part'", "parts_of_dev/one.py")
    assert dev.call("version") == "of another part"
    (dev.directory / "parts_of_dev" / "one.py").unlink()
    dev.terminal.see("(?s)(not_loaded.*){2}")
    assert dev.call("version") == "of another part"
    dev.reload(APP)
    assert dev.call("version") == "first"


def test_files_that_the_code_reads_are_watched_with_watch(tmp_path: Path, server: Server) -> None:
    (tmp_path / "texts").mkdir()
    text = tmp_path / "texts" / "version.txt"
    text.write_text("first")
    app = APP.replace('"first"', "VERSION").replace(
        "app =", f"from pathlib import Path\nVERSION = Path({str(text)!r}).read_text()\napp ="
    )
    with developing(tmp_path, server, app, "--watch", text.parent) as dev:
        dev.started(1)
        dev.reload("second", "texts/version.txt")
        assert dev.call("version") == "second"


def test_what_is_wrong_at_the_start_is_waited_for(tmp_path: Path, server: Server) -> None:
    with developing(tmp_path, server, "app = (") as dev:
        dev.terminal.see("(?s)not_loaded.*SyntaxError")
        dev.write("app = )")
        dev.terminal.see("(?s)(not_loaded.*){2}")
        dev.reload(APP)
        assert dev.call("version") == "first"
    with developing(tmp_path, server, "app = (") as dev:
        dev.terminal.see("not_loaded")
        assert dev.interrupt() == 130


@pytest.mark.long
def test_a_lifespan_that_fails_is_waited_for(dev: Dev) -> None:
    fails = "async def fails(app):\n    raise OSError('no database')\n    yield\n"
    dev.write(APP.replace("app = trioq.App()", f"{fails}app = trioq.App(lifespan=fails)"))
    dev.terminal.see("(?s)not_loaded.*no database")
    dev.reload(APP.replace("first", "second"))
    assert dev.call("version") == "second"


def test_jobs_that_run_are_given_back_at_no_cost(dev: Dev) -> None:
    with trioq.connect_sync(dev.config) as client:
        handle = client.enqueue("slow", queue="low")
        dev.terminal.see("job_started")
        dev.reload(QUICK)
        assert handle.result(timeout=PATIENCE_S) == 1  # its first attempt, still


@pytest.mark.long
def test_a_handler_that_blocks_the_loop_is_told_and_left_behind(
    tmp_path: Path, server: Server
) -> None:
    with developing(tmp_path, server, BLOCKS) as dev:
        dev.started(1)
        with trioq.connect_sync(dev.config) as client:
            client.enqueue("blocks", queue="low")
        dev.terminal.see(r"loop_blocked .*at=\S*jobs_of_dev\.py:\d+ in blocks")
        dev.reload(QUICK + "\n@app.job\nasync def blocks():\n    pass\n")
        assert "end_forced" in dev.shown
        assert dev.call("version") == "quick"


@pytest.mark.long
def test_the_third_interrupt_ends_also_what_blocks_the_loop(tmp_path: Path, server: Server) -> None:
    with developing(tmp_path, server, BLOCKS) as dev:
        dev.started(1)
        with trioq.connect_sync(dev.config) as client:
            client.enqueue("blocks", queue="low")
        dev.terminal.see("loop_blocked")
        for count in (1, 2):
            dev.terminal.press("\x03")
            dev.terminal.see(f"signal={count}")
        dev.terminal.press("\x03")
        assert dev.terminal.end() == 130


@pytest.mark.parametrize("name", ["stops", "stops_in_a_thread"])
def test_a_breakpoint_has_the_terminal_and_all_the_time(
    tmp_path: Path, server: Server, name: str
) -> None:
    """It takes longer than the lease, the handler's timeout and a reload would."""
    with developing(tmp_path, server, STOPS) as dev:
        dev.started(1)
        with trioq.connect_sync(dev.config) as client:
            handle = client.enqueue(name, queue="low")
            dev.terminal.see(r"\(Pdb\) $")
            dev.terminal.press("import time; time.sleep(2.5)\n")
            dev.terminal.see(r"sleep\(2.5\)\r\n\(Pdb\) $")
            dev.terminal.press("found = 'somebody'\n")
            dev.terminal.see(r"somebody'\r\n\(Pdb\) $")
            dev.terminal.press("c\n")
            assert handle.result(timeout=PATIENCE_S) == "somebody"
        assert dev.interrupt() == 0


@pytest.mark.long
def test_a_reload_waits_for_who_is_at_a_breakpoint(tmp_path: Path, server: Server) -> None:
    with developing(tmp_path, server, STOPS) as dev:
        dev.started(1)
        with trioq.connect_sync(dev.config) as client:
            handle = client.enqueue("stops_in_a_thread", queue="low")
            dev.terminal.see(r"\(Pdb\) $")
            dev.write(STOPS.replace("first", "second"))
            dev.terminal.see("reload_waits")
            dev.terminal.press("c\n")
            assert handle.result(timeout=PATIENCE_S) == "nothing"
        dev.started(2)
        assert dev.call("version") == "second"


def test_the_first_interrupt_drains_and_the_second_ends_at_once(dev: Dev) -> None:
    with trioq.connect_sync(dev.config) as client:
        handle = client.enqueue("slow", queue="low")
        dev.terminal.see("job_started")
        dev.terminal.press("\x03")
        dev.terminal.see("engine_stopping")
        assert "job_released" not in dev.shown
        begun = time.monotonic()
        assert dev.interrupt() == 0
        assert time.monotonic() - begun < PATIENCE_S
        assert "job_released" in dev.shown
        assert handle.status().state == "ready"


@pytest.mark.parametrize("moment", ["changed", "reloading", "engine_stopping", "engine_stopped"])
def test_an_interrupt_while_it_begins_again_ends_it(dev: Dev, moment: str) -> None:
    dev.write(QUICK)
    dev.terminal.see(moment)
    os.kill(dev.terminal.process.pid, signal.SIGINT)
    assert dev.terminal.end() in (0, 130, -signal.SIGINT)
    assert "Traceback" not in dev.shown
