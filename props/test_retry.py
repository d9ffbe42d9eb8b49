"""Waits stay between their bounds, and every outcome of every attempt has one verdict."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from trioq.core.outcome import Error, Failed, Interrupted, Outcome, Snoozed, Succeeded
from trioq.core.retry import Ack, Dead, Release, Retry, RetryIn, backoff_s, decide
from trioq.core.valid import LONGEST_MS

ERROR = Error("ValueError", "no")

seconds = st.floats(0, allow_infinity=False)
retries = st.builds(
    Retry, max_attempts=st.integers(1, 100), base=seconds, cap=seconds, jitter=st.floats(0, 1)
)
attempts = st.integers(1, 10_000)
lots = st.floats(0, 1, exclude_max=True)
asked = st.floats() | st.none()
outcomes = (
    st.just(Interrupted())
    | st.builds(Succeeded, st.integers())
    | st.builds(Snoozed, st.floats())
    | st.builds(Failed, st.just(ERROR), asked, st.sampled_from([None, "gave_up", "bad_payload"]))
)


def full_s(attempt: int, retry: Retry) -> float:
    """The exponential wait, in whole numbers where floats would overflow."""
    if retry.base == 0:
        return 0
    doublings = math.ceil(math.log2(max(retry.cap, 5e-324)) - math.log2(retry.base)) + 2
    return min(retry.cap, retry.base * 2.0 ** max(0, min(attempt - 1, doublings, 1023)))


@given(attempts, retries, lots)
def test_wait_is_the_capped_exponential_less_its_jitter(
    attempt: int, retry: Retry, random: float
) -> None:
    most_s = full_s(attempt, retry)
    assert (1 - retry.jitter) * most_s <= backoff_s(attempt, retry, random) <= most_s


@given(attempts, retries, lots)
def test_wait_never_shrinks_from_attempt_to_attempt(
    attempt: int, retry: Retry, random: float
) -> None:
    assert backoff_s(attempt, retry, random) <= backoff_s(attempt + 1, retry, random)


@given(outcomes, attempts, retries, lots)
def test_every_outcome_has_the_verdict_that_is_promised(
    outcome: Outcome, attempt: int, retry: Retry, random: float
) -> None:
    match decide(outcome, attempt=attempt, retry=retry, random=random):
        case Ack():
            assert isinstance(outcome, Succeeded)
        case Release():
            assert outcome == Interrupted()
        case Dead(reason, error):
            assert isinstance(outcome, Failed)
            assert error is outcome.error
            assert reason == (outcome.permanent or "failures")
            assert outcome.permanent or attempt >= retry.max_attempts
        case RetryIn(delay_ms, error):
            assert isinstance(outcome, Failed | Snoozed)
            assert 0 <= delay_ms <= LONGEST_MS
            assert (error is not None) == isinstance(outcome, Failed)
            if isinstance(outcome, Failed):
                assert attempt < retry.max_attempts
                assert error is outcome.error
