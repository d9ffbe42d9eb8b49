"""When there is a step: now, at a bell, or later."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioq.core.ahead import AHEAD_S
from trioq.core.pace import (
    COMPANY,
    LINGER_MAX_S,
    LINGER_S,
    LOOK_S,
    NEAR_S,
    OFTEN_S,
    POLL_S,
    QUIET_S,
    Pace,
    linger_s,
)

NOW = 100.0


def idle() -> Pace:
    """Its last step was answered a moment ago, and has left nothing."""
    pace = Pace()
    pace.made()
    pace.answered(NOW - 0.1)
    return pace


def next_of(pace: Pace, now: float = NOW, **seen: Any) -> Any:
    usual: dict[str, Any] = {
        "outcomes": 0, "linger_s": 0.0, "room": 4, "running": 0, "can_end": True,
    }  # fmt: skip
    return pace.next(now, **usual | seen)


def test_the_first_step_is_made_at_once() -> None:
    assert next_of(Pace()) == "step"


def test_who_has_room_and_nothing_to_say_waits_for_a_bell() -> None:
    assert next_of(idle()) == "at bell"
    assert next_of(idle(), running=3) == "at bell"


def test_who_holds_nothing_and_has_no_room_polls() -> None:
    assert next_of(idle(), room=0) == pytest.approx(NOW - 0.1 + POLL_S)
    assert next_of(idle(), NOW + POLL_S, room=0) == "step"


@pytest.mark.parametrize("change", ["an end", "a claim"])
def test_who_has_no_room_waits_at_a_bell_only_when_nothing_has_changed_for_a_while(
    change: str,
) -> None:
    pace = idle()
    pace.ended(NOW) if change == "an end" else pace.claimed(NOW)
    pace.made()
    pace.answered(NOW)
    assert next_of(pace, room=0, running=4) == NOW + QUIET_S
    assert next_of(pace, NOW + QUIET_S, room=0, running=4) == "at bell"
    assert next_of(pace, NOW + POLL_S, room=0, running=4) == "step"
    assert next_of(pace, room=1, running=4) == "at bell", "with room, what rings brings jobs"


@pytest.mark.parametrize(
    ("gap_s", "quiet_s"),
    [(QUIET_S / 4, QUIET_S), (0.02, 0.04), (OFTEN_S, 2 * OFTEN_S), (OFTEN_S * 1.1, QUIET_S)],
)
def test_while_something_ends_often_nobody_without_room_waits_at_a_bell_before_the_next(
    gap_s: float, quiet_s: float
) -> None:
    pace = idle()
    for n in range(3):
        pace.ended(NOW + n * gap_s)
    pace.made()
    last = NOW + 2 * gap_s
    pace.answered(last)
    assert next_of(pace, last, room=0, running=4) == pytest.approx(last + quiet_s)


def test_who_has_no_room_and_whose_waits_cannot_be_ended_looks() -> None:
    soon = NOW - 0.1 + LOOK_S
    seen = {"room": 0, "running": 4, "can_end": False}
    assert next_of(idle(), NOW - 0.1, **seen) == pytest.approx(soon)
    assert next_of(idle(), soon, **seen) == "step"


def test_who_is_poked_steps_if_there_is_room() -> None:
    pace = idle()
    pace.ask()
    assert next_of(pace) == "step"
    assert next_of(pace, room=0, running=4) == "at bell", "which is answered when one has ended"
    pace.made()
    assert next_of(pace) == "at bell"


def test_what_is_due_gets_a_step_whether_there_is_room_or_not() -> None:
    pace = idle()
    pace.scheduled(NOW, 250)
    due = NOW + 0.25
    assert next_of(pace) == "at bell"
    assert pace.bell_s(NOW) == pytest.approx(0.25)
    assert next_of(pace, room=0) == due
    assert next_of(pace, due - NEAR_S / 2) == due, "that is no time for a wait at the server"
    assert next_of(pace, due) == next_of(pace, due, room=0) == "step"
    pace.scheduled(due, None)
    assert next_of(pace, due) == "at bell"
    assert pace.bell_s(due) == POLL_S


def test_who_has_something_to_say_does_not_wait_longer_for_what_is_due() -> None:
    pace = idle()
    pace.ended(NOW)
    for delay_ms, first in ((1, NOW + 0.001), (250, NOW + LINGER_S)):
        pace.scheduled(NOW, delay_ms)
        assert next_of(pace, outcomes=1, linger_s=LINGER_S) == first


def test_a_boot_that_may_be_lost_steps_without_room() -> None:
    pace = idle()
    pace.ask(urgently=True)
    assert next_of(pace, room=0) == "step"
    pace.made()
    assert next_of(pace, room=0) != "step"


def test_a_poke_takes_no_urgency_away() -> None:
    pace = idle()
    pace.ask(urgently=True)
    pace.ask()
    assert next_of(pace, room=0) == "step"


def test_an_outcome_goes_at_once_or_lingers_while_there_is_enough_to_do() -> None:
    pace = idle()
    pace.ended(NOW)
    assert next_of(pace, outcomes=1) == "step"
    for linger in (LINGER_S, LINGER_MAX_S):
        assert next_of(pace, outcomes=1, linger_s=linger) == NOW + linger
        assert next_of(pace, NOW + linger, outcomes=1, linger_s=linger) == "step"


def test_who_has_enough_to_do_claims_more_with_what_ends_within_a_moment() -> None:
    pace = idle()
    pace.ask()
    pace.answered(NOW)
    assert next_of(pace, NOW + 0.001) == "step"
    assert next_of(pace, NOW + 0.001, linger_s=LINGER_S) == NOW + LINGER_S
    assert next_of(pace, NOW + LINGER_S, linger_s=LINGER_S) == "step"
    pace.ended(NOW + 0.001)
    assert next_of(pace, NOW + 0.001, linger_s=LINGER_S, outcomes=1) == NOW + LINGER_S


def test_what_is_due_is_made_ready_at_once_whatever_there_is_to_do() -> None:
    pace = idle()
    pace.ask()
    pace.answered(NOW)
    pace.scheduled(NOW, 1)
    assert next_of(pace, linger_s=LINGER_S) == NOW + 0.001
    assert next_of(pace, NOW + 0.001, linger_s=LINGER_S) == "step"


def test_outcomes_linger_until_enough_have_come_within_bounds() -> None:
    assert linger_s(0.0) == LINGER_S
    assert linger_s(LINGER_S / COMPANY / 2) == LINGER_S
    assert linger_s(0.00005) == pytest.approx(COMPANY * 0.00005)
    assert linger_s(0.001) == linger_s(1.0) == LINGER_MAX_S
    assert AHEAD_S / 2 >= LINGER_MAX_S, "half of what is ahead lasts for as long"


def test_a_wait_for_a_bell_ends_as_soon_as_it_must() -> None:
    pace = idle()
    assert pace.wait_ends(outcomes=0, linger_s=LINGER_S, running=2) == math.inf
    pace.ended(NOW)
    assert pace.wait_ends(outcomes=1, linger_s=LINGER_S, running=1) == NOW + LINGER_S, (
        "another may end by then"
    )
    assert pace.wait_ends(outcomes=1, linger_s=LINGER_S, running=0) <= NOW, "nobody else will"
    assert pace.wait_ends(outcomes=1, linger_s=0.0, running=1) == NOW, "there is room now"
    pace.ask()
    assert pace.wait_ends(outcomes=0, linger_s=LINGER_S, running=2) <= NOW


def test_where_waits_cannot_be_ended_nothing_that_runs_has_to_wait_for_a_bell() -> None:
    assert next_of(idle(), can_end=False) == "at bell", "then it is but a new connection"
    soon = NOW - 0.1 + LOOK_S
    assert next_of(idle(), NOW - 0.1, can_end=False, running=1) == pytest.approx(soon)
    assert next_of(idle(), soon, can_end=False, running=1) == "step"
