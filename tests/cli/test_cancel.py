"""``trioq cancel``: what waits and what runs, by ids, by name and by queue."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.conftest import Cli, lines, only_error
from tests.cli.terminal import on_terminal
from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import Server, new_job, wait_until
from trioq.core.settlements import Ack, Cancel
from trioq.store.inspect import stats


@contextmanager
def obedient(scene: Scene, how: str = "stopped") -> Iterator[None]:
    """An engine that stops what it is asked to, meanwhile."""
    over, asked = threading.Event(), 0

    def obey() -> None:
        nonlocal asked
        while not over.wait(0.01):
            reply = scene.driver.ask(0, asked=asked)
            asked = asked if reply.asked is None else reply.asked
            told = b'{"uid":"%s","state":"cancelled","how":"' + how.encode() + b'"}'
            stops = [Cancel(ask.uid, ask.step, told % ask.uid.encode()) for ask in reply.asks]
            if stops:
                scene.driver.step(0, *stops)

    thread = threading.Thread(target=obey)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# -- by ids ------------------------------------------------------------------------------------


def test_waiting_jobs_are_cancelled_by_uid_or_id(trioq: Cli, scene: Scene) -> None:
    (uid, _) = scene.enqueue(new_job("low"), new_job("high", id="mine", delay_ms=60_000))
    result = trioq("cancel", uid, "mine")
    assert (result.exit_code, result.stdout) == (0, f"cancelled {uid}\ncancelled mine\n")
    assert stats(scene.store).counters["cancelled"] == 2
    assert scene.driver.step(10) == ()


def test_what_runs_is_stopped_and_told_so(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="runs"), new_job("low", id="waits"))
    scene.driver.claim()
    with obedient(scene):
        result = trioq("cancel", "runs", "waits")
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(lines(result.stdout)) == ["cancelled waits", "stopped runs"]


def test_what_does_not_end_is_a_failure(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", id="runs"))
    scene.driver.claim()
    said = only_error(trioq("cancel", "runs", "--wait", "0"), 1)
    assert said == "runs: not cancelled: it runs; it stays asked to end, and won't run again"
    again = trioq("cancel", "runs", "--wait", "10ms", "--json")
    assert again.exit_code == 1
    (told,) = json.loads(again.stdout)
    assert told == {"id": "runs", "uid": uid, "result": "asked", "outcome": "asked"}
    with obedient(scene, "ignored"):
        said = only_error(trioq("cancel", "runs"), 1)
    assert said == "runs: cancelled, but its handler didn't end when it was told to"


def test_what_is_not_cancelled_is_told_and_a_failure(trioq: Cli, scene: Scene) -> None:
    scene.dead(new_job(id="dead"))
    scene.enqueue(new_job(id="done"))
    scene.driver.step(0, Ack(scene.driver.claim().uid, scene.driver.n))
    (waits,) = scene.enqueue(new_job(id="waits"))
    result = trioq("cancel", "dead", "done", "nobody", "waits")
    assert result.exit_code == 1
    assert result.stdout == "cancelled waits\n"
    assert sorted(lines(result.stderr)) == [
        "trioq: dead: not cancelled: it is dead already",
        "trioq: done: not cancelled: it is done",
        "trioq: nobody: not cancelled: there is no such job",
    ]
    again = trioq.json("cancel", "waits")
    assert again == [{"id": "waits", "uid": waits, "result": "cancelled", "outcome": "was_waiting"}]


def test_a_job_whose_record_cannot_be_read_is_not_cancelled(
    trioq: Cli, scene: Scene, server: Server
) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    server.call("HSET", "{t}:jobs", uid, b"nonsense")
    result = trioq("cancel", uid)
    assert result.exit_code == 1
    assert "its record can't be read" in result.stderr
    assert stats(scene.store).queues["low"].ready == 1
    assert Driver(scene.store).claim().uid == uid


# -- by name and queue -------------------------------------------------------------------------


def test_all_of_a_name_are_cancelled_wherever_they_are(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(*(new_job("low", "mail") for _ in range(5)), new_job("low", "report"))
    scene.enqueue(new_job("high", "mail", delay_ms=60_000))
    scene.driver.step(3)
    before = scene.store.lane.call("DEBUG", "DIGEST")
    would = trioq("cancel", "--name", "mail", "--dry-run", "--yes")
    assert (would.exit_code, would.stdout) == (0, "would cancel 3, would stop 3\n")
    assert scene.store.lane.call("DEBUG", "DIGEST") == before
    with obedient(scene):
        result = trioq("cancel", "--name", "mail", "--yes", "--reason", "no more")
    assert (result.exit_code, result.stdout) == (0, "cancelled 3, stopped 3\n"), result.output
    again = trioq("cancel", "--name", "mail")
    assert (again.exit_code, again.stdout) == (0, "nothing there to be cancelled\n")
    assert "no handler 'mail' is known" in again.stderr
    assert stats(scene.store).records == 1


def test_name_and_queue_must_both_apply(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", "mail"), new_job("high", "mail"), new_job("high", "report"))
    told = trioq.json("cancel", "--name", "mail", "--queue", "high", "--dry-run")
    assert [(each["result"], each["outcome"]) for each in told] == [("would cancel", None)]
    assert trioq("cancel", "--name", "mail", "--queue", "high").stdout == "cancelled 1\n"
    assert trioq("cancel", "--queue", "high").stdout == "cancelled 1\n"
    assert stats(scene.store).records == 1


def test_many_that_do_not_end_are_told_in_one_line(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(*(new_job("low", id=f"j{n}") for n in range(8)))
    scene.driver.step(8)
    result = trioq("cancel", "--queue", "low", "--yes", "--wait", "0")
    assert (result.exit_code, result.stdout) == (1, "cancelled 0\n")
    (said,) = lines(result.stderr)
    assert re.match(r"trioq: (j\d, ){4}j\d and 3 more: not cancelled: it runs; it stays", said)
    told = trioq("cancel", "--queue", "low", "--yes", "--wait", "0", "--json")
    assert [each["result"] for each in json.loads(told.stdout)] == ["asked"] * 8


def test_more_than_one_is_asked_about(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(*(new_job("low") for _ in range(3)))
    said = only_error(trioq("cancel", "--queue", "low"), 2)
    assert said == "nobody can be asked, because stdin is no terminal: --yes goes ahead"
    with on_terminal("cancel", trioq.config, "--queue", "low") as terminal:
        terminal.see("Cancel 3 jobs of t .*y/N")
        terminal.press("n\n")
        assert terminal.end() == 1
    assert stats(scene.store).records == 3
    with on_terminal("cancel", trioq.config, "--queue", "low") as terminal:
        terminal.see("Cancel 3 jobs")
        terminal.press("y\n")
        assert terminal.end() == 0
    assert stats(scene.store).records == 0


def test_ctrl_c_leaves_what_runs_asked(trioq: Cli, scene: Scene, server: Server) -> None:
    scene.enqueue(new_job("low", id="runs"))
    scene.driver.claim()
    with on_terminal("cancel", trioq.config, "runs", "--wait", "60s") as terminal:
        wait_until(lambda: b"name=trioq:ends:" in server.call("CLIENT", "LIST"))
        terminal.press("\x03")
        shown = terminal.see("interrupted: .*won't run again")
        assert "runs: not cancelled: it runs; it stays asked" in shown
        assert terminal.end() == 130


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Say which: IDs, --name or --queue."),
        (["a", "--name", "b"], "IDs can't be combined with --name or --queue."),
        (["a", "--wait", "soon"], "'soon' is no duration"),
        (["--queue", "hgih"], "no queue 'hgih'; did you mean \"high\"?"),
    ],
)
def test_wrong_use_is_told(trioq: Cli, arguments: list[str], told: str) -> None:
    result = trioq("cancel", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
