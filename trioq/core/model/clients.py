"""What producers and operators do: writes that carry the sender's number.

The last number again is answered as it was, and changes nothing. A smaller one changes
nothing either: only a late copy has it, and nobody waits for its answer any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import cast

import attrs

from trioq.core.calls import (
    CANCEL_MAX,
    NOT_EDITED,
    CancelWord,
    Enqueued,
    Enqueuer,
    Existing,
    MustWait,
    NewJob,
    Pausing,
    Rate,
    Revived,
    Taking,
    Unwanted,
    check_batch,
    check_taking,
)
from trioq.core.formats.door import name_of as door_name
from trioq.core.formats.pause import is_name, is_take, name_of, take_of
from trioq.core.job import Uid
from trioq.core.limiter import grant
from trioq.core.model.boots import bell_of
from trioq.core.model.breakers import reset
from trioq.core.model.files import is_seen, remember
from trioq.core.model.ids import may_take, take_id
from trioq.core.model.keeping import begun
from trioq.core.model.lives import Life
from trioq.core.model.once import once
from trioq.core.model.queues import Pause
from trioq.core.model.room import line_up, make_way, place_of, room_ahead, who_enqueues
from trioq.core.model.state import Ended, Namespace
from trioq.errors import QueueFull


def enqueue(
    space: Namespace,
    sender: str,
    number: int,
    jobs: Sequence[NewJob],
    *,
    now_us: int,
    rate: Rate | None = None,
    who: Enqueuer | None = None,
    taking: Taking | None = None,
    dropped: bytes = b"",
) -> Enqueued:
    """Queue these jobs, all or none of those that the limit admits.

    Args:
      who: Is in line from now on where there is no room, and one may wait for it.
      taking: From whom the one job takes its caller's id.
      dropped: What the history of a job says that was dropped for them.

    Raises:
      QueueFull: A queue's max length would be passed; nothing is queued, by this number ever.
      MustWait: Likewise, and ``who`` is in line.
    """
    check_taking(taking, jobs, rate)
    write = Enqueuing(space, jobs, rate, who, now_us, dropped, taking).run
    before = space.senders.get(sender, (0, None))[0]
    answer = once(space, sender, number, write)
    if isinstance(answer, QueueFull):
        raise copy(answer)
    answer = cast(Enqueued, answer)
    # The time until the next permit has passed since then, or some of it.
    return answer if number > before else attrs.evolve(answer, wait_us=0)


@attrs.define
class Enqueuing:
    space: Namespace
    jobs: Sequence[NewJob]
    rate: Rate | None
    who: Enqueuer | None
    now_us: int
    dropped: bytes
    taking: Taking | None = None
    existing: dict[int, Existing] = attrs.field(factory=dict[int, Existing])
    seen: set[int] = attrs.field(factory=set[int])
    new: list[NewJob] = attrs.field(factory=list[NewJob])
    too_many: dict[str, int] = attrs.field(factory=dict[str, int])
    """How many of the oldest go, by queue."""

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    @property
    def queues(self) -> Sequence[str]:
        return list(dict.fromkeys(job.queue for job in self.jobs))

    def run(self) -> Enqueued | QueueFull:
        if self.taking and not may_take(self.space, self.jobs[0], self.taking):
            return Enqueued(0, {}, frozenset(), moved=True)
        taken = self._look(self._granted(len(self.jobs))[0])
        if full := self._full():
            return full
        for name, count in self.too_many.items():
            self._drop_oldest(name, count)
        for job in self.new:
            self._write(job)
        wait_us = 0
        if self.rate:
            wanted = len(self.new) + (taken < len(self.jobs))
            _, tat_us, wait_us = self._granted(wanted)
            if self.new or tat_us < self.space.limits.get(self.rate.name, 0):
                self.space.limits[self.rate.name] = tat_us
        self.space.stats["enqueued"] += len(self.new)
        if bounded := [name for name in self.queues if name in self.space.max_lengths]:
            self.space.line.pop(who_enqueues(self.jobs), None)
            make_way(self.space, bounded, self.now_ms)
        return Enqueued(taken, self.existing, frozenset(self.seen), wait_us)

    def _granted(self, wanted: int) -> tuple[int, int, int]:
        if self.rate is None:
            return wanted, 0, 0
        stored_us = self.space.limits.get(self.rate.name, 0)
        got = grant(
            stored_us,
            self.now_us,
            wanted=wanted,
            interval_us=self.rate.interval_us,
            burst=self.rate.burst,
        )
        return got.granted, got.tat_us, got.wait_us

    def _look(self, permits: int) -> int:
        """Sort out what is known already, up to the first new job without a permit."""
        ids: dict[str, Uid] = {}
        marks: dict[str, str] = {}
        for i, job in enumerate(self.jobs):
            path, mark = job.seen or ("", "")
            if job.id in ids:
                self.existing[i] = Existing(ids[job.id], "live")
            elif not self.taking and (existing := self._existing(job.id)):
                self.existing[i] = existing
            elif job.seen and is_seen(self.space, path, mark, marks.get(path)):
                self.seen.add(i)
            elif len(self.new) == permits:
                return i
            else:
                self.new.append(job)
                marks |= {path: mark}
                if job.id is not None:
                    ids[job.id] = job.uid
        return len(self.jobs)

    def _existing(self, id: str | None) -> Existing | None:
        if id is None or id not in self.space.ids:
            return None
        who = self.space.ids[id]
        if not isinstance(who, Ended):
            return Existing(who, "dead" if who in self.space.dead else "live")
        if self.space.forget.at(id) <= self.now_ms:
            return None
        return Existing(who.uid, who.state)

    def _full(self) -> QueueFull | None:
        space, who, uid = self.space, self.who, who_enqueues(self.jobs)
        for name in self.queues:
            most = space.max_lengths.get(name, 0)
            more = sum(job.queue == name for job in self.new)
            if not most or not more:
                continue
            queue, when_full = space.queue(name), space.when_full.get(name)
            length = space.length(name)
            too_many = length + more - most
            if when_full == "drop_oldest":
                if 0 < too_many <= length - len(queue.scheduled):
                    self.too_many[name] = too_many
                    continue
            else:
                too_many += room_ahead(space, name, place_of(space, uid, who), self.now_ms)
            if too_many <= 0:
                continue
            if who and when_full == "wait" and more <= most:
                place = line_up(space, self.jobs[0], who, name, jobs=more, now_ms=self.now_ms)
                return MustWait(name, length, most, place.nth)
            return QueueFull(name, length, most, more)
        return None

    def _drop_oldest(self, name: str, count: int) -> None:
        """Who waits in a room came before who is ready."""
        queue, flow = self.space.queue(name), self.space.flow
        while count:
            oldest = flow.take_oldest(name, count) or queue.take_ready(1) or queue.keyed.take(1)
            for uid in oldest:
                if uid in queue.cancelled:
                    queue.cancelled.remove(uid)
                else:
                    self.space.die(uid, "dropped", self.dropped, self.now_ms)
                    self.space.stats["dropped"] += 1
                    count -= 1

    def _write(self, job: NewJob) -> None:
        space, queue = self.space, self.space.waits_in(job.queue)
        more = take_id(space, job, self.taking) if self.taking else ()
        life = Life(job.stored, job.big, job.id, fair=job.fair)
        life.takes = tuple(dict.fromkeys((*job.takes, *more)))
        space.jobs[job.uid] = life
        if job.id is not None:
            life.kept = begun(job.keep, self.now_ms)
            space.ids[job.id] = job.uid
            space.forget.drop(job.id)
        if job.seen is not None:
            remember(space, *job.seen)
        if (due_ms := job.due_ms(self.now_ms)) > self.now_ms:
            queue.scheduled.put(job.uid, due_ms)
        else:
            space.make_ready(job.queue, job.uid)
        space.ring(job.queue)  # for what is due later, too: an idle engine has to hear when


def cancel(
    space: Namespace, sender: str, number: int, jobs: Sequence[Unwanted], *, now_ms: int
) -> list[CancelWord]:
    """Jobs shall not run, or end if they run: what became of each."""
    check_batch(len(jobs), CANCEL_MAX)

    def write() -> list[CancelWord]:
        over = dict[Uid, Unwanted]()
        words = [_cancelled(space, job, over) for job in jobs]
        space.cancel(list(over.values()), now_ms)
        make_way(space, dict.fromkeys(job.queue for job in over.values()), now_ms)
        return words

    return cast("list[CancelWord]", once(space, sender, number, write))


def _cancelled(space: Namespace, job: Unwanted, over: dict[Uid, Unwanted]) -> CancelWord:
    if job.uid not in space.jobs or job.uid in over:
        return "unknown"
    if job.uid in space.dead:
        return "dead"
    for name, boot in space.boots.items():
        if job.uid in boot.held:
            boot.ask_for(job)
            space.ring(bell_of(name))
            return "asked"
    queue = space.queue(job.queue)
    doors = (door for door in queue.parked.values() if job.uid in door.jobs)
    if queue.scheduled.drop(job.uid):
        pass
    elif job.uid in queue.suspects:
        queue.suspects.remove(job.uid)
    elif space.flow.take_out(job.queue, job.uid):
        space.give_turn_back(job.queue, job.uid)
    elif (door := next(doors, None)) is not None:
        door.cancelled.add(job.uid)
    else:
        queue.cancelled.add(job.uid)
        space.give_turn_back(job.queue, job.uid)
    over[job.uid] = job
    return "cancelled"


def revive(
    space: Namespace,
    sender: str,
    number: int,
    jobs: Sequence[tuple[Uid, str]],
    edited: Mapping[Uid, NewJob] = NOT_EDITED,
) -> Revived:
    """Dead jobs become ready, behind the others, with a new set of attempts. Not those whose id
    was taken and is a live job's."""
    check_batch(len(jobs))

    def write() -> Revived:
        revived, refused = 0, []
        for uid, queue in jobs:
            if uid not in space.dead:
                continue
            if not space.take_back(uid):
                refused.append(uid)
                continue
            del space.dead[uid]
            life = space.jobs[uid]
            if (job := edited.get(uid)) is not None:
                life.stored, life.big = job.stored, job.big
            life.attempts = life.reaps = 0
            life.reason = None
            space.make_ready(queue, uid)
            space.ring(queue)
            revived += 1
        space.stats["revived"] += revived
        return Revived(revived, tuple(refused))

    return cast(Revived, once(space, sender, number, write))


def purge_dead(
    space: Namespace, sender: str, number: int, uids: Sequence[Uid], *, now_ms: int
) -> int:
    """Forget dead jobs."""
    check_batch(len(uids))

    def write() -> int:
        purged = 0
        for uid in uids:
            if space.dead.pop(uid, None) is not None:
                space.end(uid, "dead", now_ms)
                purged += 1
        space.stats["purged"] += purged
        return purged

    return cast(int, once(space, sender, number, write))


def purge(
    space: Namespace,
    sender: str,
    number: int,
    queue: str,
    *,
    names: Sequence[str],
    limit: int,
    now_ms: int,
) -> int:
    """Forget jobs that wait, in the order in which they would be claimed.

    Args:
      names: The doors to look behind.
      limit: How many at most; cancelled ones that still lie there count.
    """
    check_batch(limit)

    def write() -> int:
        lies, over = space.queue(queue), set[Uid]()
        uids = lies.take_suspects(limit)
        for take, uid in space.flow.of_queue(queue)[: limit - len(uids)]:
            space.flow.leave((queue, take), uid)
            space.give_turn_back(queue, uid)
            uids.append(uid)
        uids += lies.take_ready(limit - len(uids))
        keyed = lies.keyed.take(limit - len(uids))
        for uid in keyed:
            if uid not in lies.cancelled:
                space.give_turn_back(queue, uid)
        uids += keyed
        for name in names:
            if name in lies.parked:
                taken = lies.parked[name].take(limit - len(uids))
                uids += taken
                over |= {uid for uid in taken if lies.parked[name].pass_over(uid)}
                space.parked_version += space.shut(queue, name)
        uids += lies.scheduled.take(limit - len(uids))
        purged = 0
        for uid in uids:
            if uid in lies.cancelled:
                lies.cancelled.remove(uid)
            elif uid not in over:
                space.end(uid, "cancelled", now_ms)
                purged += 1
        space.stats["purged"] += purged
        if purged:  # there is room
            make_way(space, [queue], now_ms)
        return purged

    return cast(int, once(space, sender, number, write))


def pause(
    space: Namespace,
    sender: str,
    number: int,
    what: str,
    paused: bool,
    *,
    how: Pausing,
    now_ms: int,
) -> bool:
    """Stop claiming from a queue, or running the jobs of a name, or those that take something of
    a limit; or go on.

    Args:
      what: A queue; an ``@`` and a name; or a ``=`` and a take.

    Returns:
      True: that was a change.
    """

    def write() -> bool:
        was_paused = space.is_paused(what, now_ms)
        if paused:
            since_ms = space.paused[what].since_ms if was_paused else now_ms
            space.paused[what] = Pause(since_ms, now_ms + how.for_ms if how.for_ms else 0, how.said)
            if is_take(what):
                space.flow.paused.add(take_of(what))
        else:
            space.paused.pop(what, None)
            for queue in _goes_on(space, what):
                space.ring(queue)
        if is_name(what):
            space.parked_version += 1  # engines hear of it with the doors
        return was_paused != paused

    return cast(bool, once(space, sender, number, write))


def hasten(
    space: Namespace, sender: str, number: int, queue: str, uid: Uid, *, now_ms: int
) -> bool:
    """A job that isn't due yet is due now. False: it doesn't wait for a later time."""

    def write() -> bool:
        scheduled = space.queue(queue).scheduled
        if uid not in scheduled or scheduled.at(uid) <= now_ms:
            return False
        scheduled.put(uid, now_ms)
        space.ring(queue)
        return True

    return cast(bool, once(space, sender, number, write))


def reset_breaker(space: Namespace, sender: str, number: int, name: str, *, now_ms: int) -> bool:
    """Close a breaker in all engines. True: it is one that they share, and wasn't closed."""
    return cast(bool, once(space, sender, number, lambda: reset(space, name, now_ms)))


def _goes_on(space: Namespace, what: str) -> list[str]:
    """Who has waited for this may start. Returns the queues in which somebody may."""
    if is_name(what):
        return [queue for queue, door in space.doors() if door_name(door) == name_of(what)]
    if is_take(what):
        return sorted(space.flow.resume(take_of(what)))
    return [what] if what in space.used else []
