"""What a namespace holds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from trioq.core.calls import BootId, End, EndState, Unwanted, WhenFull
from trioq.core.fair import FairKey
from trioq.core.formats.history import encode_omitted
from trioq.core.job import Uid
from trioq.core.model.agenda import Agenda
from trioq.core.model.limits import Limits
from trioq.core.model.turns import Keyed, Turns
from trioq.core.outcome import DeadReason

#: Of a long history, so many lines are kept from its beginning and from its end.
FIRST_LINES = 5
LAST_LINES = 20


@attrs.define
class Life:
    """A job that has been enqueued and isn't over."""

    stored: bytes
    big: bytes
    id: str | None
    attempts: int = 0
    """Failed ones, since it was enqueued or revived."""
    reaps: int = 0
    """How many engines died of it, since then."""
    errors: list[bytes] = attrs.field(factory=list[bytes])
    """A line for each failed attempt, all there ever were."""
    reason: DeadReason | None = None
    """Why it is dead; None: it isn't."""
    note: bytes = b""
    """What its handler last said of how far it is."""
    takes: tuple[str, ...] = ()
    """What it takes of limits while it runs."""
    fair: FairKey | None = None
    """Whose turn it is when it is this job's."""
    tag: int | None = None
    """When that is, in its queue's virtual time; None: it was never ready yet."""

    def fail(self, line: bytes) -> None:
        """Remember what went wrong; an empty line tells nothing."""
        if line:
            self.errors.append(line)

    @property
    def history(self) -> bytes:
        """What is kept of the errors: the first, the last, and how many are left out."""
        omitted = len(self.errors) - FIRST_LINES - LAST_LINES
        lines = self.errors
        if omitted > 0:
            lines = [*lines[:FIRST_LINES], encode_omitted(omitted), *lines[-LAST_LINES:]]
        return b"\n".join(lines)


@attrs.define
class Door:
    """Jobs of one name that wait until somebody may run that name."""

    since_ms: int
    jobs: deque[Uid] = attrs.field(factory=deque[Uid])
    """The oldest first; cancelled ones too, until somebody passes over them."""
    noted: int = 0
    """How many of them, the oldest, have waited at least since then."""
    cancelled: set[Uid] = attrs.field(factory=set[Uid])
    """Those that lie here and are over."""

    def take(self, limit: int) -> list[Uid]:
        """Take out the oldest."""
        taken = _take(self.jobs, limit)
        self.noted = max(0, self.noted - len(taken))
        return taken

    def pass_over(self, uid: Uid) -> bool:
        """Forget one that was taken out, if it is over. False: it isn't."""
        if uid not in self.cancelled:
            return False
        self.cancelled.remove(uid)
        return True


@attrs.define
class Queue:
    """The jobs that wait in one queue."""

    ready: deque[Uid] = attrs.field(factory=deque[Uid])
    """The oldest first; cancelled ones too, until a claim passes over them."""
    keyed: Keyed = attrs.field(factory=Keyed)
    """Those that have a fair key, and take turns with those of ``ready``."""
    suspects: deque[Uid] = attrs.field(factory=deque[Uid])
    """Jobs that ran when an engine died, to be claimed first and one at a time."""
    scheduled: Agenda = attrs.field(factory=Agenda)
    parked: dict[str, Door] = attrs.field(factory=dict[str, Door])
    cancelled: set[Uid] = attrs.field(factory=set[Uid])
    """Those that lie in ``ready``, or among the keyed, and are over."""

    @property
    def n_ready(self) -> int:
        """How many lie there to be claimed, cancelled ones too."""
        return len(self.ready) + len(self.keyed)

    @property
    def in_line(self) -> int:
        """How many of the ready ones aren't over."""
        return self.n_ready - len(self.cancelled)

    @property
    def is_empty(self) -> bool:
        """Whether no job waits in it, but for its limits."""
        return not (self.in_line or self.suspects or len(self.scheduled) or self.parked)

    def take_ready(self, limit: int) -> list[Uid]:
        return _take(self.ready, limit)

    def take_suspects(self, limit: int) -> list[Uid]:
        return _take(self.suspects, limit)


def _take(jobs: deque[Uid], limit: int) -> list[Uid]:
    return [jobs.popleft() for _ in range(min(limit, len(jobs)))]


@attrs.frozen
class Pause:
    """Since when, until when, who and why."""

    since_ms: int
    until_ms: int
    """0: until somebody has it go on."""
    said: bytes

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has come, though nobody has looked yet."""
        return 0 < self.until_ms <= now_ms


@attrs.frozen
class Hold:
    """A claim: which step made it, as which of that step's claims, and from where."""

    step: int
    i: int
    queue: str
    suspect: bool


@attrs.frozen
class Asked:
    """Somebody wants a claim to end."""

    nth: int
    """As which of all that the boot was sent."""
    step: int
    """The claim's."""
    unwanted: Unwanted


@attrs.define
class Registration:
    """An engine's boot."""

    info: bytes
    last: int = 0
    """The number of its last step."""
    refused: frozenset[Uid] = frozenset()
    """What that step would have settled without holding it."""
    cancelled: frozenset[Uid] = frozenset()
    """What that step would have put back, and cancelled."""
    asked: int = 0
    """How many asks it was ever sent."""
    asks: dict[Uid, Asked] = attrs.field(factory=dict[Uid, Asked])
    beats: int = 0
    held: dict[Uid, Hold] = attrs.field(factory=dict[Uid, Hold])

    @property
    def signs(self) -> int:
        """How many signs of life there were: its beats, and its steps."""
        return self.beats + self.last

    def in_order(self) -> list[tuple[Uid, Hold]]:
        """What it holds, in the order in which it was claimed."""
        return sorted(self.held.items(), key=lambda item: (item[1].step, item[1].i))

    def ask_for(self, unwanted: Unwanted) -> None:
        """Ask for a claim's end, unless somebody has asked before."""
        if unwanted.uid not in self.asks:
            self.asked += 1
            step = self.held[unwanted.uid].step
            self.asks[unwanted.uid] = Asked(self.asked, step, unwanted)

    def answered(self, uid: Uid, hold: Hold) -> Unwanted | None:
        """A claim ends, and what was asked of it. None: nothing was."""
        asked = self.asks.pop(uid, None)
        return asked.unwanted if asked is not None and asked.step == hold.step else None


def bell_of(boot: BootId) -> str:
    """The name of an engine's own bell, among those of queues."""
    return f"@{boot}"


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
    """Queues that nobody claims from; and names, behind an ``@``, that nobody runs."""
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
    """A path → the mark with which its file was enqueued."""
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
        if life.id is not None:
            self.ids[life.id] = Ended(uid, state)
            self.forget.put(life.id, now_ms + self.id_retention_ms)

    def keep_summaries(self, summaries: Sequence[bytes]) -> None:
        """Of jobs that end together, in their order; an empty one tells nothing."""
        said = tuple(summary for summary in reversed(summaries) if summary)
        if not (said and self.keep_done):
            return
        self.stats["summaries"] += len(summaries)
        counted = self.stats["summaries"]
        self.kept.appendleft(Kept(counted, said))
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
