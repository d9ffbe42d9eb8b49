"""An engine's process: what it takes from its parent, hands to its children, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import Server, trioq
from trioq.cli import leaving
from trioq.cli.engine import _Ending
from trioq.core.events import LifespanFailed
from trioq.store.inspect import stats
from trioq.store.redis import RedisStore

CONFIG = """
namespace = "t"
app = "process_app:app"
[redis]
url = "{url}"
[worker]
grace = "1s"
cancel_grace = "100ms"
max_attempts = 1
[observability]
bind = ""
log_format = "json"
[commands.fails]
argv = ["sh", "-c", "exit 3"]
"""

IGNORES = """
import signal, trioq
app = trioq.App()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
"""

FORKS = """
import multiprocessing, time, trioq
app = trioq.App()

def sleep(begun):
    begun.set()
    time.sleep(600)

@app.job
def forks(ends: list[str]):
    fork = multiprocessing.get_context("fork")
    codes = []
    for end in ends:
        begun = fork.Event()
        child = fork.Process(target=sleep, args=(begun,))
        child.start()
        begun.wait()
        child.terminate()
        child.join(20)
        codes.append(child.exitcode)
        child.kill()
    with open("codes", "w") as file:
        file.write(repr(codes))
"""

POOL = """
import concurrent.futures, time, trioq
app = trioq.App()
pool = concurrent.futures.ThreadPoolExecutor(2, "crunch")

def work(seconds):
    time.sleep(seconds)

@app.job
def leaves(seconds: float):
    pool.submit(work, seconds)
"""

STUBBORN = """
import trio, trioq
app = trioq.App()

@app.job
async def stubborn(job: trioq.Job):
    try:
        async with trioq.connect("q.toml") as client:
            await client.cancel(job.uid, wait=0)
    except trio.Cancelled:  # it may be told to end before its own request is answered
        pass
    while True:
        try:
            await trio.sleep(0.05)
        except trio.Cancelled:
            pass
"""

DEAF = """
import os, signal, trio, trioq
app = trioq.App()

@app.job
async def deaf():
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        try:
            await trio.sleep(0.05)
        except trio.Cancelled:
            pass
"""

#: Nobody waits for three seconds: what a lifespan takes at its end is longer than what is waited.
CLOSES = """
import sys, trio, trioq, trioq.cli.leaving
trioq.cli.leaving.SOON_S = 0.1

async def resources(app):
    yield
    await trio.sleep(1.5)
    print("closed", file=sys.stderr)
    raise OSError("no route")

app = trioq.App(lifespan=resources)

@app.job
async def here(): ...
"""

#: One that heeds nothing, and has had its time.
STAYS = """
import math, time, trioq, trioq.cli.leaving
from trioq.engine.handlers import lifespans
trioq.cli.leaving.SOON_S = 0.1
lifespans.GRACE_S = -math.inf

async def resources(app):
    yield
    time.sleep(600)

app = trioq.App(lifespan=resources)

@app.job
async def here(): ...
"""


@pytest.fixture
def config(tmp_path: Path, server: Server) -> Path:
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url))
    return path


def drained(
    config: Path, app: str, job: str, payload: dict[str, Any], code: int = 0, **options: Any
) -> tuple[list[dict[str, Any]], float]:
    """The log of an engine that ran one job in a process of its own, and how long that took."""
    (config.parent / "process_app.py").write_text(app)
    # Not in this process: it would import the app, which ignores children here, too.
    assert trioq("enqueue", config, job, json.dumps(payload)).returncode == 0
    started = time.monotonic()
    ended = trioq("serve", config, "--drain", cwd=config.parent, **options)
    assert ended.returncode == code, ended.stderr
    lines = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    return lines, time.monotonic() - started


def events(lines: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


# -- children ----------------------------------------------------------------------------------


def test_an_ignored_sigchld_of_the_apps_module_is_undone_and_told(
    config: Path, store: RedisStore
) -> None:
    lines, _ = drained(config, IGNORES, "fails", {})

    (died,) = [line for line in lines if line["event"] == "job_died"]
    assert died["error"].startswith("exit 3: ")
    assert "signal_reset" in events(lines)
    assert stats(store).counters.get("done", 0) == 0


def _ignore() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def test_an_ignored_sigchld_of_the_parent_is_undone(config: Path) -> None:
    before: Callable[[], None] = _ignore
    lines, _ = drained(config, FORKS, "fails", {}, preexec_fn=before)

    (died,) = [line for line in lines if line["event"] == "job_died"]
    assert died["error"].startswith("exit 3: ")


def test_a_forked_child_of_a_handler_ends_on_sigterm(config: Path) -> None:
    lines, _ = drained(config, FORKS, "forks", {"ends": ["a", "b"]})

    assert (config.parent / "codes").read_text() == repr([-signal.SIGTERM] * 2)
    assert "signal" not in events(lines)  # nor has its parent heard of it


# -- the end -----------------------------------------------------------------------------------


def test_threads_that_a_handler_left_are_told_and_end_with_the_process(config: Path) -> None:
    lines, took_s = drained(config, POOL, "leaves", {"seconds": 600})

    assert events(lines)[-3:] == ["engine_stopped", "end_held_up", "end_forced"]
    (thread,) = lines[-2]["by"]
    assert thread.startswith("crunch_0: ")
    assert thread.endswith("process_app.py:7 in work")
    assert lines[-2]["ends_in_s"] == 1.0
    assert took_s < 60


def test_a_handler_that_goes_on_though_its_job_was_cancelled_ends_with_the_process(
    config: Path,
) -> None:
    lines, _ = drained(config, STUBBORN, "stubborn", {})

    assert events(lines)[-3:] == ["engine_stopped", "end_held_up", "end_forced"]
    assert "job_ignored_cancel" in events(lines)
    assert lines[-2]["by"] == lines[-1]["by"] == ["handler stubborn, 1 of them"]


def test_a_lifespan_that_is_left_has_its_time_and_isnt_spoken_of(config: Path) -> None:
    lines, _ = drained(config, CLOSES, "here", {}, code=1)

    assert events(lines)[-2:] == ["engine_stopped", "lifespan_failed"]


def test_one_that_isnt_left_in_its_time_is_named_and_ends_with_the_process(config: Path) -> None:
    lines, _ = drained(config, STAYS, "here", {}, code=1)

    assert events(lines)[-2:] == ["end_held_up", "end_forced"]
    assert lines[-1]["by"] == ["lifespan process_app.resources"]


def test_an_end_that_is_forced_tells_by_its_code_that_a_lifespan_failed() -> None:
    leaving.prepare(0.0, print)
    _Ending()(LifespanFailed("the lifespan failed", ""))
    (prepared,) = leaving._leaving
    assert prepared.code == 1


def test_a_handler_that_heeds_no_end_ends_with_the_process_and_keeps_its_job(
    config: Path, store: RedisStore
) -> None:
    lines, _ = drained(config, DEAF, "deaf", {})

    assert events(lines)[-2:] == ["end_held_up", "end_forced"]
    assert "engine_stopped" not in events(lines)
    assert lines[-1]["by"] == ["handler deaf, 1 of them"]
    assert stats(store).running == 1, "until the lease of its engine is over"


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_threads_that_end_by_themselves_are_not_spoken_of(config: Path, seconds: float) -> None:
    lines, _ = drained(config, POOL, "leaves", {"seconds": seconds})

    assert events(lines)[-1] == "engine_stopped"


# -- the working directory -----------------------------------------------------------------------

#: Runs what follows it where the directory is removed before.
IN_A_REMOVED_DIRECTORY = """
import os, sys
os.mkdir("release")
os.chdir("release")
os.rmdir("../release")
os.execv(sys.executable, [sys.executable, "-m", "trioq", *sys.argv[1:]])
"""


def in_a_removed_directory(
    config: Path, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IN_A_REMOVED_DIRECTORY, *map(str, arguments)],
        check=False, capture_output=True, text=True, timeout=120, cwd=config.parent,
    )  # fmt: skip


def test_absolute_paths_need_no_working_directory(config: Path, store: RedisStore) -> None:
    """A deployment has removed the old release, where somebody's shell still stands."""
    (config.parent / "process_app.py").write_text(POOL)
    (config.parent / "data").mkdir()
    (config.parent / "data" / "a.txt").write_text("x")
    with config.open("a") as file:
        file.write(f'[producer]\nscan_dir = "{config.parent}/data"\n')

    for arguments in (
        ("config", "check", config),
        ("enqueue", config, "leaves", '{"seconds": 0}'),
        ("serve", config, "--drain"),
        ("stats", config),
    ):
        ended = in_a_removed_directory(config, *arguments)
        assert ended.returncode == 0, ended.stderr
        assert "scan_failed" not in ended.stderr

    assert stats(store).counters["done"] == 2


@pytest.mark.parametrize("path", ["q.toml", "../q.toml"])
def test_where_the_working_directory_is_needed_the_message_says_that_it_is_gone(
    config: Path, path: str
) -> None:
    for arguments in (("config", "check", path), ("serve", path), ("stats", path)):
        ended = in_a_removed_directory(config, *arguments)
        assert (ended.returncode, ended.stderr) == (
            2,
            f"trioq: {path}: the working directory is gone ({config.parent}/release):"
            " give an absolute path\n",
        )
