"""``trioq job --follow``."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cli.conftest import Cli, only_error
from tests.cli.terminal import on_terminal
from tests.client.test_follow import Says
from tests.scene import Scene
from tests.store.drive import line
from tests.support import new_job, wait_until
from trioq.client import admin
from trioq.core.formats.summary import encode
from trioq.core.settlements import Ack, DeadLetter
from trioq.store.inspect import find
from trioq.store.redis import RedisStore


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "LOOK_S", 0.01)


def wait_for_a_look(store: RedisStore) -> None:
    """Until who follows has looked: it does so after it has asked to be told, and then anew."""
    watched = store.keys.fixed("watched")
    for _ in range(2):
        store.lane.call("DEL", watched)
        wait_until(lambda: store.lane.call("EXISTS", watched))


def test_each_change_is_a_line_until_the_job_is_done(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", "convert", id="mine"))
    engine = Says(scene)
    engine.claim()
    engine.says(0.5, "page 1 \x1b[31m", None, "a line")
    with ThreadPoolExecutor(1) as pool:
        ends = pool.submit(trioq, "job", "mine", "--follow")
        wait_for_a_look(scene.store)
        engine.settle(Ack, b"")
        result = ends.result()
    log, running, *_ = result.stdout.splitlines()
    assert result.exit_code == 0
    assert log == "  a line"
    assert running.split(maxsplit=1)[1] == "running, attempt 1  50%  page 1 \\x1b[31m"


def test_what_it_has_logged_since_somebody_looked_is_shown_when_it_is_done(
    trioq: Cli, scene: Scene
) -> None:
    (uid,) = scene.enqueue(new_job("low", "convert", id="mine"))
    engine = Says(scene)
    engine.claim()
    engine.says(0.5, "page 1", None, "one")
    record = find(scene.store, uid).record  # type: ignore[union-attr]
    assert record is not None
    with ThreadPoolExecutor(1) as pool:
        ends = pool.submit(trioq, "job", "mine", "--follow")
        wait_for_a_look(scene.store)
        engine.board.log("two\nthree")
        summary = encode(
            record, attempt=1, took_s=1.0, at_ms=1, engine="e", trace=None, board=engine.board
        )
        engine.settle(Ack, summary)
        log = [line for line in ends.result().stdout.splitlines() if line.startswith("  ")]
    assert log == ["  one", "  two", "  three"]
    assert "log of attempt 1" in trioq("job", "mine").stdout


def test_programs_get_a_line_of_json_for_each_change(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", "convert", id="mine"))
    engine = Says(scene)
    engine.claim()
    engine.says(0.5, "half", [1], "one")
    with ThreadPoolExecutor(1) as pool:
        ends = pool.submit(trioq, "job", "mine", "--follow", "--json")
        wait_for_a_look(scene.store)
        engine.says(0.75, "more", [2], "two")
        engine.settle(DeadLetter, 1, "failures", line("no"))
        result = ends.result()
    assert result.exit_code == 1
    told = [json.loads(each) for each in result.stdout.splitlines()]
    assert (told[0]["state"], told[0]["progress"], told[0]["data"]) == ("running", 0.5, [1])
    assert (told[-1]["state"], told[-1]["error"]) == ("dead", "ValueError: no")
    assert [each for status in told for each in status["log"]] == ["one", "two"]


def test_a_job_that_is_not_there_is_not_followed(trioq: Cli) -> None:
    assert only_error(trioq("job", "mine", "--follow"), 1).startswith("no job 'mine'")


def test_somebody_at_a_terminal_sees_a_bar_and_leaves_by_ctrl_c(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", "convert", id="mine"))
    engine = Says(scene)
    engine.claim()
    engine.says(0.5, "half of it", None, "a line")
    with on_terminal("job", trioq.config, "mine", "--follow") as terminal:
        terminal.see("a line")
        terminal.see("running, attempt 1.*50%.*half of it")
        terminal.press("\x03")
        assert terminal.end() == 128 + signal.SIGINT
        terminal.see("the job goes on")


def test_a_story_tells_how_far_a_job_was_and_what_it_logged(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", "convert", id="mine"))
    engine = Says(scene)
    engine.claim()
    engine.says(0.5, "half of it", {"page": 7}, "a line")
    told = trioq("job", "mine").stdout
    for said in ("attempt 1 was at 50% ", "half of it", '"page": 7', "log of attempt 1", "a line"):
        assert said in told
    noted = trioq.json("job", "mine")["noted"]
    assert (noted["progress"]["fraction"], noted["log"]) == (0.5, ["a line"])
