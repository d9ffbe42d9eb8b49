"""The table of a job's life, and the page that is drawn from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trioq.core.lifecycle import (
    MOVES,
    PLACES,
    RULES,
    STATES,
    Move,
    Place,
    State,
    after,
    lifecycle_md,
    mermaid,
)
from trioq.errors import TrioqBug
from trioq.store.scripts import all_scripts

ROOT = Path(__file__).parents[2]

#: Scripts that change no job's state.
OTHER_SCRIPTS = {
    "beat", "breakers", "declare_limits", "forget_queues", "hasten", "list_schedules", "note",
    "note_files", "pause", "register", "reset_breaker", "ring_bells", "schedule", "set_limits",
    "step_aside", "wait_for",
}  # fmt: skip


def reachable(start: State | None) -> set[State | None]:
    found, new = {start}, {start}
    while new:
        new = {to for (before, _), to in MOVES.items() if before in new} - found
        found |= new
    return found


def test_the_page_is_drawn_from_the_table() -> None:
    page = (ROOT / "docs" / "lifecycle.md").read_text()
    assert page == lifecycle_md(), "run `make docs`"


def test_the_diagram_has_an_arrow_for_each_pair_of_states() -> None:
    arrows = [line.strip() for line in mermaid().splitlines()[1:]]
    assert "[*] --> ready: enqueue" in arrows
    assert "running --> ready: release, park, reap" in arrows
    assert "dead --> [*]: forget" in arrows
    assert len(arrows) == len({(before, to) for (before, _), to in MOVES.items()})


def test_every_move_state_and_place_is_explained_once() -> None:
    assert [rule.move for rule in RULES] == list(Move)
    assert list(STATES) == list(State)
    assert list(PLACES) == list(Place)


def test_the_scripts_that_move_jobs_are_those_of_the_store() -> None:
    scripts = {script.name for script in all_scripts()}
    assert {script for rule in RULES for script in rule.scripts} == scripts - OTHER_SCRIPTS


def test_only_a_job_that_becomes_ready_has_a_place() -> None:
    for rule in RULES:
        assert bool(rule.places) == (rule.after is State.READY), rule.move


def test_every_state_can_be_reached_and_none_but_the_ends_is_a_trap() -> None:
    assert reachable(None) == {None, *State}
    for state in (State.SCHEDULED, State.READY, State.RUNNING, State.DEAD):
        assert reachable(state) >= {State.DONE, State.CANCELLED}
    assert reachable(State.DONE) == {State.DONE}
    assert reachable(State.CANCELLED) == {State.CANCELLED}


def test_a_job_is_claimed_before_it_runs_and_runs_before_it_is_done() -> None:
    assert {pair for pair, to in MOVES.items() if to is State.RUNNING} == {
        (State.READY, Move.CLAIM)
    }
    assert {pair for pair, to in MOVES.items() if to is State.DONE} == {
        (State.RUNNING, Move.ACK),
        (State.RUNNING, Move.DELIVER),
    }


def test_shutdown_crash_and_closed_doors_never_cost_an_attempt() -> None:
    assert {rule.move for rule in RULES if rule.counts} == {Move.RETRY, Move.DEAD_LETTER}


def test_a_move_leads_where_the_table_says() -> None:
    assert after(None, Move.ENQUEUE) is State.READY
    assert after(State.RUNNING, Move.RETRY) is State.SCHEDULED
    assert after(State.DEAD, Move.FORGET) is None


@pytest.mark.parametrize(
    ("state", "move", "message"),
    [
        (State.DONE, Move.CLAIM, "no claim from done"),
        (State.RUNNING, Move.CANCEL, "no cancel from running"),
        (None, Move.ACK, r"no ack from \[\*\]"),
    ],
)
def test_what_the_table_lacks_cannot_happen(state: State | None, move: Move, message: str) -> None:
    with pytest.raises(TrioqBug, match=message):
        after(state, move)
