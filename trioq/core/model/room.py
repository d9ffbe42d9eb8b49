"""Who waits for room in a queue that is full: first come, first served.

An enqueue that finds no room is in line from then on, under the uid of its first job; nothing
of it is written. There is room for it where those before it would fit too, so nobody overtakes.
Whoever asks for itself now and then stays; who hasn't for long holds nobody up any more.
"""

from __future__ import annotations

from collections.abc import Iterable

from trioq.core.calls import LINE_MS, End, Enqueuer, NewJob
from trioq.core.job import Uid
from trioq.core.model.state import InLine, Namespace, Told

#: The first one of a line tries by itself after so long.
TRY_MS = 900

#: So many of a line are looked at when it may move on.
LOOK_MAX = 32


def line_up(
    space: Namespace, first: NewJob, who: Enqueuer, queue: str, *, jobs: int, now_ms: int
) -> InLine:
    """Be in line from now on, where one was before if that is known.

    Args:
      first: The first of its jobs, by which it is known.
      jobs: How many there must be room for.
    """
    uid = first.uid
    if not (nth := place_of(space, uid, who)):
        space.stats["lined_up"] += 1
        nth = space.stats["lined_up"]
    most = space.max_lengths[queue]
    place = InLine(nth, queue, now_ms + LINE_MS, now_ms, jobs, most, who.client, first.id or "")
    space.line[uid] = place
    return place


def place_of(space: Namespace, uid: Uid, who: Enqueuer | None) -> int:
    """The one that it has, or had as far as it knows; 0: none."""
    return space.line[uid].nth if uid in space.line else who.nth if who else 0


def room_ahead(space: Namespace, queue: str, nth: int, now_ms: int) -> int:
    """How many jobs those have who come before this place, or who are there if it is 0."""
    return sum(
        other.jobs
        for _, other in space.in_line(queue)
        if other.until_ms > now_ms and not (nth and other.nth >= nth)
    )


def make_way(space: Namespace, queues: Iterable[str], now_ms: int) -> None:
    """There may be room: tell those for whom there is. Who hasn't asked for too long is gone."""
    for name in queues:
        length = space.length(name)
        for uid, place in _first_ones(space, name, now_ms):
            length += place.jobs
            if length > place.most:
                break
            if place.tried_ms:
                place.tried_ms = 0
                space.told.append(Told(place.client, uid, End("room")))


def stay(space: Namespace, uids: Iterable[Uid], now_ms: int) -> None:
    """Of these, those that are in line have asked for themselves."""
    for uid in uids:
        if uid in space.line:
            space.line[uid].until_ms = now_ms + LINE_MS


def may_try(space: Namespace, uid: Uid, now_ms: int) -> End:
    """Whether somebody in line is to try: who was told, and the first one now and then, for nobody
    may have told it."""
    place = space.line[uid]
    first = next((other for other, _ in _first_ones(space, place.queue, now_ms)), "")
    is_long_ago = now_ms - place.tried_ms >= TRY_MS
    return End("room" if not place.tried_ms or (uid == first and is_long_ago) else "live")


def _first_ones(space: Namespace, queue: str, now_ms: int) -> list[tuple[Uid, InLine]]:
    """Of a line, without those who are gone."""
    first = space.in_line(queue)[:LOOK_MAX]
    for uid, place in first:
        if place.until_ms <= now_ms:
            del space.line[uid]
    return [(uid, place) for uid, place in first if uid in space.line]


def step_aside(space: Namespace, queue: str, uids: Iterable[Uid], *, now_ms: int) -> None:
    """These wait for room no longer."""
    for uid in uids:
        if uid in space.line and space.line[uid].queue == queue:
            del space.line[uid]
    make_way(space, [queue], now_ms)


def who_enqueues(jobs: Iterable[NewJob]) -> Uid:
    """Under which uid these jobs wait for room together."""
    return next((job.uid for job in jobs), "")
