"""When an engine beats, and until when its lease holds."""

from __future__ import annotations

import pytest

from trioq.core.pacemaker import Pacemaker
from trioq.errors import TrioqBug


@pytest.fixture
def pacemaker() -> Pacemaker:
    return Pacemaker(interval_s=1, lease_s=5)


def beat(pacemaker: Pacemaker, sent: float, answered: float, *, ok: bool = True) -> None:
    pacemaker.sent(sent)
    pacemaker.answered(answered, ok=ok)


def test_first_beat_is_due_at_once(pacemaker: Pacemaker) -> None:
    assert pacemaker.due(-1e9) == 0
    assert pacemaker.due(0) == 0


def test_next_beat_is_due_an_interval_after_the_last_was_sent(pacemaker: Pacemaker) -> None:
    beat(pacemaker, 10, 10.3)
    assert pacemaker.due(10.25) == 0.75
    assert pacemaker.due(11) == 0
    assert pacemaker.due(50) == 0


def test_failed_beats_are_tried_again_soon_and_then_every_fifth_of_the_lease(
    pacemaker: Pacemaker,
) -> None:
    waits, now = [], 10.0
    for _ in range(6):
        beat(pacemaker, now, now, ok=False)
        waits.append(pacemaker.due(now))
        now += waits[-1]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_an_outage_may_last_for_ever(pacemaker: Pacemaker) -> None:
    for _ in range(1100):
        beat(pacemaker, 0, 0, ok=False)
    assert pacemaker.due(0) == 1.0


def test_good_beat_ends_the_back_off(pacemaker: Pacemaker) -> None:
    for _ in range(5):
        beat(pacemaker, 0, 0, ok=False)
    beat(pacemaker, 1, 1)
    assert pacemaker.due(1) == 1
    beat(pacemaker, 2, 2, ok=False)
    assert pacemaker.due(2) == pytest.approx(0.1)


def test_one_beat_may_take_a_quarter_of_the_lease(pacemaker: Pacemaker) -> None:
    assert pacemaker.deadline_s == 1.25


@pytest.mark.parametrize("lease_s", [0.4, 5, 60])
def test_a_lost_beat_can_be_made_good_before_the_lease_ends(lease_s: float) -> None:
    pacemaker = Pacemaker(interval_s=lease_s / 4, lease_s=lease_s)  # the longest that is allowed
    beat(pacemaker, 0, 0)
    lost = pacemaker.due(0)
    given_up = lost + pacemaker.deadline_s
    beat(pacemaker, lost, given_up, ok=False)
    end = pacemaker.lease_end
    assert end is not None
    assert given_up + pacemaker.due(given_up) < end


def test_there_is_no_lease_before_the_first_answer(pacemaker: Pacemaker) -> None:
    pacemaker.sent(10)
    assert pacemaker.lease_end is None
    assert not pacemaker.may_claim(10)
    pacemaker.answered(10, ok=False)
    assert pacemaker.lease_end is None


def test_lease_counts_from_before_the_beat_was_sent(pacemaker: Pacemaker) -> None:
    beat(pacemaker, 10, 11.2)
    assert pacemaker.lease_end == 14  # 10 + 5, less the margin of a fifth
    beat(pacemaker, 12, 13, ok=False)
    assert pacemaker.lease_end == 14


def test_answered_step_extends_the_lease_and_a_late_one_does_not_shorten_it(
    pacemaker: Pacemaker,
) -> None:
    pacemaker.step_answered(10, 10)
    assert pacemaker.lease_end == 14
    pacemaker.step_answered(9, 10)
    assert pacemaker.lease_end == 14
    beat(pacemaker, 9.5, 11)
    assert pacemaker.lease_end == 14
    pacemaker.step_answered(12, 12)
    assert pacemaker.lease_end == 16


def test_engine_claims_only_while_more_than_half_of_its_lease_is_left(
    pacemaker: Pacemaker,
) -> None:
    pacemaker.step_answered(10, 10)
    assert pacemaker.may_claim(12.49)
    assert not pacemaker.may_claim(12.5)


def test_a_span_ends_where_half_a_lease_went_by_without_an_answer(pacemaker: Pacemaker) -> None:
    assert pacemaker.span(0) is None, "before the first answer"
    beat(pacemaker, 1, 1.1)
    first = pacemaker.span(1.1)
    beat(pacemaker, 2, 3)
    assert pacemaker.span(4) == first is not None
    beat(pacemaker, 4, 4.2, ok=False)
    assert pacemaker.span(4.49) == first
    assert pacemaker.span(4.5) is None, "2.5 s after the last beat that was answered was sent"
    beat(pacemaker, 4.6, 4.7)
    second = pacemaker.span(4.7)
    assert second not in (first, None)
    pacemaker.step_answered(4.9, 7.2)
    assert pacemaker.span(7.2) not in (first, second, None), "sent in time, answered late"


def test_answer_without_a_beat_is_a_bug(pacemaker: Pacemaker) -> None:
    with pytest.raises(TrioqBug):
        pacemaker.answered(0, ok=True)
    beat(pacemaker, 1, 1)
    with pytest.raises(TrioqBug):
        pacemaker.answered(1, ok=False)


def test_a_boot_that_is_gone_has_no_lease_until_something_is_answered_again() -> None:
    pacemaker = Pacemaker(1.0, 5.0)
    pacemaker.step_answered(10.0, 10.1)
    span = pacemaker.span(10.2)
    pacemaker.sent(11.0)
    pacemaker.gone()
    assert pacemaker.lease_end is None
    assert not pacemaker.may_claim(11.1)
    pacemaker.step_answered(12.0, 12.1)
    assert pacemaker.lease_end == 12.0 + 4.0
    assert pacemaker.span(12.2) != span, "what was seen before doesn't count"
