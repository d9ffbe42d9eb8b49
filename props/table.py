"""Each move that the server was seen to make is one of the table's.

The table of a job's life (:mod:`trioq.core.lifecycle`) says what can happen. Here a call is
looked at from outside, by what the server held before and after it: every job that isn't where
it was must have come there by moves that the table gives to that call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import attrs

from tests.dump import Dump
from trioq.core.formats.ids import id_in
from trioq.core.lifecycle import RULES, Move, Place, Rule, State
from trioq.core.model import Hold
from trioq.core.settlements import Settlement

#: How a caller's id remembers what led out of the table, or to an end of it.
TOMBS = {State.DONE: "done", State.CANCELLED: "cancelled", None: "dead"}


@attrs.frozen
class Where:
    """Where one job is, as far as it can be seen."""

    state: State | None
    """None: there is no record of it, any more or yet."""
    place: Place | None = None
    claim: tuple[str, Hold] | None = None


def everybody(dump: Dump) -> dict[str, Where]:
    """Where each job is at this moment."""
    found = dict[str, Where]()
    found |= dict.fromkeys(_all_of(dump.parked), Where(State.READY, Place.PARKED))
    found |= dict.fromkeys(_all_of(dump.rooms), Where(State.READY, Place.LIMITED))
    for queue in dump.queues.values():
        found |= dict.fromkeys(queue.in_line, Where(State.READY, Place.LINE))
        found |= dict.fromkeys(queue.suspects, Where(State.READY, Place.SUSPECT))
        found |= dict.fromkeys(queue.scheduled, Where(State.SCHEDULED))
    for engine, held in dump.running.items():
        found |= {uid: Where(State.RUNNING, claim=(engine, hold)) for uid, hold in held.items()}
    found |= dict.fromkeys(dump.dead, Where(State.DEAD))
    nowhere = dump.jobs.keys() - found.keys()
    assert not nowhere, f"{nowhere} have a record and are nowhere"
    return {uid: found[uid] for uid in dump.jobs}


def _all_of(places: Mapping[tuple[str, str], tuple[str, ...]]) -> Iterator[str]:
    return chain.from_iterable(places.values())


def moves_made(
    script: str,
    asked: Sequence[Settlement],
    before: Dump,
    after: Dump,
    rules: Sequence[Rule] = RULES,
) -> list[Rule]:
    """The moves that explain what a call has changed.

    Args:
      asked: What a step was to settle; it may have refused some of it.

    Raises:
      AssertionError: A job is where no moves of this call lead.
    """
    made = []
    were, are, gone = everybody(before), everybody(after), Where(None)
    verbs_of = dict[str, set[str]]()
    for settlement in asked:
        verbs_of.setdefault(settlement.uid, set()).add(settlement.verb)
    of_script = [rule for rule in rules if script in rule.scripts]
    for uid in were.keys() | are.keys():
        was, now = were.get(uid, gone), are.get(uid, gone)
        if was == now:
            continue
        verbs, own = verbs_of.get(uid, set[str]()), of_script
        if not _may_be_called_off(script, verbs, before, uid):
            own = [rule for rule in own if rule.move is not Move.CALL_OFF]
        ways = list(_ways(script, verbs, was.state, own))
        leading = [way for way in ways if _leads_to(way[-1], now, before, after, uid)]
        assert leading, f"the table has no way for {uid} from {was} to {now} by {script} {verbs}"
        # Two moves may lead along one arrow: then the one that counts is where an attempt did.
        counted = after.attempts.get(uid, 0) > before.attempts.get(uid, 0)
        made += min(leading, key=lambda way: any(rule.counts for rule in way) != counted)
    return made


def _may_be_called_off(script: str, verbs: set[str], before: Dump, uid: str) -> bool:
    """Whether somebody had asked it to end, and it was to go back to wait."""
    was_asked = any(uid in asks for asks in before.asks.values())
    return was_asked and (script != "step" or bool(verbs & {"retry", "release", "park"}))


def _ways(
    script: str, verbs: set[str], state: State | None, own: Sequence[Rule]
) -> Iterator[list[Rule]]:
    """What can happen to a job in one call: one move; in a step, several one after the other,
    first a settlement, then what the step does by itself, in the order of the table."""
    if script != "step":
        yield from ([rule] for rule in own if state in rule.before)
        return
    ways: list[list[Rule]] = [[]]
    stages = [[rule for rule in own if rule.verb in verbs]]
    stages += [[rule] for rule in own if rule.verb is None]
    for stage in stages:
        ways += [
            [*way, rule]
            for way in ways
            for rule in stage
            if (way[-1].after if way else state) in rule.before
        ]
    yield from ways[1:]


def _leads_to(rule: Rule, now: Where, before: Dump, after: Dump, uid: str) -> bool:
    if now.state is not None:
        return rule.after is now.state and (now.place is None or now.place in rule.places)
    if rule.after not in TOMBS:
        return False
    # Which of the ends it was can't be seen, but where a caller's id remembers it.
    id = id_in(before.id_of.get(uid, ""))
    return id not in after.ids or after.ids[id] == f"{TOMBS[rule.after]}:{uid}"
