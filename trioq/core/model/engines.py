"""What engines do beside their steps, and what is done with those that died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trioq.core.calls import Beat, BootId, Gone, Note, Reaped, check_batch, check_notes
from trioq.core.job import Uid
from trioq.core.limits import LimitSettings
from trioq.core.model.boots import Hold, Registration, bell_of
from trioq.core.model.settle import give_back
from trioq.core.model.state import Namespace

#: Ids and results that one beat forgets, and parked jobs that one call lets expire.
FORGET_MAX = 500
RESULTS_MAX = 2500
EXPIRE_MAX = 256


def register(space: Namespace, boot: BootId, info: bytes) -> bool:
    """Make a boot known. False: it is known already."""
    if boot in space.boots:
        return False
    space.boots[boot] = Registration(info)
    return True


def beat(space: Namespace, boot: BootId, *, now_ms: int) -> Beat | Gone:
    """Count a sign of life; on the way, forget some ids whose time is over."""
    known = space.boots.get(boot)
    if known is None:
        return Gone()
    known.beats += 1
    for id in space.forget.take(FORGET_MAX, now_ms):
        del space.ids[id]
    space.forget_results(RESULTS_MAX, now_ms)
    return Beat(len(known.held), space.parked_version, known.asked)


def reap(
    space: Namespace, boot: BootId, seen: int, max_reaps: int, *, line: bytes, now_ms: int
) -> Reaped:
    """Make suspects of all that an engine held, if its counter still stands at ``seen``.

    Blamed is who was its suspect, or ran alone. Who is blamed ``max_reaps`` times is dead. What
    somebody has asked to end is cancelled.
    """
    known = space.boots.get(boot)
    if known is None:
        return Reaped("gone")
    if known.signs != seen:
        return Reaped("alive")
    _forget(space, boot)
    freed = _free(space, known)
    cancelled, left = _without_asked(space, known, now_ms)
    back, died = [], []
    for uid, hold in left:
        blamed = hold.suspect or len(known.held) == 1
        space.jobs[uid].reaps += blamed
        if blamed and space.jobs[uid].reaps >= max_reaps:
            space.die(uid, "worker_lost", line, now_ms)
            died.append(uid)
        else:
            back.append((uid, hold))
    give_back(space, back, as_suspects=True)
    for queue in {hold.queue for _, hold in back} | freed:
        space.ring(queue)
    space.stats["reaped"] += len(known.held)
    return Reaped("reaped", len(back), tuple(died), cancelled)


def sign_off(space: Namespace, boot: BootId, *, now_ms: int) -> None:
    """Give everything back to where it was claimed from; nobody is blamed.

    What somebody has asked to end is cancelled.
    """
    known = space.boots.get(boot)
    if known is None:
        return
    _forget(space, boot)
    freed = _free(space, known)
    _, left = _without_asked(space, known, now_ms)
    give_back(space, left, as_suspects=False)
    for queue in {hold.queue for _, hold in left} | freed:
        space.ring(queue)
    space.stats["released"] += len(left)


def _forget(space: Namespace, boot: BootId) -> None:
    del space.boots[boot]
    space.bells.discard(bell_of(boot))


def _free(space: Namespace, known: Registration) -> set[str]:
    """What its claims took is there for others: queues in which somebody waits for it."""
    return space.flow.waiting_for(space.flow.free(known.held))


def _without_asked(
    space: Namespace, known: Registration, now_ms: int
) -> tuple[tuple[Uid, ...], list[tuple[Uid, Hold]]]:
    """Cancel what somebody has asked to end: who that was, and what is left."""
    asked, left = [], []
    for uid, hold in known.in_order():
        ask = known.answered(uid, hold)
        if ask is None or not space.stops(ask):
            left.append((uid, hold))
        else:
            asked.append(ask.unwanted)
    space.cancel(asked, now_ms)
    return tuple(unwanted.uid for unwanted in asked), left


def note(space: Namespace, boot: BootId, notes: Sequence[Note]) -> frozenset[Uid]:
    """Keep what is said of these claims; whose they no longer are is refused."""
    check_notes(notes)
    known = space.boots.get(boot)
    refused = set[Uid]()
    for each in notes:
        hold = known.held.get(each.uid) if known else None
        if hold is None or hold.step != each.step:
            refused.add(each.uid)
        else:
            space.jobs[each.uid].note = each.text
    return frozenset(refused)


def expire_parked(
    space: Namespace, queue: str, name: str, after_ms: int, *, line: bytes, now_ms: int
) -> int:
    """Dead-letter who has waited behind this door for ``after_ms``, a batch at a time.

    The others are noted then, so that each waits between once and twice that time.
    """
    door = space.queue(queue).parked.get(name)
    if door is None or now_ms - door.since_ms < after_ms:
        return 0
    taken = door.take(min(door.noted, EXPIRE_MAX))
    expired = [uid for uid in taken if not door.pass_over(uid)]
    for uid in expired:
        space.die(uid, "unknown_name", line, now_ms)
    if space.shut(queue, name):
        space.parked_version += 1
    elif door.noted == 0:
        door.since_ms, door.noted = now_ms, len(door.jobs)
    return len(expired)


def declare_limits(
    space: Namespace, boot: BootId, limits: Mapping[str, LimitSettings], *, now_ms: int
) -> bool:
    """A boot says what its configuration has of limits: before its first claim, and now and then.

    Returns: Whether the boot is registered; else nothing was heard.
    """
    check_batch(len(limits))
    if boot not in space.boots:
        return False
    changed = space.flow.deployed.declare(boot, limits, space.boots, now_ms)
    for queue in space.flow.deploy(changed, now_ms):
        space.ring(queue)
    return True


def set_limits(
    space: Namespace, settings: Mapping[str, LimitSettings], version: int
) -> frozenset[str]:
    """Somebody sets by hand what limits admit, or single values of their keys, until the next
    deployment; of each the newest version holds.

    Returns: Those of which newer settings are known, and stay.
    """
    check_batch(len(settings))
    newer = {take for take in settings if space.flow.known(take) > version}
    for queue in space.flow.renew(settings, version):
        space.ring(queue)
    return frozenset(newer)


def forget_queues(space: Namespace, queues: Sequence[str]) -> None:
    """Forget the names of queues that no job waits in, and their bells; not of paused ones.

    Jobs of theirs may run, or be dead: whoever gives one back names the queue again.
    """
    check_batch(len(queues))
    for name in queues:
        if name in space.used and name not in space.paused and not space.anybody_waits_in(name):
            space.used.remove(name)
            space.bells.discard(name)
            del space.queues[name]
