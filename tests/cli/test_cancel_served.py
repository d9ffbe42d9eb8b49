"""``trioq cancel`` and clients, where a real engine runs the jobs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import trioq as library
from tests.cli.conftest import Cli
from tests.scene import Scene
from tests.support import PATIENCE_S, trioq_started, wait_until
from trioq.store.inspect import stats

APP = """
import trio
import trioq

app = trioq.App()

@app.job(queue="low", result="1h")
async def sleeper() -> None:
    await trio.sleep_forever()

@app.job(queue="low", result="1h")
async def stubborn() -> str:
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        return "done all the same"

@app.job(queue="low", result="1h")
async def double(number: int) -> int:
    return 2 * number
"""


@pytest.fixture
def served(trioq: Cli, scene: Scene) -> Iterator[Cli]:
    scene.store.sign_off(scene.driver.engine)
    more = '[worker]\ncount = 100\ncancel_grace = "2s"\n'
    trioq.config.write_text('app = "sleepers:app"\n' + trioq.config.read_text() + more)
    (trioq.config.parent / "sleepers.py").write_text(APP)
    engine = trioq_started("serve", trioq.config, cwd=Path(trioq.config).parent)
    yield trioq
    engine.send_signal(signal.SIGINT)
    assert engine.wait(PATIENCE_S) == 0


def running(scene: Scene) -> int:
    return stats(scene.store).running


def test_sleepers_are_cancelled_by_name_and_all_acknowledged(served: Cli, scene: Scene) -> None:
    with library.connect_sync(served.config) as client:
        handles = client.enqueue_many([library.Call("sleeper", {}, "low")] * 300)
    wait_until(lambda: running(scene) >= 100)
    ended = served("cancel", "--name", "sleeper", "--yes", "--reason", "no more", "--wait", "60s")
    assert ended.exit_code == 0, ended.output
    assert ended.stderr == ""
    wait_until(lambda: running(scene) == 0)
    assert stats(scene.store).counters["cancelled"] == len(handles) == 300
    told = served.json("job", handles[0].uid)
    assert (told["state"], told["reason"], told["done"]["how"]) == (
        "cancelled", "no more", "stopped",
    )  # fmt: skip


def test_what_catches_it_and_returns_is_done(served: Cli, scene: Scene) -> None:
    with library.connect_sync(served.config) as client:
        handle = client.enqueue("stubborn", queue="low", result="1h")
        wait_until(lambda: running(scene) == 1)
        assert handle.cancel("no more", wait=PATIENCE_S) is library.CancelOutcome.finished_first
        assert handle.result(PATIENCE_S) == "done all the same"


def test_a_job_is_queued_and_its_result_printed(served: Cli) -> None:
    ended = served(
        "enqueue", "double", '{"number": 21}', "--queue", "low", "--result", "1h", "--wait", "60s"
    )
    assert (ended.exit_code, ended.stdout) == (0, "42\n"), ended.stderr
