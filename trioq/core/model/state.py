"""What a namespace holds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from trioq.core.calls import BootId, End, EndState, Unwanted, WhenFull
from trioq.core.job import Uid
from trioq.core.model.agenda import Agenda
from trioq.core.model.boots import Asked, Registration
from trioq.core.model.keeping import forgotten_at
from trioq.core.model.limits import Limits
from trioq.core.model.listing import Listing
from trioq.core.model.lives import Life
from trioq.core.model.queues import Pause, Queue
from trioq.core.model.schedules import Schedules
from trioq.core.model.turns import Turns
from trioq.core.outcome import DeadReason

#: An end that somebody waits for is remembered for at least so long, for who doesn't hear of it.
WAITED_MS = 60_000

#: So much of an end is told at once; who waits for more asks for it.
TOLD_BYTES = 1024

#: Bytes of names of clients that may wait for one job; others look now and then.
WAITERS_BYTES = 4096


@attrs.frozen
class Told:
    """A message to a client: a hint, which it may miss."""

    client: str
    uid: Uid
    end: End


@attrs.frozen
class Share:
    """What a boot has said of a shared breaker since that changed, and got."""

    granted: int = 0
    good: int = 0
    bad: int = 0
    ignored: int = 0

    @property
    def out(self) -> int:
        """Probes that it has and hasn't told the end of."""
        return max(0, self.granted - self.good - self.bad - self.ignored)


@attrs.define
class SharedBreaker:
    """A breaker that all engines share."""

    state: Literal["closed", "open", "half_open"] = "closed"
    turn: int = 0
    since_ms: int = 0
    until_ms: int = 0
    """When an open one lets a probe run."""
    resets: int = 0
    good: int = 0
    bad: int = 0
    """What probes have found since it turned half-open, also those of boots that are gone; of an
    open one, what has opened it."""
    shares: dict[BootId, Share] = attrs.field(factory=dict[BootId, Share])
    window: dict[int, tuple[int, int]] = attrs.field(factory=dict[int, tuple[int, int]])
    """Slot → runs and failures, while it is closed."""


@attrs.frozen
class Kept:
    """What stays of jobs that ended together."""

    by_then: int
    """How many had ever ended and left a summary, these included."""
    summaries: tuple[bytes, ...]
    """The newest first."""


@attrs.frozen
class Ended:
    """How the job with a caller's id ended."""

    uid: Uid
    state: EndState


@attrs.define
class InLine:
    """Somebody who waits for room in a queue."""

    nth: int
    """Of all who ever did."""
    queue: str
    until_ms: int
    """Until when it is waited for, epoch ms, unless it asks again."""
    tried_ms: int
    """When it last tried to enqueue; 0: it was told that there is room, and hasn't since."""
    jobs: int
    most: int
    """How many may wait in the queue, as far as it knows."""
    client: str
    """Who is told."""
    id: str = ""
    """The caller's, of its first job."""


@attrs.define
class Namespace:
    """All of it.

    Args:
      keep_done: How many summaries of finished jobs to keep, at least: those of a step stay and
          go together.
      id_retention_ms: For how long a caller's id is remembered after the end.
      max_lengths: How many jobs may wait in a queue, ready and scheduled; others have no limit.
      when_full: What happens to more; where nothing is said, they are refused.
      claim_bytes: Of records in one step; a larger one is claimed alone.
      many_queues: A step that names more queues forgets the names of those that are empty.
    """

    keep_done: int = 1000
    id_retention_ms: int = 24 * 3600 * 1000
    max_lengths: Mapping[str, int] = attrs.field(factory=dict[str, int])
    when_full: Mapping[str, WhenFull] = attrs.field(factory=dict[str, WhenFull])
    claim_bytes: int = 1 << 20
    many_queues: int = 32

    jobs: dict[Uid, Life] = attrs.field(factory=dict[Uid, Life], init=False)
    queues: dict[str, Queue] = attrs.field(factory=dict[str, Queue], init=False)
    used: set[str] = attrs.field(factory=set[str], init=False)
    """The names of queues: of each that a job waits in, and of some that are empty."""
    paused: dict[str, Pause] = attrs.field(factory=dict[str, "Pause"], init=False)
    """Queues that nobody claims from; names, behind an ``@``, that nobody runs; and takes, behind
    a ``=``, with which nobody starts."""
    bells: set[str] = attrs.field(factory=set[str], init=False)
    """The queues, and boots, whose bell has rung and that nobody has heard yet."""
    boots: dict[BootId, Registration] = attrs.field(factory=dict[BootId, Registration], init=False)
    dead: dict[Uid, int] = attrs.field(factory=dict[Uid, int], init=False)
    """When each of them died, epoch ms."""
    kept: deque[Kept] = attrs.field(factory=deque[Kept], init=False)
    """The summaries of steps, those of the newest first."""
    ids: dict[str, Uid | Ended] = attrs.field(factory=dict[str, "Uid | Ended"], init=False)
    """A caller's id → the job that has it, or how that ended."""
    forget: Agenda = attrs.field(factory=Agenda, init=False)
    """When the ids of ended jobs may be used again."""
    seen: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    """A path → the short mark with which its file was enqueued."""
    marks: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    """A path → the mark; and since when it is gone."""
    limits: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    """A limit of producers → its theoretical arrival time, epoch µs."""
    flow: Limits = attrs.field(factory=Limits, init=False)
    """What limits the starts of jobs."""
    senders: dict[str, tuple[int, Any]] = attrs.field(
        factory=dict[str, tuple[int, Any]], init=False
    )
    """A client → the number of its last write, and the answer. Never forgotten here."""
    results: dict[Uid, End] = attrs.field(factory=dict[Uid, End], init=False)
    """How jobs ended, of those of which that is kept."""
    results_due: Agenda = attrs.field(factory=Agenda, init=False)
    """When each of them may be forgotten."""
    waits: dict[Uid, list[str]] = attrs.field(factory=dict[Uid, list[str]], init=False)
    """The clients that wait for a job's end."""
    breakers: dict[str, SharedBreaker] = attrs.field(factory=dict[str, "SharedBreaker"], init=False)
    """Those that all engines share, and those that were reset."""
    told: list[Told] = attrs.field(factory=list[Told], init=False)
    """What was said to those who waited, for whoever delivers it."""
    turns: Turns = attrs.field(factory=Turns, init=False)
    line: dict[Uid, InLine] = attrs.field(factory=dict[Uid, InLine], init=False)
    """Who waits for room in queues, under the uid of the first job."""
    schedules: Schedules = attrs.field(factory=Schedules, init=False)
    listing: Listing = attrs.field(factory=Listing, init=False)
    strays: list[Uid] = attrs.field(factory=list[Uid], init=False)
    stats: Counter[str] = attrs.field(factory=Counter[str], init=False)
    parked_version: int = attrs.field(default=0, init=False)
    """Counts the doors that came and went."""

    @property
    def done(self) -> list[bytes]:
        """Summaries, the newest first."""
        return [summary for kept in self.kept for summary in kept.summaries]

    def queue(self, name: str) -> Queue:
        """A queue, which is there as soon as somebody speaks of it."""
        return self.queues.setdefault(name, Queue())

    def is_paused(self, what: str, now_ms: int) -> bool:
        """Whether nobody is to claim from this queue, or to run this ``@name``."""
        return what in self.paused and not self.paused[what].is_over(now_ms)

    def length(self, queue: str) -> int:
        """How many jobs wait in a queue: ready, refused by a limit, or scheduled."""
        its = self.queue(queue)
        return its.in_line + len(self.flow.of_queue(queue)) + len(its.scheduled)

    def in_line(self, queue: str) -> list[tuple[Uid, InLine]]:
        """Who waits for room in a queue, the first one first."""
        line = [(uid, place) for uid, place in self.line.items() if place.queue == queue]
        return sorted(line, key=lambda each: (each[1].nth, each[0]))

    def waits_in(self, queue: str) -> Queue:
        """A queue that a job comes into, and that is named from now on if it wasn't."""
        self.used.add(queue)
        return self.queue(queue)

    def make_ready(self, queue: str, uid: Uid) -> None:
        """A job may be claimed from now on, behind the others of its key."""
        self.used.add(queue)
        life = self.jobs.get(uid)
        if life is None or life.fair is None:
            self.queue(queue).ready.append(uid)
        else:
            life.tag = self.turns.tag(queue, life.fair)
            self.queue(queue).keyed.put(uid, life.tag)

    def put_back(self, queue: str, uid: Uid) -> None:
        """A job is where it was before it was claimed: first, if it has no key."""
        self.used.add(queue)
        life = self.jobs.get(uid)
        if life is None or life.fair is None:
            self.queue(queue).ready.appendleft(uid)
        else:
            self.queue(queue).keyed.put(uid, life.tag or 0)

    def give_turn_back(self, queue: str, uid: Uid) -> None:
        """A job that waited to be claimed is over."""
        life = self.jobs[uid]
        if life.fair is not None and life.tag is not None:
            self.turns.give_back(queue, life.fair, life.tag)

    def forget_turns(self) -> None:
        """Where no job has a turn, or a limit, nobody has had one too many."""
        if self.turns.are_used and not any(life.fair or life.takes for life in self.jobs.values()):
            self.turns = Turns()

    def anybody_waits_in(self, queue: str) -> bool:
        """Whether a job waits in this queue, wherever."""
        return not self.queue(queue).is_empty or any(room[0] == queue for room in self.flow.rooms)

    def ring(self, queue: str) -> None:
        """Something in this queue may be claimable."""
        self.bells.add(queue)

    def doors(self) -> list[tuple[str, str]]:
        """All (queue, name) with parked jobs."""
        return sorted((name, door) for name, queue in self.queues.items() for door in queue.parked)

    def shut(self, queue: str, name: str) -> bool:
        """Forget a door if nobody waits behind it any more. True: it was there."""
        door = self.queue(queue).parked.get(name)
        if door is None or door.jobs:
            return False
        del self.queue(queue).parked[name]
        return True

    def die(self, uid: Uid, reason: DeadReason, line: bytes, now_ms: int) -> None:
        """A job won't run again by itself."""
        life = self.jobs[uid]
        life.reason = reason
        life.fail(line)
        self.dead[uid] = now_ms
        self.stats["dead_letters"] += 1
        self._tell(uid, End("dead"))

    def end(
        self, uid: Uid, state: EndState, now_ms: int, end: End | None = None, *, keep_ms: int = 0
    ) -> None:
        """A job's life is over; its caller's id remembers how.

        Args:
          end: What is told and kept of it, if it is more than that.
          keep_ms: For how long.
        """
        life = self.jobs.pop(uid)
        end = end or End(state)
        if self._tell(uid, end):
            keep_ms = max(keep_ms, WAITED_MS)
        if keep_ms > 0:
            self.results[uid] = end
            self.results_due.put(uid, now_ms + keep_ms)
        if life.id is not None and not life.lost_id:
            until_ms = forgotten_at(life.kept, now_ms, self.id_retention_ms)
            if until_ms > now_ms:
                self.ids[life.id] = Ended(uid, state)
                self.forget.put(life.id, until_ms)
            else:
                del self.ids[life.id]

    def stops(self, asked: Asked) -> bool:
        """Whether a claim that was asked to end doesn't go back to a queue."""
        return asked.nth > 0 or not self.take_back(asked.unwanted.uid)

    def take_back(self, uid: Uid) -> bool:
        """A job that would wait again has the id back that was taken from it.

        Returns: False: a live job has that by now.
        """
        life = self.jobs[uid]
        if life.id is None or not life.lost_id:
            return True
        other = self.ids.get(life.id)
        if other in self.jobs:
            if other not in self.dead:
                return False
            self.jobs[other].lost_id = True
        life.lost_id = False
        self.ids[life.id] = uid
        self.forget.drop(life.id)
        return True

    def keep_summaries(self, summaries: Sequence[bytes]) -> None:
        """Of jobs that end together, in their order; an empty one tells nothing."""
        said = tuple(summary for summary in reversed(summaries) if summary)
        if not (said and self.keep_done):
            return
        self.stats["summaries"] += len(summaries)
        counted = self.stats["summaries"]
        self.kept.appendleft(Kept(counted, said))
        if self.keep_done >= 512 and counted % 32 >= len(summaries):
            return  # not everybody looks for what is too old, where many are kept
        while counted - self.kept[-1].by_then >= self.keep_done:
            self.kept.pop()

    def cancel(self, jobs: Sequence[Unwanted], now_ms: int) -> None:
        """Somebody didn't want these any more, and they have left wherever they were."""
        for job in jobs:
            end = End("cancelled", job.summary)
            self.end(job.uid, "cancelled", now_ms, end, keep_ms=job.keep_ms)
        self.keep_summaries([job.summary for job in jobs])
        self.stats["cancelled"] += len(jobs)

    def forget_results(self, limit: int, now_ms: int) -> None:
        """Forget how some jobs ended, the longest over first."""
        for uid in self.results_due.take(limit, now_ms):
            del self.results[uid]

    def _tell(self, uid: Uid, end: End) -> bool:
        """Tell whoever waits for this job. True: somebody does."""
        clients = self.waits.pop(uid, ())
        said = end if len(end.value) <= TOLD_BYTES else End("later")
        self.told += (Told(client, uid, said) for client in clients)
        return bool(clients)
