"""What is asked and answered, as values."""

from __future__ import annotations

import pytest

from trioq.core.calls import StepReply


@pytest.mark.parametrize(
    ("due_ms", "age_s", "then_ms"),
    [(None, 1.0, None), (1500.0, 0.0, 1500.0), (1500.0, 1.0, 500.0), (1500.0, 2.0, 0.0)],
)
def test_an_answer_ages(due_ms: float | None, age_s: float, then_ms: float | None) -> None:
    reply = StepReply("ok", frozenset(), (), 0, 0, due_ms, 0, None)
    assert reply.after(age_s) == StepReply("ok", frozenset(), (), 0, 0, then_ms, 0, None)
