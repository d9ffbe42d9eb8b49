"""A handler that forks: its child may do what it likes, but not go on as the engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.support import PATIENCE_S, Server, new_job, trioq_started, wait_until
from trioq.store.inspect import stats

pytestmark = pytest.mark.direct  # it is about processes

APP = """
import multiprocessing
import os

import trio

import trioq

app = trioq.App()
log = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(what):
    os.write(log, f"{what} {os.getpid()}\\n".encode())


@app.job("awaits")
async def awaits():
    os.fork()
    await trio.sleep(0.2)
    note("on")


@app.job("returns")
async def returns():
    os.fork()
    note("back")


@app.job("in a task")
async def in_a_task():
    async def forks():
        os.fork()
        await trio.sleep(0.2)
        note("on")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(forks)


@app.job("in a thread")
def in_a_thread():
    os.fork()
    note("back")


@app.job("exits")
async def exits():
    if (child := os.fork()) == 0:
        note("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@app.job("multiprocessing")
def of_the_library():
    child = multiprocessing.get_context("fork").Process(target=note, args=("child",))
    child.start()
    child.join()
    assert child.exitcode == 0


@app.job("other")
async def other():
    await trio.sleep(1.0)
    note("other")
"""

CONFIG = """
namespace = "t"
app = "forks_app:app"
default_queue = "low"
[redis]
url = "{url}"
[[queues]]
name = "low"
[worker]
count = 4
max_attempts = 1
[observability]
bind = ""
log_format = "json"
"""


@attrs.define
class Forking:
    """An engine in a process of its own, and what its handlers have noted."""

    server: Server
    directory: Path
    engine: subprocess.Popen[str]

    def run(self, *names: str) -> None:
        """Run jobs of these names, until all are done."""
        store = self.server.store("t")
        store.enqueue("a", 1, [new_job("low", name, b"{}") for name in names])
        wait_until(lambda: stats(store).counters.get("done", 0) == len(names))
        store.lane.close()

    def drain(self) -> None:
        self.engine.terminate()
        assert self.engine.wait(timeout=PATIENCE_S) == 0

    def noted(self) -> list[tuple[str, bool]]:
        """What, and whether it was the engine itself that noted it."""
        lines = (self.directory / "runs").read_text().splitlines()
        told = (line.split() for line in lines)
        return [(what, int(pid) == self.engine.pid) for what, pid in told]

    def log(self) -> str:
        return (self.directory / "log").read_text()


@pytest.fixture
def forking(server: Server, tmp_path: Path) -> Iterator[Forking]:
    (tmp_path / "forks_app.py").write_text(APP)
    (tmp_path / "jobqueue.toml").write_text(CONFIG.format(url=server.url))
    with (tmp_path / "log").open("w") as log:
        engine = trioq_started(
            "serve", tmp_path / "jobqueue.toml", cwd=tmp_path,
            env={"RUNS": str(tmp_path / "runs")}, stderr=log, stdout=log,
        )  # fmt: skip
    yield Forking(server, tmp_path, engine)
    if engine.poll() is None:
        engine.kill()
    engine.wait()


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("awaits", [("on", True)]),
        ("in a task", [("on", True)]),
        # The child goes on to the end of its handler, which nobody can keep it from.
        ("returns", [("back", False), ("back", True)]),
        ("in a thread", [("back", False), ("back", True)]),
    ],
)
def test_a_copy_of_an_engine_ends_when_it_comes_back_and_says_so(
    forking: Forking, name: str, noted: list[tuple[str, bool]]
) -> None:
    forking.run(name, "other")
    wait_until(lambda: "is a forked copy of engine" in forking.log())
    forking.drain()
    assert sorted(forking.noted()) == sorted([*noted, ("other", True)])
    assert forking.log().count("is a forked copy of engine") == 1
    assert forking.log().count('"engine_stopped"') == 1
    assert forking.log().count('"boot_lost"') == 0


@pytest.mark.parametrize("name", ["exits", "multiprocessing"])
def test_a_child_that_ends_where_it_is_is_left_alone(forking: Forking, name: str) -> None:
    forking.run(name)
    forking.drain()
    assert forking.noted() == [("child", False)]
    assert "forked copy" not in forking.log()


def test_a_copy_in_a_thread_runs_nothing_of_what_was_to_follow_there(forking: Forking) -> None:
    forking.run(*["in a thread"] * 8)
    wait_until(lambda: len(forking.noted()) >= 16)
    forking.drain()
    assert sorted(forking.noted()) == [("back", False)] * 8 + [("back", True)] * 8
