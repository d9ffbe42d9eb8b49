"""``trioq result``, and ``trioq enqueue --wait``: what came of a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.cli.conftest import Cli, lines, only_error
from tests.cli.terminal import on_terminal
from tests.scene import Scene
from tests.store.drive import Driver, line
from tests.support import PATIENCE_S, Server, new_job, wait_until
from trioq.core.formats import summary
from trioq.core.job import Record
from trioq.core.settlements import Ack, DeadLetter, Deliver


def deliver(driver: Driver, value: bytes = b'{"pages": 3}') -> str:
    claim = driver.claim()
    driver.step(0, Deliver(claim.uid, driver.n, 60_000, "done", value))
    return claim.uid


# -- result ------------------------------------------------------------------------------------


def test_a_result_is_printed_as_json(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", id="mine"))
    deliver(scene.driver)
    for name in ("mine", uid):
        ended = trioq("result", name)
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert json.loads(ended.stdout) == {"pages": 3}
    assert trioq.json("result", "mine") == {
        "id": "mine", "uid": uid, "state": "done", "result": {"pages": 3}, "error": None,
    }  # fmt: skip


def test_a_result_is_waited_for(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="mine"))
    said = only_error(trioq("result", "mine"), 1)
    assert said == "mine: it hasn't ended yet, and goes on; `trioq explain` tells what it waits for"
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(trioq, "result", "mine", "--wait", "60s")
        wait_until(lambda: scene.store.lane.call("HLEN", "{t}:waits") == 1)
        deliver(scene.driver, b"null")
        assert told.result(PATIENCE_S).stdout == "null\n"


def test_why_there_is_none_is_told_and_a_failure(trioq: Cli, scene: Scene) -> None:
    scene.dead(new_job("low", id="dead"), message="no such file\x1b")
    scene.enqueue(new_job("low", id="plain"))
    scene.driver.step(0, Ack(scene.driver.claim().uid, scene.driver.n))
    scene.enqueue(new_job("low", id="left"))
    trioq("cancel", "left", "--reason", "customer left")
    told = {id: only_error(trioq("result", id), 1) for id in ("dead", "plain", "left")}
    assert told == {
        "dead": "dead: the job is dead (unknown): ValueError: no such file\\x1b",
        "plain": "plain: the job is done, and what it returned isn't kept, or no longer:"
        ' @app.job(result="1h") keeps it for an hour',
        "left": "left: the job was cancelled: customer left",
    }
    ended = trioq("result", "dead", "--json")
    assert ended.exit_code == 1
    shown = json.loads(ended.stdout)
    assert (shown["state"], shown["result"]) == ("dead", None)
    assert shown["error"] == {
        "kind": "JobDied", "message": "no such file\x1b", "type": "ValueError",
        "reason": "unknown", "traceback": "Traceback …",
    }  # fmt: skip


def test_how_it_ended_is_told_where_that_is_all_that_is_remembered(
    trioq: Cli, scene: Scene
) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    record = Record(scene.driver.claim().uid, "noop", "low", b"{}")
    told = summary.encode(record, attempt=1, took_s=0.1, at_ms=1, engine="e", trace=None)
    scene.driver.step(0, Ack(uid, scene.driver.n, told))
    ended = trioq("result", uid, "--json")
    assert ended.exit_code == 1
    assert (shown := json.loads(ended.stdout))["state"] == "done"
    assert shown["error"]["kind"] == "NoResultKept"


def test_a_job_that_nobody_knows_has_no_result(trioq: Cli) -> None:
    said = only_error(trioq("result", "nobody"), 1)
    assert said.startswith("no job 'nobody': there never was one, or it has ended")
    ended = trioq("result", "nobody", "--json")
    assert (ended.exit_code, ended.stderr) == (1, "")
    shown = json.loads(ended.stdout)
    assert (shown["id"], shown["uid"], shown["state"]) == ("nobody", None, "unknown")
    assert shown["error"]["kind"] == "JobUnknown"


# -- enqueue -----------------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def waiting(trioq: Cli, scene: Scene, pool: ThreadPoolExecutor, *words: str) -> Future[Any]:
    told = pool.submit(trioq, "enqueue", "noop", "--queue", "low", "--wait", "60s", *words)
    wait_until(lambda: scene.store.lane.call("HLEN", "{t}:waits") == 1)
    return told


def test_a_job_is_queued_and_waited_for(trioq: Cli, scene: Scene, pool: ThreadPoolExecutor) -> None:
    told = waiting(trioq, scene, pool)
    uid = deliver(scene.driver)
    ended = told.result(PATIENCE_S)
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, {"pages": 3})
    assert lines(ended.stderr) == [f"trioq: queued {uid} in low"]


def test_as_json_it_is_one_document(trioq: Cli, scene: Scene, pool: ThreadPoolExecutor) -> None:
    told = waiting(trioq, scene, pool, "--json", "--id", "mine")
    claim = scene.driver.claim()
    letter = DeadLetter(claim.uid, scene.driver.n, 1, "failures", line("no"))
    scene.driver.step(0, letter)
    ended = told.result(PATIENCE_S)
    shown = json.loads(ended.stdout)
    assert (ended.exit_code, shown["queued"], shown["state"]) == (1, True, "dead")
    assert shown["error"]["message"] == "no"
    again = json.loads(trioq("enqueue", "noop", "--id", "mine", "--wait", "0", "--json").stdout)
    assert (again["queued"], again["existing"], again["state"]) == (False, "dead", "dead")


def test_who_does_not_wait_longer_is_told(trioq: Cli, scene: Scene) -> None:
    ended = trioq("enqueue", "noop", "--queue", "low", "--wait", "10ms")
    assert ended.exit_code == 1
    assert lines(ended.stderr)[-1].endswith("and goes on; `trioq explain` tells what it waits for")
    assert deliver(scene.driver) in ended.stderr


def test_ctrl_c_leaves_the_job(trioq: Cli, scene: Scene, server: Server) -> None:
    words = ("enqueue", trioq.config, "noop", "--queue", "low", "--wait", "60s")
    with on_terminal(*words) as terminal:
        wait_until(lambda: b"name=trioq:ends:" in server.call("CLIENT", "LIST"))
        terminal.press("\x03")
        terminal.see("goes on; trioq result tells what it returns")
        assert terminal.end() == 130
    uid = deliver(scene.driver)
    assert json.loads(trioq("result", uid).stdout) == {"pages": 3}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--result", "soon"), "'soon' is no duration"),
        (("--result", "0"), "--result is 0"),
        (("--from", "-", "--wait", "1"), "--from and --wait can't be used together"),
    ],
)
def test_wrong_use_is_told(trioq: Cli, words: tuple[str, ...], told: str) -> None:
    ended = trioq("enqueue", "noop", *words)
    assert ended.exit_code == 2
    assert told in ended.stderr
