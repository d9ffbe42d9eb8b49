"""Where jobs go that are enqueued by a handler's name, and when the app is imported for that."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioq
from tests.support import Server
from trioq.client.handler_queues import HandlerQueues
from trioq.settings import load

CONFIG = """
namespace = "t"
app = "{app}"
queues = [{{ name = "high" }}, {{ name = "low" }}]
[redis]
url = "{url}"
[commands.told]
argv = ["true"]
queue = "low"
"""

#: It counts how often it is imported.
APP = """
from pathlib import Path
import trioq
app = trioq.App()

@app.job("theirs", queue="low")
async def theirs(): ...

@app.job("plain")
async def plain(): ...

with Path(__file__).with_name("imported").open("a") as file:
    file.write("x")
"""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    (tmp_path / "queues_app.py").write_text(APP)
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(app="queues_app:app", url=server.url))
    return path


@pytest.fixture
def broken(server: Server, tmp_path: Path) -> Path:
    """Its app isn't there: to import it warns."""
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(app="nowhere_to_be_found:app", url=server.url))
    return path


def test_what_is_imported_once_is_known(config: Path) -> None:
    queues = HandlerQueues(load(config))
    assert (queues.is_known("told"), queues.of("told")) == (True, "low")
    assert not (config.parent / "imported").exists(), "a command needs no app"
    assert not queues.is_known("theirs")
    assert queues.of("theirs") == "low"
    assert queues.is_known("theirs")
    assert queues.is_known("nobodys")
    assert queues.of("plain") is queues.of("nobodys") is None


def test_an_app_that_cannot_be_imported_is_a_warning_once(broken: Path) -> None:
    queues = HandlerQueues(load(broken))
    with pytest.warns(RuntimeWarning, match="nowhere_to_be_found"):
        assert queues.of("theirs") is None
    assert queues.of("theirs") is None
    assert queues.is_known("theirs")


@pytest.mark.trio
async def test_who_names_the_queue_needs_no_app(broken: Path) -> None:
    async with trioq.connect(broken) as client:
        assert (await client.enqueue("theirs", {}, queue="high")).is_new
        assert (await client.enqueue("told", {})).is_new
    with trioq.connect_sync(broken) as sync:
        assert (await trio.to_thread.run_sync(lambda: sync.enqueue("theirs", queue="low"))).is_new
