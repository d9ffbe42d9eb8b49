"""Why a job of the model doesn't run now: its figures, for what :mod:`trioq.store.inspect` decides.

Engines tell a server now and then how they are; here they tell nobody. So of engines that drain and
of breakers that each has for itself nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from trioq.core.formats import door, engine_info
from trioq.core.job import Uid
from trioq.core.limits import ONE_EACH, LimitSettings, is_own, limit_of
from trioq.core.model import Namespace
from trioq.core.model.limits import RESTS
from trioq.core.model.queues import Door, Queue
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.explain import LOOKED, explanation, of_place, rate, unknown
from trioq.store.inspect.in_line import Place, made_ms, summed
from trioq.store.inspect.limits import NAMED, Taken
from trioq.store.inspect.moment import Lengths, Moment
from trioq.store.inspect.pauses import Pauses
from trioq.store.inspect.reasons import NOT_HELD, Explanation, Held, Line, of_job
from trioq.store.memory_questions import ended, find


def explain(space: Namespace, id_or_uid: str, now_ms: int) -> Explanation:
    """Why a job doesn't run now."""
    view = find(space, id_or_uid, now_ms, with_big=False)
    if view is None:
        return _of_place(space, id_or_uid, now_ms)
    queue = "" if view.about is None else view.about.queue
    waits = view.state in ("ready", "scheduled", "parked")
    held = _held(space, queue, view.uid, now_ms) if waits else NOT_HELD
    is_limited = view.state == "ready" and held.waits_for is not None
    line = None
    if view.state == "ready" and queue and not is_limited:
        line = _line(space, queue, view.uid, now_ms)
    unfit = _unfit(space, queue, view.uid) if view.state == "parked" else frozenset()
    reasons = of_job(view, _counted(space, queue, now_ms), {}, line, now_ms, held=held, unfit=unfit)
    return explanation(view, "limited" if is_limited else view.state, reasons)


def _of_place(space: Namespace, id_or_uid: str, now_ms: int) -> Explanation:
    """Of a job that isn't enqueued, as its queue is full; or that nobody knows."""
    for place in _places(space, now_ms):
        if id_or_uid and id_or_uid in (place.uid, place.id):
            return of_place(place, id_or_uid, now_ms)
    return unknown(id_or_uid)


def _counted(space: Namespace, queue: str, now_ms: int) -> Stats:
    names = sorted({*space.used, *space.queues} | ({queue} if queue else set()))
    doors = {(name, called): space.queues[name].parked[called] for name, called in space.doors()}
    moment = Moment(
        counters=space.stats,
        dead=len(space.dead),
        strays=len(space.strays),
        records=len(space.jobs),
        pauses=_pauses(space, now_ms),
        engines={name: engine_info.decode(boot.info) for name, boot in space.boots.items()},
        lengths={name: _lengths(space, name, now_ms) for name in names},
        parked={place: _behind(each) for place, each in doors.items()},
        parked_since={place: each.since_ms for place, each in doors.items()},
        running={
            name: Counter(hold.queue for hold in boot.held.values())
            for name, boot in space.boots.items()
        },
        in_line=len(space.line),
    )
    return moment.stats("", frozenset(), summed(_places(space, now_ms)))


def _lengths(space: Namespace, name: str, now_ms: int) -> Lengths:
    its = space.queues.get(name) or Queue()
    return Lengths(
        plain=len(its.ready),
        keyed=len(its.keyed),
        suspects=len(its.suspects),
        dropped=len(its.cancelled),
        scheduled=len(its.scheduled),
        due=sum(at_ms <= now_ms for _, at_ms in its.scheduled.items()),
        limited=len(space.flow.of_queue(name)),
    )


def _behind(its: Door) -> int:
    return sum(uid not in its.cancelled for uid in its.jobs)


def _pauses(space: Namespace, now_ms: int) -> Pauses:
    members = [what.encode() for what in space.paused]
    told = [text for what, its in space.paused.items() for text in (what.encode(), its.stored)]
    return Pauses.read(members, told, now_ms)


def _places(space: Namespace, now_ms: int) -> Iterator[Place]:
    """Those who wait for room and have asked for themselves lately, of each queue in order."""
    for queue in sorted({place.queue for place in space.line.values()}):
        live = [(uid, its) for uid, its in space.in_line(queue) if its.until_ms > now_ms]
        for before, (uid, its) in enumerate(live):
            yield Place(uid, its.id, queue, its.jobs, before, made_ms(uid, now_ms))


def _line(space: Namespace, queue: str, uid: Uid, now_ms: int) -> Line:
    its = space.queue(queue)
    if uid in its.suspects:
        return Line(None, LOOKED, is_suspect=True)
    place: int | None = None
    if uid in its.keyed.tags:
        turn = its.keyed.tags[uid], uid
        place = sum((tag, other) < turn for other, tag in its.keyed.tags.items())
    elif uid in its.ready:
        place = its.ready.index(uid)
    is_near = place is not None and (place < LOOKED or uid in its.keyed.tags)
    return Line(place if is_near else None, LOOKED, per_s=rate(ended(space), queue, now_ms))


def _unfit(space: Namespace, queue: str, uid: Uid) -> frozenset[str]:
    """The signatures that a parked job didn't fit."""
    doors = space.queue(queue).parked.items()
    return next((door.unfit_of(called) for called, its in doors if uid in its.jobs), frozenset())


def _held(space: Namespace, queue: str, uid: Uid, now_ms: int) -> Held:
    """What a job takes of limits, and in which room it lies."""
    takes = space.jobs[uid].takes
    lies = [(take, space.flow.rooms.get((queue, take), [])) for take in takes]
    room = next(((take, room.index(uid)) for take, room in lies if uid in room), (None, 0))
    return Held([_taken(space, take, now_ms) for take in takes], *room)


def _taken(space: Namespace, take: str, now_ms: int) -> Taken:
    flow = space.flow
    holders = sorted(uid for uid, takes in flow.took.items() if take in takes)[:NAMED]
    waiting = sorted(
        uid for (_, waited_for), room in flow.rooms.items() if waited_for == take for uid in room
    )
    rests = RESTS + take
    return Taken(
        take,
        _settings(space, take),
        flow.slots[take],
        tuple(holders),
        len(waiting),
        tuple(waiting[:NAMED]),
        has_own=take != limit_of(take) and take in flow.settings,
        ids=_ids(space, [*holders, *waiting[:NAMED]]),
        tat_us=flow.tats.at(take) if take in flow.tats else 0,
        rests_us=flow.tats.at(rests) if rests in flow.tats else 0,
        now_us=now_ms * 1000,
    )


def _settings(space: Namespace, take: str) -> LimitSettings | None:
    if is_own(take):
        return ONE_EACH
    told = space.flow.settings.get(take) or space.flow.settings.get(limit_of(take))
    return None if told is None else told[1]


def _ids(space: Namespace, uids: Sequence[Uid]) -> dict[Uid, str]:
    return {uid: id for uid in uids if (id := space.jobs[uid].id) is not None}
