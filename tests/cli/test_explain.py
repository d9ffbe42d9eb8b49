"""``trioq explain``: reasons in words and as JSON, of a job and of a queue."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli, lines, only_error
from tests.scene import Scene
from tests.support import Server, new_job
from trioq.core.calls import Enqueuer, MustWait
from trioq.core.settlements import Park
from trioq.store.redis import StoreOptions


def test_a_job_is_told_line_by_line_and_as_json(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "nooop", id="order 1"))
    scene.store.pause(*scene.sender.next(), "low", True)
    ended = trioq("explain", "order 1")
    assert (ended.exit_code, ended.stderr) == (0, "")
    first, paused, unknown = lines(ended.stdout)
    assert first == "order 1, nooop in low, is ready"
    assert paused.startswith("  low is paused since ")
    assert paused.endswith(" UTC, until trioq resume low")
    assert unknown == "  no engine that serves low knows nooop; noop is known"
    told = trioq.json("explain", uid)
    assert (told["uid"], told["id"], told["state"]) == (uid, "order 1", "ready")
    assert [reason["why"] for reason in told["reasons"]] == ["paused", "unknown_name"]


def test_a_queue_is_told_with_what_is_parked_in_it(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low"), new_job("low", "other"))
    claims = scene.driver.step(2)
    scene.driver.step(0, Park(claims[1].uid, scene.driver.n, "low", "other"))
    assert lines(trioq("explain", "--queue", "low").stdout) == [
        "low: 0 ready, 0 limited, 0 scheduled, 1 parked, 1 running",
        "  1 × other are parked: no engine that serves low knows other",
    ]
    told = trioq.json("explain", "--queue", "low")
    assert (told["queue"], told["parked"], told["running"], told["reasons"]) == ("low", 1, 1, [])
    assert [door["name"] for door in told["doors"]] == ["other"]


def test_a_queue_that_nothing_stops_is_said_to_be_one(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low"))
    assert lines(trioq("explain", "--queue", "low").stdout)[1:] == ["  nothing is known to stop it"]


def test_a_job_that_nobody_knows_is_a_failure_that_says_what_is_remembered(
    trioq: Cli, scene: Scene
) -> None:
    said = only_error(trioq("explain", "nothing"), 1)
    assert said.startswith("no job 'nothing': there never was one, or it has ended")


def test_a_job_whose_enqueue_waits_for_room_is_said_to_be_in_line(
    trioq: Cli, server: Server
) -> None:
    options = StoreOptions(max_lengths={"low": 1}, when_full={"low": "wait"})
    scene = Scene.on(server.store(options=options))
    scene.enqueue(new_job("low"))
    with pytest.raises(MustWait):
        scene.store.enqueue(
            *scene.sender.next(), [new_job("low", id="order 1")], who=Enqueuer("c1")
        )
    scene.store.lane.close()
    first, why = lines(trioq("explain", "order 1").stdout)
    assert first == "order 1 is not enqueued yet"
    assert why.startswith("  it waits for room in low for ")
    assert why.endswith(", as the first in line")
    for more in ((), ("--follow",)):
        said = only_error(trioq("job", "order 1", *more), 1)
        assert said.startswith("no job 'order 1' yet: it waits for room in low for ")


def test_one_thing_is_explained_at_a_time(trioq: Cli, scene: Scene) -> None:
    for arguments in ((), ("an-id", "--queue", "low")):
        ended = trioq("explain", *arguments)
        assert ended.exit_code == 2
        assert "either ID or --queue QUEUE" in ended.stderr
    assert "did you mean" in only_error(trioq("explain", "--queue", "lo"), 2)
