"""``trioq hasten``: what waits for its time is due now."""

from __future__ import annotations

import json

from tests.cli.conftest import Cli, lines
from tests.scene import Scene
from tests.store.drive import line
from tests.support import new_job
from trioq.core.settlements import RetryAt
from trioq.store.inspect import find


def test_jobs_are_due_now_by_uid_or_id(trioq: Cli, scene: Scene) -> None:
    (retried, _) = scene.enqueue(new_job("low"), new_job("high", id="mine", delay_ms=60_000))
    scene.driver.step(1)
    scene.driver.step(0, RetryAt(retried, 1, 60_000, 1, line("once")))
    ended = trioq("hasten", retried, "mine")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout == f"{retried} is due now\nmine is due now\n"
    claims = scene.driver.step(9)
    assert sorted(claim.attempts for claim in claims) == [0, 1]
    view = find(scene.store, retried)
    assert view is not None
    assert len(view.attempts) == 1


def test_what_does_not_wait_for_a_time_is_told(trioq: Cli, scene: Scene) -> None:
    (dead,) = scene.dead(new_job("low", id="dead"))
    scene.enqueue(new_job("low", id="ready"), new_job("low", id="later", delay_ms=60_000))
    ended = trioq("hasten", "dead", "ready", "later", "nobody")
    assert (ended.exit_code, ended.stdout) == (1, "later is due now\n")
    assert lines(ended.stderr) == [
        "trioq: dead isn't hastened: it is dead",
        "trioq: ready isn't hastened: it is ready",
        "trioq: nobody isn't hastened: there is no such job",
    ]
    told = trioq("hasten", dead, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout) == [{"id": dead, "result": "dead"}]
