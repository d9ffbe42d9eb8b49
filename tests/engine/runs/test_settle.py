"""What becomes of a claim, and what is told of it: a value, whatever the outcome was."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio

from tests.engine.claimers import Nobody, Waits
from trioq.core.breaker import Permit
from trioq.core.events import (
    Event,
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobSnoozed,
    JobSucceeded,
    LimitRests,
    RunStarved,
)
from trioq.core.formats.record import decode
from trioq.core.outcome import (
    Error,
    Failed,
    Interrupted,
    Outcome,
    Snoozed,
    Starved,
    Succeeded,
)
from trioq.core.retry import Retry
from trioq.core.settlements import (
    Ack,
    Cancel,
    DeadLetter,
    Park,
    Release,
    RetryAt,
    Settlement,
)
from trioq.engine.claim import Claimer, Held
from trioq.engine.handlers import Function
from trioq.engine.runs.drops import Drops
from trioq.engine.runs.run import Run
from trioq.engine.runs.settle import Teller, end_of, parked, released, unreadable
from trioq.engine.snapshot import Recent

STORED = b'{"v":1,"name":"noop","queue":"low","at":1700000000000,"due":1700000060000}\n{}'
NOW_MS, WANTED_MS = 1_700_000_100_000, 1_700_000_060_000
ERROR = Error("ValueError", "boo", "Traceback …")
JOB = ("a", "noop", "low", 2)


async def noop() -> None:
    pass


@attrs.define(eq=False)
class Claims(Nobody):
    """Remembers what it is told of its claims."""

    told: list[tuple[Settlement, float | None]] = attrs.field(factory=list[Any])

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        self.told.append((settlement, took_s))


def held(by: Claimer | None = None) -> Held:
    return Held(by or Claims(), "a", 7, 2, False, STORED, takes=("all", "each:7"))


def run_of(outcome: Outcome, by: Claimer | None = None) -> Run:
    claim = held(by)
    return Run(
        claim, Function("noop", noop), Permit(0), 0.0, trio.CancelScope(), Waits(), outcome=outcome,
        took_s=1.5,
    )  # fmt: skip


RETRY = Retry(max_attempts=3, base=4.0, jitter=0.0)


def line_of(attempt: int = 2, **more: Any) -> dict[str, Any]:
    """What the history keeps of ``ERROR``."""
    return {
        "attempt": attempt, "type": "ValueError", "message": "boo", "traceback": "Traceback …",
        "engine": Claims.boot, "at_ms": NOW_MS, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "settlement", "events"),
    [
        (
            Failed(ERROR),
            RetryAt("a", 7, 8000, 2),
            (JobFailed(*JOB, 1.5, ERROR, 8.0),),
        ),
        (
            Failed(ERROR, delay_s=60.0),
            RetryAt("a", 7, 60_000, 2),
            (JobFailed(*JOB, 1.5, ERROR, 60.0),),
        ),
        (
            Failed(ERROR, permanent="gave_up"),
            DeadLetter("a", 7, 2, "gave_up", b""),
            (JobDied(*JOB, 1.5, WANTED_MS, "gave_up", ERROR),),
        ),
        (Snoozed(5.0), RetryAt("a", 7, 5000, 1), (JobSnoozed(*JOB, 5.0),)),
        (
            Snoozed(5.0, "all"),
            Release("a", 7, "all", 5000),
            (LimitRests("noop", "low", "all", 5.0), JobReleased(*JOB)),
        ),
        (
            Snoozed(5.0, "each"),
            Release("a", 7, "each:7", 5000),
            (LimitRests("noop", "low", "each:7", 5.0), JobReleased(*JOB)),
        ),
        (
            Snoozed(5.0, "each", "7"),
            Release("a", 7, "each:7", 5000),
            (LimitRests("noop", "low", "each:7", 5.0), JobReleased(*JOB)),
        ),
        (Snoozed(5.0, "each", '"7"'), RetryAt("a", 7, 5000, 1), (JobSnoozed(*JOB, 5.0),)),
        (Snoozed(5.0, "other"), RetryAt("a", 7, 5000, 1), (JobSnoozed(*JOB, 5.0),)),
        (Interrupted(), Release("a", 7), (JobReleased(*JOB),)),
        (
            Starved("threads"),
            Release("a", 7),
            (RunStarved("noop", "low", "threads"), JobReleased(*JOB)),
        ),
    ],
)
def test_each_outcome_has_its_settlement_and_is_told_once(
    outcome: Outcome, settlement: Settlement, events: tuple[Event, ...]
) -> None:
    end = end_of(run_of(outcome), RETRY, None, now_ms=NOW_MS, random=0.5)
    assert end.events == events
    if isinstance(end.settlement, RetryAt | DeadLetter) and end.settlement.line:
        dead = {"dead": "gave_up"} if isinstance(end.settlement, DeadLetter) else {}
        assert json.loads(end.settlement.line) == line_of(**dead)
        assert attrs.evolve(end.settlement, line=b"") == settlement
        assert isinstance(outcome, Failed)
    else:
        assert end.settlement == settlement


def test_of_a_job_that_succeeded_a_summary_is_kept() -> None:
    end = end_of(run_of(Succeeded("whatever")), RETRY, None, now_ms=NOW_MS, random=0.5)
    assert end.events == (JobSucceeded(*JOB, 1.5, WANTED_MS),)
    assert isinstance(end.settlement, Ack)
    assert (end.settlement.uid, end.settlement.step) == ("a", 7)
    assert json.loads(end.settlement.summary) == {
        "uid": "a", "name": "noop", "queue": "low", "attempt": 2, "took_ms": 1500.0,
        "at_ms": NOW_MS, "enqueued_ms": 1_700_000_000_000, "engine": Claims.boot,
    }  # fmt: skip


def test_what_was_not_run_goes_back_waits_or_is_dead() -> None:
    claim, stored = held(), decode("a", STORED)
    assert released(claim, stored).settlement == released(claim, None).settlement == Release("a", 7)
    assert released(claim, stored).events == (JobReleased(*JOB),)
    assert released(claim, None).events == ()
    end = parked(claim, stored, "unknown name")
    assert end.settlement == Park("a", 7, "low", "noop")
    assert end.events == (JobParked("a", "noop", "low", "unknown name"),)
    for known, names, wanted_ms in ((stored, ("noop", "low"), WANTED_MS), (None, ("", ""), 0)):
        end = unreadable(claim, known, ERROR, now_ms=NOW_MS)
        assert end.events == (JobDied("a", *names, 2, 0.0, wanted_ms, "undecodable", ERROR),)
        assert isinstance(end.settlement, DeadLetter)
        assert json.loads(end.settlement.line) == line_of(dead="undecodable")


def test_its_claimer_is_told_first_and_how_long_the_handler_ran_if_it_did() -> None:
    claims, seen = Claims(), list[tuple[Event, int]]()
    recent = Recent()
    teller = Teller(lambda event: seen.append((event, len(claims.told))), recent, Drops(print))
    run = run_of(Succeeded(), claims)
    end = end_of(run, RETRY, None, now_ms=NOW_MS, random=0.5)
    teller.tell(run.claim, run, end)
    back = released(run.claim, run.stored)
    teller.tell(run.claim, None, back)
    assert claims.told == [(end.settlement, 1.5), (back.settlement, None)]
    assert seen == [(end.events[0], 1), (back.events[0], 2)]
    assert recent.done == {"low": 1}


def test_a_limit_rests_also_where_its_job_will_be_too_late_then() -> None:
    run = run_of(Snoozed(60.0, "all"))
    late = decode("a", STORED.replace(b'"due"', b'"deadline":1700000110000,"due"'))
    run = attrs.evolve(run, stored=late)
    end = end_of(run, RETRY, None, now_ms=NOW_MS, random=0.5)
    assert end.settlement == Release("a", 7, "all", 60_000)
    run = attrs.evolve(run, outcome=Snoozed(60.0))
    end = end_of(run, RETRY, None, now_ms=NOW_MS, random=0.5)
    assert isinstance(end.settlement, Cancel)
