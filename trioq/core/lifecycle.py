"""A job's life as a table: from which state which move leads where.

What the table lacks can't happen. ``docs/lifecycle.md`` is drawn from it, and the scripts in
``store/lua`` make its moves, each as a whole or not at all. The idea of a state machine that
is data, and draws its own picture, is h11's.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from trioq.core.events import (
    Claimed,
    EngineReaped,
    Event,
    JobCancelled,
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobSnoozed,
    JobSucceeded,
    ParkedExpired,
    name_of,
)
from trioq.errors import TrioqBug


class State(Enum):
    """Where a job is in its life; always in exactly one."""

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Place(Enum):
    """Where a ready job lies: places of one state, not states of their own."""

    LINE = "line"
    PARKED = "parked"
    SUSPECT = "suspect"
    LIMITED = "limited"


class Move(Enum):
    """What happens to a job; the value is the word that Lua, metrics and docs use."""

    ENQUEUE = "enqueue"
    DELAY = "delay"
    PROMOTE = "promote"
    CLAIM = "claim"
    REFUSE = "refuse"
    ACK = "ack"
    DELIVER = "deliver"
    RETRY = "retry"
    SNOOZE = "snooze"
    DEAD_LETTER = "dead_letter"
    RELEASE = "release"
    PARK = "park"
    STOP = "stop"
    CALL_OFF = "call_off"
    REAP = "reap"
    BLAME = "blame"
    EXPIRE = "expire"
    DROP = "drop"
    REPLACE = "replace"
    REVIVE = "revive"
    CANCEL = "cancel"
    PURGE = "purge"
    FORGET = "forget"


STATES: Mapping[State, str] = {
    State.SCHEDULED: "due later: enqueued with a delay, failed and to be retried, or snoozed",
    State.READY: "there for the next engine with room for it",
    State.RUNNING: "claimed by one engine, which holds it until it settles",
    State.DONE: "succeeded; its record is gone, its summary among the last `keep_done`",
    State.DEAD: "doesn't run again by itself; record, reason and errors are kept",
    State.CANCELLED: "taken back; its record is gone, its summary among the last `keep_done`,"
    " but for what was purged",
}

PLACES: Mapping[Place, str] = {
    Place.LINE: "in its queue, first in, first out",
    Place.PARKED: "behind a door that was closed: a name the engine didn't know, an open breaker",
    Place.SUSPECT: "was running when an engine died; claimed first, one at a time in each engine",
    Place.LIMITED: "waits for a limit that was full, by its age; claimed before the line",
}


@attrs.frozen
class Rule:
    """One move: from any of these states to that one. None is outside: no record of it."""

    move: Move
    before: tuple[State | None, ...]
    after: State | None
    scripts: tuple[str, ...]
    """Which make the move; files of ``store/lua``."""
    why: str
    places: tuple[Place, ...] = ()
    """Where a job that becomes ready by it may lie."""
    counts: bool = False
    """Whether it counts as one of the job's attempts."""
    verb: str | None = None
    """The settlement with which a step makes it (:mod:`trioq.core.settlements`)."""
    told: type[Event] | None = None
    """What an engine reports that has made it, or has seen it made."""


RULES = (
    Rule(Move.ENQUEUE, (None,), State.READY, ("enqueue",), "a client wants it run", (Place.LINE,)),
    Rule(Move.DELAY, (None,), State.SCHEDULED, ("enqueue",), "a client wants it run later"),
    Rule(
        Move.PROMOTE,
        (State.SCHEDULED,),
        State.READY,
        ("step",),
        "it is due: to the tail",
        (Place.LINE,),
    ),
    Rule(
        Move.CLAIM,
        (State.READY,),
        State.RUNNING,
        ("step",),
        "an engine has room for it",
        told=Claimed,
    ),
    Rule(
        Move.REFUSE,
        (State.READY,),
        State.READY,
        ("step",),
        "one of its limits is full: it takes none, and waits for that one",
        (Place.LIMITED,),
    ),
    Rule(
        Move.ACK,
        (State.RUNNING,),
        State.DONE,
        ("step",),
        "its handler returned",
        verb="ack",
        told=JobSucceeded,
    ),
    Rule(
        Move.DELIVER,
        (State.RUNNING,),
        State.DONE,
        ("step",),
        "its handler returned, and what it returned is kept",
        verb="deliver",
        told=JobSucceeded,
    ),
    Rule(
        Move.RETRY,
        (State.RUNNING,),
        State.SCHEDULED,
        ("step",),
        "its handler failed, and attempts are left",
        counts=True,
        verb="retry",
        told=JobFailed,
    ),
    Rule(
        Move.SNOOZE,
        (State.RUNNING,),
        State.SCHEDULED,
        ("step",),
        "its handler asked to be run later",
        verb="retry",
        told=JobSnoozed,
    ),
    Rule(
        Move.DEAD_LETTER,
        (State.RUNNING,),
        State.DEAD,
        ("step",),
        "its attempts ran out, or another is no use",
        counts=True,
        verb="dead",
        told=JobDied,
    ),
    Rule(
        Move.RELEASE,
        (State.RUNNING,),
        State.READY,
        ("step", "sign_off"),
        "its engine stops, or has no room for it: to the head, a suspect among suspects",
        (Place.LINE, Place.SUSPECT),
        verb="release",
        told=JobReleased,
    ),
    Rule(
        Move.PARK,
        (State.RUNNING,),
        State.READY,
        ("step",),
        "its engine may not run its name now, or its payload fits another's handler alone",
        (Place.PARKED,),
        verb="park",
        told=JobParked,
    ),
    Rule(
        Move.STOP,
        (State.RUNNING,),
        State.CANCELLED,
        ("step",),
        "its handler was stopped, as somebody doesn't want it any more",
        verb="cancel",
        told=JobCancelled,
    ),
    Rule(
        Move.CALL_OFF,
        (State.RUNNING,),
        State.CANCELLED,
        ("step", "reap", "sign_off"),
        "it would go back to wait, or its engine died, and somebody had asked it to end",
        told=JobCancelled,
    ),
    Rule(
        Move.REAP,
        (State.RUNNING,),
        State.READY,
        ("reap",),
        "its engine died: to the head",
        (Place.SUSPECT,),
        told=EngineReaped,
    ),
    Rule(
        Move.BLAME,
        (State.RUNNING,),
        State.DEAD,
        ("reap",),
        "its engine died of it, as a suspect or with nothing else running, `max_reaps` times",
        told=EngineReaped,
    ),
    Rule(
        Move.EXPIRE,
        (State.READY,),
        State.DEAD,
        ("expire_parked",),
        "it was parked, and no engine knew its name for `unknown_name_after`",
        told=ParkedExpired,
    ),
    Rule(
        Move.DROP,
        (State.READY,),
        State.DEAD,
        ("enqueue",),
        "it was the oldest in its queue, which was full, and newer jobs came: `drop_oldest`",
    ),
    Rule(
        Move.REPLACE,
        (State.READY,),
        State.READY,
        ("replace",),
        "a newer one with its id takes its place, and none of the limit that it waits for: to the"
        " head; else it stays where it is",
        (Place.LINE,),
    ),
    Rule(
        Move.REVIVE,
        (State.DEAD,),
        State.READY,
        ("revive",),
        "an operator gives it a new set of attempts",
        (Place.LINE,),
    ),
    Rule(
        Move.CANCEL,
        (State.SCHEDULED, State.READY),
        State.CANCELLED,
        ("cancel",),
        "somebody doesn't want it any more",
    ),
    Rule(
        Move.PURGE,
        (State.SCHEDULED, State.READY),
        State.CANCELLED,
        ("purge",),
        "an operator empties its queue",
    ),
    Rule(Move.FORGET, (State.DEAD,), None, ("purge_dead",), "an operator has seen enough of it"),
)

MOVES: Mapping[tuple[State | None, Move], State | None] = {
    (before, rule.move): rule.after for rule in RULES for before in rule.before
}
"""The table: what isn't in it can't happen."""


def after(state: State | None, move: Move) -> State | None:
    """The state that this move leads to from that one; None is outside.

    Raises:
      TrioqBug: There is no such move from that state.
    """
    if (state, move) not in MOVES:
        raise TrioqBug(f"no {move.value} from {_name(state)}")
    return MOVES[state, move]


def if_asked(rule: Rule) -> State | None:
    """Where a move of a running job leads if somebody has asked the job to end."""
    waits_again = rule.after in (State.SCHEDULED, State.READY)
    return State.CANCELLED if waits_again or "reap" in rule.scripts else rule.after


OF_RUNNING = [
    rule for rule in RULES if State.RUNNING in rule.before and rule.move is not Move.CALL_OFF
]
"""What may become of a job that runs, if nobody has asked anything."""


def mermaid() -> str:
    """The table as a Mermaid state diagram: an arrow for each pair of states."""
    arrows: dict[tuple[State | None, State | None], list[str]] = {}
    for (before, move), target in MOVES.items():
        arrows.setdefault((before, target), []).append(move.value)
    lines = [
        f"    {_name(before)} --> {_name(target)}: {', '.join(moves)}"
        for (before, target), moves in arrows.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])


def lifecycle_md() -> str:
    """The page ``docs/lifecycle.md``."""
    states = "\n".join(f"| `{state.value}` | {what} |" for state, what in STATES.items())
    places = "\n".join(f"| {place.value} | {what} |" for place, what in PLACES.items())
    rules = "\n".join(map(_row, RULES))
    races = "\n".join(
        f"| `{rule.move.value}` | {_name(rule.after)} | {_name(if_asked(rule))} |"
        for rule in OF_RUNNING
    )
    return (
        "# A job's life\n\n"
        "<!-- drawn from trioq/core/lifecycle.py by `make docs` -->\n\n"
        f"```mermaid\n{mermaid()}\n```\n\n"
        f"| state | means |\n| --- | --- |\n{states}\n\n"
        "*Parked* and *suspect* aren't states: they are places where a ready job lies.\n\n"
        f"| place | means |\n| --- | --- |\n{places}\n\n"
        "What isn't in this table can't happen. Each move is one script's, as a whole or not at\n"
        "all; where it is a step's, the settlement says which. The event is what the engine's log\n"
        "tells of it.\n\n"
        "| move | from | to | because | attempt counts | script | settlement | event |\n"
        f"| --- | --- | --- | --- | --- | --- | --- | --- |\n{rules}\n\n"
        "## A cancel, and what else happens\n\n"
        "The server does one thing after the other, so one of two always comes first. A cancel\n"
        "takes a job that waits, at once, or leaves an *ask* with the claim of one that runs.\n"
        "With an ask, what becomes of the claim leads elsewhere, by `call_off`: nothing that was\n"
        "asked to end waits again. What has ended by then has ended, and no cancel changes it.\n\n"
        f"| move | leads to | with an ask |\n| --- | --- | --- |\n{races}\n"
    )


def _row(rule: Rule) -> str:
    before = ", ".join(map(_name, rule.before))
    places = " or ".join(place.value for place in rule.places)
    after = _name(rule.after) + (f" ({places})" if places else "")
    counts = "yes" if rule.counts else ""
    scripts = ", ".join(f"`{script}`" for script in rule.scripts)
    verb = f"`{rule.verb}`" if rule.verb else ""
    told = f"`{name_of(rule.told)}`" if rule.told else ""
    cells = (f"`{rule.move.value}`", before, after, rule.why, counts, scripts, verb, told)
    return f"| {' | '.join(cells)} |"


def _name(state: State | None) -> str:
    """As Mermaid writes it: ``[*]`` is the world outside."""
    return "[*]" if state is None else state.value
