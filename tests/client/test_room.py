"""Who waits for room, and what it is told where none comes."""

from __future__ import annotations

from tests.support import new_job
from trioq.client.room import Room, none_came
from trioq.core.calls import Enqueuer, MustWait
from trioq.core.config import Config, QueueConfig

ROOM = Room.of(
    Config(
        queues=(
            QueueConfig("low", max_length=2, when_full="wait"),
            QueueConfig("mid", max_length=2, when_full="reject"),
            QueueConfig("high"),
        )
    )
)


def test_who_has_jobs_for_one_of_the_queues_waits_if_it_has_patience() -> None:
    for queues in (["low"], ["high", "low"], ["low", "mid"]):
        jobs = [new_job(queue) for queue in queues]
        assert ROOM.who(jobs, 0.1, lambda: "c1") == Enqueuer("c1")
        assert ROOM.who(jobs, 0.0, lambda: "c1") is None
    assert ROOM.who([new_job("high"), new_job("mid")], 0.1, lambda: "c1") is None
    assert Room.of(Config()).who([new_job("low")], 0.1, lambda: "c1") is None


def test_where_none_comes_it_is_told_how_full_the_queue_was() -> None:
    full = none_came(MustWait("low", 7, 9, 1), [new_job("low")] * 3, 1.23456)
    assert (full.queue, full.length, full.max_length, full.jobs) == ("low", 7, 9, 3)
    assert full.waited_s == 1.235
