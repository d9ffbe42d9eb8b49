"""How long a failed job waits, and what becomes of a job after an attempt."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioq.core.outcome import Error, Failed, Interrupted, Outcome, Snoozed, Succeeded
from trioq.core.retry import Ack, Dead, Release, Retry, RetryIn, backoff_s, decide
from trioq.core.valid import LONGEST_MS

ERROR = Error("ValueError", "no")
STEADY = Retry(max_attempts=4, base=0.5, cap=10, jitter=0)


def decided(outcome: Outcome, attempt: int = 1, random: float = 0.0, retry: Retry = STEADY) -> Any:
    return decide(outcome, attempt=attempt, retry=retry, random=random)


def test_waits_double_up_to_the_cap() -> None:
    waits = [backoff_s(attempt, STEADY, 0.9) for attempt in range(1, 8)]
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize("attempt", [60, 64, 1024, 1025, 10_000, 10**30])
def test_no_attempt_is_so_late_that_the_wait_overflows(attempt: int) -> None:
    assert backoff_s(attempt, STEADY, 0.5) == 10


def test_a_tiny_base_reaches_a_high_cap_in_the_end() -> None:
    assert backoff_s(500, Retry(base=1e-12, cap=1e9, jitter=0), 0.0) == 1e9


def test_without_a_base_or_a_cap_there_is_no_wait() -> None:
    assert backoff_s(10_000, Retry(base=0), 0.0) == 0
    assert backoff_s(10_000, Retry(cap=0), 0.0) == 0


def test_jitter_shortens_the_wait_by_its_part_at_most() -> None:
    retry = Retry(base=8, cap=8, jitter=0.25)
    assert backoff_s(1, retry, 0.0) == 8
    assert backoff_s(1, retry, 0.5) == 7
    assert backoff_s(1, retry, 1 - 1e-9) == pytest.approx(6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"base": -1},
        {"base": math.nan},
        {"base": math.inf},
        {"cap": -1},
        {"cap": math.inf},
        {"jitter": 1.5},
        {"jitter": -0.1},
        {"jitter": math.nan},
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retry(**wrong)


@pytest.mark.parametrize("attempts", [2.5, "4"])
def test_attempts_are_whole_numbers(attempts: Any) -> None:
    with pytest.raises(TypeError):
        Retry(max_attempts=attempts)


def test_what_succeeded_is_acked() -> None:
    assert decided(Succeeded({"n": 1}), attempt=99) == Ack()


def test_what_failed_is_tried_again_until_its_attempts_run_out() -> None:
    assert decided(Failed(ERROR), attempt=1) == RetryIn(500, ERROR)
    assert decided(Failed(ERROR), attempt=3) == RetryIn(2000, ERROR)
    assert decided(Failed(ERROR), attempt=4) == Dead("failures", ERROR)
    assert decided(Failed(ERROR), attempt=5) == Dead("failures", ERROR)


def test_a_handler_that_asks_for_a_delay_gets_it_while_attempts_are_left() -> None:
    assert decided(Failed(ERROR, delay_s=60)) == RetryIn(60_000, ERROR)
    assert decided(Failed(ERROR, delay_s=0)) == RetryIn(0, ERROR)
    assert decided(Failed(ERROR, delay_s=60), attempt=4) == Dead("failures", ERROR)


def test_a_permanent_failure_is_dead_at_once_with_its_own_reason() -> None:
    assert decided(Failed(ERROR, permanent="gave_up")) == Dead("gave_up", ERROR)
    assert decided(Failed(ERROR, permanent="bad_payload"), attempt=4) == Dead("bad_payload", ERROR)


def test_a_snooze_is_no_error_and_can_be_repeated_for_ever() -> None:
    assert decided(Snoozed(5), attempt=99) == RetryIn(5000, None)


def test_what_was_interrupted_is_given_back_whatever_the_attempt() -> None:
    assert decided(Interrupted(), attempt=99) == Release()


@pytest.mark.parametrize(
    ("asked_s", "given_ms"),
    [(-1, 0), (math.nan, 0), (math.inf, LONGEST_MS), (1e308, LONGEST_MS), (0.0004, 0), (0.07, 70)],
)
def test_whatever_delay_a_handler_asks_for_there_is_an_answer(
    asked_s: float, given_ms: int
) -> None:
    assert decided(Snoozed(asked_s)).delay_ms == given_ms
    assert decided(Failed(ERROR, delay_s=asked_s)).delay_ms == given_ms
