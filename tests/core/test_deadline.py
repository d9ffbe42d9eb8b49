"""When it is too late for a job, and what is made of a run or a retry then."""

from __future__ import annotations

import pytest

from trioq.core.deadline import Limit, limit, too_late, unless_late
from trioq.core.job import NO_OPTIONS, Options
from trioq.core.outcome import (
    Error,
    Failed,
    Interrupted,
    LateReason,
    Outcome,
    Snoozed,
    Starved,
    Succeeded,
    TooLate,
)
from trioq.core.retry import Ack, Cancelled, Dead, Release, Retry, RetryIn, Verdict, decide

NOW = 1_700_000_000_000
ERROR = Error("ValueError", "no")
TIMEOUT = Failed(Error("timeout", "took longer than 5 s", kind="timeout"))
DEADLINE, EXPIRES = Options(deadline_ms=NOW), Options(expires_ms=NOW)
BOTH = Options(deadline_ms=NOW, expires_ms=NOW)


@pytest.mark.parametrize(
    ("options", "late"),
    [
        (NO_OPTIONS, None),
        (Options(max_attempts=1, timeout_s=0.1), None),
        (Options(deadline_ms=NOW + 1), None),
        (Options(expires_ms=NOW + 1), None),
        (Options(deadline_ms=NOW + 1, expires_ms=NOW + 1), None),
        (Options(deadline_ms=NOW), "deadline"),
        (Options(deadline_ms=0), "deadline"),
        (Options(expires_ms=NOW), "expired"),
        (Options(expires_ms=0), "expired"),
        (Options(deadline_ms=NOW + 1, expires_ms=NOW), "expired"),
        (Options(deadline_ms=NOW, expires_ms=NOW + 1), "deadline"),
        (BOTH, "deadline"),
    ],
)
def test_it_is_too_late_from_that_moment_on(options: Options, late: LateReason | None) -> None:
    assert too_late(options, NOW) == late


@pytest.mark.parametrize(
    ("timeout_s", "options", "expected"),
    [
        (5.0, NO_OPTIONS, Limit(5.0)),
        (5.0, Options(expires_ms=NOW + 1), Limit(5.0)),
        (5.0, Options(deadline_ms=NOW + 60_000), Limit(5.0)),
        (5.0, Options(deadline_ms=NOW + 5001), Limit(5.0)),
        (5.0, Options(deadline_ms=NOW + 5000), Limit(5.0, is_deadline=True)),
        (5.0, Options(deadline_ms=NOW + 1250), Limit(1.25, is_deadline=True)),
        (5.0, Options(deadline_ms=NOW), Limit(0.0, is_deadline=True)),
        (5.0, Options(deadline_ms=NOW - 1), Limit(0.0, is_deadline=True)),
        (60.0, Options(timeout_s=60.0, deadline_ms=NOW + 9), Limit(0.009, is_deadline=True)),
    ],
)
def test_a_run_has_its_timeout_or_until_its_deadline(
    timeout_s: float, options: Options, expected: Limit
) -> None:
    assert limit(timeout_s, options, NOW) == expected


@pytest.mark.parametrize(
    ("outcome", "by_deadline"),
    [
        (TIMEOUT, TooLate("deadline")),
        (Succeeded(1), Succeeded(1)),
        (Failed(ERROR), Failed(ERROR)),
        (Failed(ERROR, permanent="gave_up"), Failed(ERROR, permanent="gave_up")),
        (Snoozed(1.0), Snoozed(1.0)),
        (Interrupted(), Interrupted()),
        (Starved("threads"), Starved("threads")),
    ],
)
def test_only_what_was_ended_by_its_deadline_is_too_late(
    outcome: Outcome, by_deadline: Outcome
) -> None:
    assert Limit(5.0, is_deadline=True).judged(outcome) == by_deadline
    assert Limit(5.0).judged(outcome) == outcome


@pytest.mark.parametrize(
    ("verdict", "options", "expected"),
    [
        (RetryIn(500, ERROR), NO_OPTIONS, RetryIn(500, ERROR)),
        (RetryIn(500, ERROR), Options(deadline_ms=NOW + 501), RetryIn(500, ERROR)),
        (RetryIn(500, ERROR), Options(deadline_ms=NOW + 500), Cancelled("deadline")),
        (RetryIn(500, ERROR), Options(expires_ms=NOW + 500), Cancelled("expired")),
        (RetryIn(500, None), Options(deadline_ms=NOW + 500), Cancelled("deadline")),
        (RetryIn(0, None), DEADLINE, Cancelled("deadline")),
        (Ack(), BOTH, Ack()),
        (Dead("failures", ERROR), BOTH, Dead("failures", ERROR)),
        (Release(), BOTH, Release()),
        (Cancelled("deadline"), BOTH, Cancelled("deadline")),
    ],
)
def test_what_would_be_due_when_it_is_too_late_is_cancelled_at_once(
    verdict: Verdict, options: Options, expected: Verdict
) -> None:
    assert unless_late(verdict, options, NOW) == expected


@pytest.mark.parametrize("why", ["deadline", "expired"])
@pytest.mark.parametrize("attempt", [1, 9])
def test_who_is_too_late_is_cancelled_whatever_attempt_it_is(why: LateReason, attempt: int) -> None:
    verdict = decide(TooLate(why), attempt=attempt, retry=Retry(max_attempts=4), random=0.0)
    assert verdict == Cancelled(why)
