"""``trioq pause``, ``resume`` and ``purge`` of queues."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli, lines, only_error
from tests.cli.terminal import on_terminal
from tests.scene import Scene
from tests.store.drive import line
from tests.support import cancelled_by, new_job
from trioq.core.settlements import DeadLetter, Park, RetryAt
from trioq.store.inspect import stats


@pytest.fixture
def full(scene: Scene) -> Scene:
    """Two queues with jobs in every place: ready, suspect, scheduled, parked, running, dead,
    cancelled and still lying there."""
    scene.enqueue(new_job("low"), new_job("low"))
    scene.driver.step(2)
    scene.store.reap(scene.driver.engine, scene.store.observe()[scene.driver.engine], 3)
    scene = Scene.on(scene.store)
    scene.enqueue(*(new_job("high") for _ in range(4)))
    running, parked, retried, dead = scene.driver.step(4)
    scene.driver.step(
        0,
        Park(parked.uid, 1, "high", "other"),
        RetryAt(retried.uid, 1, 60_000, 1, line("later")),
        DeadLetter(dead.uid, 1, 1, "failures", line("dead")),
    )
    scene.enqueue(new_job("low", delay_ms=60_000), new_job("elsewhere"))
    (dropped, *_) = scene.enqueue(*(new_job("high") for _ in range(3)))
    assert cancelled_by(scene.store, *scene.sender.next(), dropped, "high", "noop") == "cancelled"
    assert running.uid != dropped
    return scene


def places(scene: Scene) -> dict[str, tuple[int, int, int]]:
    """Queue → ready, scheduled, parked."""
    return {
        name: (queue.ready, queue.scheduled, queue.parked)
        for name, queue in stats(scene.store).queues.items()
        if queue.ready + queue.scheduled + queue.parked
    }


# -- pause and resume --------------------------------------------------------------------------


def test_a_paused_queue_is_not_claimed_from_until_it_is_resumed(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    assert trioq("pause", "low").stdout == "low is paused\n"
    assert scene.driver.step(1) == ()
    assert trioq.json("stats")["queues"]["low"]["paused"] is True
    assert trioq("pause", "low").stdout == "low is paused, as it was before\n"
    assert trioq.json("resume", "low") == {"queue": "low", "paused": False, "changed": True}
    assert trioq.json("resume", "low") == {"queue": "low", "paused": False, "changed": False}
    assert scene.driver.claim().uid == uid


def test_a_queue_can_be_paused_before_anything_was_in_it(trioq: Cli, scene: Scene) -> None:
    assert trioq("pause", "high").exit_code == 0
    scene.enqueue(new_job("high"))
    assert scene.driver.step(1) == ()


# -- purge -------------------------------------------------------------------------------------


def test_all_that_waits_in_a_queue_goes_and_the_rest_stays(trioq: Cli, full: Scene) -> None:
    assert places(full) == {"high": (2, 1, 1), "low": (2, 1, 0), "elsewhere": (1, 0, 0)}
    told = trioq.json("purge", "high", "--yes")
    assert told == {"waiting": {"high": 4}, "purged": {"high": 4}, "dry_run": False}
    assert places(full) == {"low": (2, 1, 0), "elsewhere": (1, 0, 0)}
    now = stats(full.store)
    assert (now.dead, now.running, now.records) == (1, 1, now.placed)


def test_all_queues_are_all_there_are_and_running_jobs_run_on(trioq: Cli, full: Scene) -> None:
    """The predecessor purged two queues by their literal names, and took the jobs of workers
    that were at work."""
    result = trioq("purge", "--all", "--yes")
    assert [row.split() for row in lines(result.stdout)] == [
        ["queue", "purged"], ["high", "4"], ["low", "3"], ["elsewhere", "1"],
    ]  # fmt: skip
    assert places(full) == {}
    now = stats(full.store)
    assert (now.running, now.dead, now.counters["purged"]) == (1, 1, 8)


def test_a_dry_run_tells_how_many_and_changes_nothing(trioq: Cli, full: Scene) -> None:
    before = full.store.lane.call("DEBUG", "DIGEST")
    told = trioq.json("purge", "--all", "--dry-run")
    assert told == {
        "waiting": {"high": 4, "low": 3, "elsewhere": 1},
        "purged": {"high": 0, "low": 0, "elsewhere": 0},
        "dry_run": True,
    }
    assert "would be purged" in trioq("purge", "low", "--dry-run").stdout
    assert full.store.lane.call("DEBUG", "DIGEST") == before


def test_many_pages_of_cancelled_jobs_hide_nothing_behind_them(trioq: Cli, scene: Scene) -> None:
    uids = scene.enqueue(*(new_job("low") for _ in range(400)))
    for uid in uids[:350]:
        cancelled_by(scene.store, *scene.sender.next(), uid, "low", "noop")
    assert trioq.json("purge", "low", "--yes")["purged"] == {"low": 50}
    assert places(scene) == {}
    assert scene.store.lane.call("EXISTS", "{t}:ready:low", "{t}:dropped:low") == 0


def test_an_empty_queue_needs_no_question(trioq: Cli) -> None:
    assert trioq.json("purge", "low") == {
        "waiting": {"low": 0}, "purged": {"low": 0}, "dry_run": False,
    }  # fmt: skip


def test_without_a_terminal_nothing_is_purged_that_was_not_said_with_yes(
    trioq: Cli, full: Scene
) -> None:
    for arguments in (["low"], ["--all"]):
        said = only_error(trioq("purge", *arguments, input="y\n"), 2)
        assert said == "nobody can be asked, because stdin is no terminal: --yes goes ahead"
    for arguments in ([], ["low", "--all"]):
        result = trioq("purge", *arguments)
        assert result.exit_code == 2
        assert "Say which: a QUEUE, or --all." in result.stderr
    assert places(full) == {"high": (2, 1, 1), "low": (2, 1, 0), "elsewhere": (1, 0, 0)}


def test_on_a_terminal_the_question_names_what_would_go(trioq: Cli, full: Scene) -> None:
    with on_terminal("purge", trioq.config, "--all") as terminal:
        terminal.see(r"Forget 8 waiting job\(s\) in high, low, elsewhere of t \(unix://.*\[y/N\]")
        terminal.press("y\r")
        assert terminal.end() == 0
    assert places(full) == {}
