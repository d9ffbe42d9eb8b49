"""What must be true of a namespace at every moment, whatever happened to it.

Those that need to know what was asked and answered are in ``props/history.py``; the
numbers are the same in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.dump import Dump
from trioq.core.formats.door import name_of
from trioq.core.formats.ids import id_in
from trioq.core.formats.pause import of_take
from trioq.core.limits import is_own

#: What an engine may hold.
HELD_MAX = 1000


def assert_sound(dump: Dump, *, max_reaps: int | None = None, keep_done: int = 1000) -> None:
    """Fail with everything that isn't as it must be."""
    broken = list(broken_invariants(dump, max_reaps=max_reaps, keep_done=keep_done))
    assert not broken, "\n".join(broken) + f"\n{dump}"


def broken_invariants(
    dump: Dump, *, max_reaps: int | None = None, keep_done: int = 1000
) -> Iterator[str]:
    """What isn't as it must be, one line each."""
    yield from _one_place(dump)
    yield from _conservation(dump)
    yield from _ownership(dump)
    yield from _the_dead(dump, max_reaps)
    yield from _ids(dump)
    yield from _results(dump)
    yield from _nothing_left_over(dump, keep_done)
    yield from _behind_doors(dump)
    yield from _asks(dump)
    yield from _lines(dump)
    yield from _limits(dump)
    yield from _schedules(dump)


def _schedules(dump: Dump) -> Iterator[str]:
    """I29: only schedules that are there have a next tick, runs, and ticks that came."""
    of = {"ticks": dump.ticks, "runs": dump.runs, "ticked": dump.ticked}
    for what, names in of.items():
        if odd := names.keys() - dump.schedules.keys():
            yield f"I29: {what} of schedules that aren't there: {odd}"
    for name, marks in dump.ticked.items():
        came = [int(mark.split()[0]) for mark in marks]
        if came != sorted(set(came)) or (name in dump.ticks and came[-1] >= dump.ticks[name]):
            yield f"I29: {name} stands at {dump.ticks.get(name)}, and has come at {came}"


def _one_place(dump: Dump) -> Iterator[str]:
    """I1: each job is in exactly one place, and nothing else is anywhere."""
    places = Counter(uid for uid, _ in dump.places())
    for uid, count in places.items():
        if count > 1:
            yield f"I1: {uid} is in {[place for u, place in dump.places() if u == uid]}"
        if uid not in dump.jobs:
            yield f"I1: {uid} has no record and isn't counted as cancelled"
    yield from (f"I1: {uid} is nowhere" for uid in dump.jobs.keys() - places.keys())
    for name, queue in dump.queues.items():
        if not queue.dropped <= {*queue.ready, *queue.keyed}:
            yield f"I1: {name} counts cancelled jobs that don't lie in it"
        if queue.dropped & dump.jobs.keys():
            yield f"I1: {name} counts jobs as cancelled that are not"


def _conservation(dump: Dump) -> Iterator[str]:
    """I2: what was enqueued is there or was ended, and counted once."""
    ended = sum(dump.stats.get(name, 0) for name in ("done", "cancelled", "purged"))
    if dump.stats.get("enqueued", 0) != len(dump.jobs) + ended:
        yield f"I2: enqueued {dump.stats.get('enqueued', 0)} != {len(dump.jobs)} + {ended}"


def _ownership(dump: Dump) -> Iterator[str]:
    """I4: running is what a registered engine holds, each by a claim of its own."""
    if not dump.steps.keys() == dump.beats.keys() == dump.engines.keys():
        yield f"I4: half registered: {dump.steps}, {dump.beats}, {dump.engines}"
    for engine, held in dump.running.items():
        if engine not in dump.steps:
            yield f"I4: {engine} holds jobs and isn't registered"
            continue
        if any(hold.step > dump.steps[engine][0] for hold in held.values()):
            yield f"I4: {engine} holds claims of a step it hasn't made"
        if len({(hold.step, hold.i) for hold in held.values()}) < len(held):
            yield f"I4: two jobs of {engine} have the same claim"
        if len(held) > HELD_MAX:
            yield f"I4: {engine} holds {len(held)} jobs"


def _results(dump: Dump) -> Iterator[str]:
    """I19: what is kept of an end has a time, and nobody waits for what is over."""
    if odd := dump.results.keys() ^ dump.results_due.keys():
        yield f"I19: a result without a time, or the other way: {odd}"
    if odd := dump.results.keys() & dump.jobs.keys():
        yield f"I19: has a result and isn't over: {odd}"
    if odd := dump.waits.keys() - (dump.jobs.keys() - dump.dead.keys()):
        yield f"I19: somebody waits for what is over: {odd}"


def _lines(dump: Dump) -> Iterator[str]:
    """I28: nothing is queued yet of who waits for room."""
    for queue, line in dump.line.items():
        if queued := {place.split()[0] for place in line} & dump.jobs.keys():
            yield f"I28: in line for {queue}, and queued: {queued}"


def _asks(dump: Dump) -> Iterator[str]:
    """I26: what is asked of an engine is of claims that it holds."""
    for engine, asks in dump.asks.items():
        held = dump.running.get(engine, {})
        if odd := {uid for uid, ask in asks.items() if uid not in held or ask[1] != held[uid].step}:
            yield f"I26: {engine} is asked to end what it doesn't hold by that claim: {odd}"
        loud = [ask[0] for ask in asks.values() if ask[0]]
        if len({*loud}) < len(loud):
            yield f"I26: two asks of {engine} are the same one"
        for uid in {uid for uid, ask in asks.items() if not ask[0]}:
            if id_in(dump.id_of[uid]) or not any(
                take.startswith("@id:") for take in dump.took[uid]
            ):
                yield f"I26: {uid} is asked quietly, and no other is its next run"
        if max(ask[0] for ask in asks.values()) > dump.asked.get(engine, 0):
            yield f"I26: {engine} has more asks than were counted"
    if gone := dump.asked.keys() - dump.steps.keys():
        yield f"I26: asks of nobody are counted: {gone}"


def _limits(dump: Dump) -> Iterator[str]:
    """I27: slots are what claims that are held took, and whoever waits for a limit will be seen."""
    held = {uid for claims in dump.running.values() for uid in claims}
    if odd := dump.took.keys() - held:
        yield f"I27: takes of claims that nobody holds: {odd}"
    recounted = Counter(take for takes in dump.took.values() for take in takes)
    if recounted != dump.slots:
        yield f"I27: slots {dump.slots}, but claims took {recounted}"
    waited_in = dict[str, set[str]]()
    for queue, take in dump.rooms:
        waited_in.setdefault(take, set()).add(queue)
    if waited_in != dump.waited_in:
        yield f"I27: rooms are noted as {dump.waited_in}, and are {waited_in}"
    if odd_rooms := (dump.open | dump.permits.keys()) - dump.rooms.keys():
        yield f"I27: nobody is in these rooms: {odd_rooms}"
    for queue, take in dump.rooms.keys() - dump.open - dump.permits.keys():
        of_limit = dump.limit_settings.get(take.partition(":")[0], "0:0:0:0")
        most = int(dump.limit_settings.get(take, of_limit).split(":")[3])
        most = 1 if is_own(take) else most
        if not (0 < most <= dump.slots.get(take, 0) or of_take(take) in dump.paused):
            yield f"I27: nobody will look into the room of {take} in {queue}"


def _the_dead(dump: Dump, max_reaps: int | None) -> Iterator[str]:
    """I8: dead is who has a reason, and nobody else has used up his reaps."""
    if odd := dump.reasons.keys() ^ dump.dead.keys():
        yield f"I8: dead without a reason, or the other way: {odd}"
    if max_reaps is not None:
        over = {uid for uid, reaps in dump.reaps.items() if reaps >= max_reaps}
        lost = {uid for uid, reason in dump.reasons.items() if reason == "worker_lost"}
        if over != lost:
            yield f"I8: dead for its reaps, or not: {over ^ lost}"


def _ids(dump: Dump) -> Iterator[str]:
    """I11: a caller's id names the one job that has it, or how that ended."""
    live = {id: who for id, who in dump.ids.items() if ":" not in who}
    if live != {id: uid for uid, stored in dump.id_of.items() if (id := id_in(stored))}:
        yield f"I11: {live} != {dump.id_of}"
    if not set(live.values()) <= dump.jobs.keys():
        yield "I11: an id names a job that isn't there"
    if odd := dump.ended.keys() ^ (dump.ids.keys() - live.keys()):
        yield f"I11: never forgotten, or too early: {odd}"


def _nothing_left_over(dump: Dump, keep_done: int) -> Iterator[str]:
    """I16: what belongs to a job goes with it; nothing grows without bound."""
    for what in ("big", "attempts", "reaps", "history", "reasons", "id_of", "notes", "flow"):
        left = getattr(dump, what).keys() - dump.jobs.keys()
        if left:
            yield f"I16: {what} of jobs that are over: {left}"
    if odd := dump.parked.keys() ^ dump.doors.keys():
        yield f"I16: doors without jobs, or the other way: {odd}"
    for door, (_, noted) in dump.doors.items():
        if noted > len(dump.parked.get(door, ())):
            yield f"I16: {noted} are noted behind {door}, more than there are"
    waiting = dump.queues.keys() | {queue for queue, _ in (*dump.doors, *dump.rooms)}
    bells = {bell for bell in dump.bells if not bell.startswith("@")}
    if ghosts := {bell[1:] for bell in dump.bells - bells} - dump.steps.keys():
        yield f"I16: bells of engines that are gone: {ghosts}"
    if odd := (waiting | bells) - dump.used:
        yield f"I16: queues that jobs wait in, or that ring, and that aren't named: {odd}"
    enough = keep_done if keep_done < 512 else keep_done + 31  # then not everybody looks
    if odd_steps := [n for n, _ in dump.kept if dump.kept[0][0] - n >= enough]:
        yield f"I16: summaries of {odd_steps} are kept, and newer ones are enough"
    if dump.strays:
        yield f"I16: strays: {dump.strays}"
    if dump.unknown:
        yield f"I16: unknown keys: {dump.unknown}"


def _behind_doors(dump: Dump) -> Iterator[str]:
    """I25: who is parked is known to be, and who was cancelled there is counted."""
    lying = {uid for uids in dump.parked.values() for uid in uids}
    if dump.behind != lying & dump.jobs.keys():
        yield f"I25: {dump.behind} aren't those that are parked: {lying & dump.jobs.keys()}"
    for (queue, name), passed in dump.passed.items():
        doors = [door for door in dump.parked if (door[0], name_of(door[1])) == (queue, name)]
        here = {uid for door in doors for uid in dump.parked[door]}
        if not passed <= here or passed & dump.jobs.keys():
            yield f"I25: {passed} don't lie behind {name} in {queue}, or aren't over"
