"""What the line on a terminal counts."""

from __future__ import annotations

from collections.abc import Iterable

from trioq.core.events import (
    Event,
    JobDied,
    JobFailed,
    JobReleased,
    JobSnoozed,
    JobStarted,
    JobSucceeded,
)
from trioq.core.outcome import Error
from trioq.observe.live import Tally

ERROR = Error("ValueError", "boo")


def tally_of(events: Iterable[Event]) -> Tally:
    tally = Tally()
    for event in events:
        tally(event)
    return tally


def job(uid: str) -> tuple[str, str, str, int]:
    return uid, "noop", "low", 1


def test_who_has_ended_runs_no_more_however_it_ended() -> None:
    started = [JobStarted(*job(uid), 0, 0, False) for uid in "abcdef"]
    ended = [
        JobSucceeded(*job("a"), 0.1, 0),
        JobFailed(*job("b"), 0.1, ERROR, 1.0),
        JobDied(*job("c"), 0.1, 0, "failures", ERROR),
        JobReleased(*job("d")),
        JobSnoozed(*job("e"), 1.0),
    ]
    for n, _ in enumerate(ended):
        assert tally_of([*started, *ended[:n]]).running == 6 - n
    tally = tally_of([*started, *ended])
    assert (tally.running, tally.done, tally.failed, tally.dead) == (1, 1, 1, 1)


def test_who_ends_without_having_run_takes_nobody_from_those_who_do() -> None:
    started = [JobStarted(*job(uid), 0, 0, False) for uid in "ab"]
    unread = JobDied(*job("c"), 0.0, 0, "undecodable", ERROR)
    tally = tally_of([*started, unread, JobReleased(*job("d"))])
    assert (tally.running, tally.dead) == (2, 1)
