"""What is asked of a namespace and what it answers, as values.

The store's scripts and the model of them (:mod:`trioq.core.model`) take and give the
same ones; :mod:`trioq.store.protocol` says which call takes which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import attrs

from trioq.core.fair import FairKey
from trioq.core.formats.note import NOTE_MAX
from trioq.core.job import Uid
from trioq.core.settlements import Settlement
from trioq.core.values import value
from trioq.errors import QueueFull, TrioqBug

#: Settlements, claims and jobs in one call: Lua's unpack ends at 8,000 values, and some calls need
#: several for each job.
BATCH_MAX = 1000

#: Jobs that one engine holds, which one call gives back: a batch to run while another is settled
#: and claimed.
HOLD_MAX = 2 * BATCH_MAX

#: Jobs that one request waits for, and bytes of ends in its answer, with one more.
WAIT_MAX = 200
WAIT_BYTES = 1 << 20
#: Jobs that one write cancels.
CANCEL_MAX = 200

#: So many breakers go in one request.
BREAKERS_MAX = 200

#: So many notes go in one request.
NOTES_MAX = 200

BootId = str
"""Names one registration of an engine: ``<its name>.<128 random bits>``."""


@value
class Admit:
    """A parked list to claim from, and how many at most."""

    queue: str
    name: str
    """Of its door: the jobs' name, or more (:mod:`trioq.core.formats.door`)."""
    limit: int


@value
class Step:
    """One batch: settle these, claim those. Re-sent byte for byte until answered."""

    boot: BootId
    number: int
    """One more than that of its last."""
    want: int
    queues: tuple[str, ...]
    """In the order in which to claim from them."""
    suspect: bool = True
    """Whether one of the claims may be a suspect: an engine holds at most one."""
    admits: tuple[Admit, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    parked_version: int = -1
    """The version of the parked index that the engine knows."""
    asked: int = 0
    """How many asks its boot knows to have been sent."""


@value
class Claim:
    """A job that this engine may run."""

    uid: Uid
    stored: bytes
    attempts: int
    """Failed attempts before this one."""
    suspect: bool
    takes: tuple[str, ...] = ()
    """What it took of limits."""


WaitedFor = Literal["limited", "fair"]
"""What a claimed job had waited for, beside others: a limit that had refused it, or the turn of its
fair key."""


@value
class Ask:
    """Somebody wants a claim to end: its job shall be cancelled."""

    uid: Uid
    step: int
    summary: bytes
    """Who, when and why: what is kept of the job if it ends so."""


@value
class StepReply:
    """What the server did."""

    word: Literal["ok", "again"]
    refused: frozenset[Uid]
    """Settlements whose claim the engine no longer held; they changed nothing."""
    claims: tuple[Claim, ...]
    held: int
    """How many jobs the server now holds for the engine."""
    left: int
    """Ready jobs that this step could have claimed had it wanted more."""
    next_due_ms: float | None
    """How long until the next scheduled job is due; None: nothing is scheduled."""
    parked_version: int
    parked: tuple[tuple[str, str], ...] | None
    """All (queue, name) with parked jobs, if the engine's version was old."""
    cancelled: frozenset[Uid] = frozenset()
    """Settlements that would have put their job back; it was cancelled, as somebody had asked."""
    asked: int | None = None
    """How many asks the boot was ever sent; None: as many as the step said."""
    asks: tuple[Ask, ...] = ()
    """Those that the boot doesn't know, and whose claims it still holds."""
    notes: Mapping[Uid, bytes] = attrs.field(factory=dict[Uid, bytes])
    """Of the claims, what was last noted of those that have been run before."""
    paused: tuple[str, ...] = ()
    """The names that nobody is to run now; told with :attr:`parked`."""
    waits: Mapping[Uid, WaitedFor] = attrs.field(factory=dict[Uid, WaitedFor])
    """Of the claims, what some had waited for; told once, not of a step that is executed again."""
    behind: Mapping[Uid, str] = attrs.field(factory=dict[Uid, str])
    """Of the claims, what the doors are called behind which some were parked; told once, too."""

    def after(self, age_s: float) -> StepReply:
        """It, as it is so long after it was given: what is due is due the sooner."""
        if self.next_due_ms is None:
            return self
        return attrs.evolve(self, next_due_ms=max(0.0, self.next_due_ms - age_s * 1000))


@value
class Gone:
    """The server doesn't know this boot, or not this far: throw the boot away."""

    word: Literal["gone", "old"] = "gone"


@value
class Beat:
    """The engine is registered."""

    held: int
    parked_version: int
    asked: int = 0
    """How many asks the boot was ever sent."""


@value
class Reaped:
    """What a reap did: ``alive`` and ``gone`` changed nothing."""

    word: Literal["reaped", "alive", "gone"]
    moved: int = 0
    dead: tuple[Uid, ...] = ()
    cancelled: tuple[Uid, ...] = ()
    """What somebody had asked to end."""


@value
class IdKeep:
    """For how long a job's caller's id is remembered, where the job says so itself."""

    after_end_ms: int | None = None
    """After its end; None: as long as that of any other."""
    cooldown_ms: int = 0
    """Not for less than this from the last enqueue with it."""
    max_wait_ms: int = 0
    """So long after the first enqueue it is due, however often it is replaced; 0: no matter."""


@value
class NewJob:
    """One job of an enqueue, encoded."""

    uid: Uid
    queue: str
    stored: bytes
    big: bytes = b""
    delay_ms: int = 0
    id: str | None = None
    seen: tuple[str, str] | None = None
    """A file's path and its mark (:mod:`trioq.core.seen`). A path that is already remembered with
    this mark isn't enqueued again."""
    name: str = ""
    """The handler's, for whoever made it."""
    takes: tuple[str, ...] = ()
    """What it takes of limits while it runs (:mod:`trioq.core.limits`)."""
    fair: FairKey | None = None
    """Whose turn it is when it is this job's; None: it has no key."""
    keep: IdKeep | None = None
    """Of its caller's id; None: as that of any other."""
    at_ms: int = 0
    """Due then, epoch, and not after ``delay_ms``; 0: it names no time."""
    wants_result: bool | None = None
    """Whether whoever made it asked for one; None: its handler decides."""

    def due_ms(self, now_ms: int) -> int:
        """When it is due that is enqueued now."""
        return self.at_ms or now_ms + self.delay_ms


@value
class Replacing:
    """What a job that waits becomes: one with the same caller's id, name and queue."""

    job: NewJob
    """With the uid of the job that it replaces, in its record too."""
    supersedes: bool = False
    """Whether to be told which run it waits for."""


@value
class Replaced:
    """What became of that. All but ``replaced`` have changed nothing."""

    word: Literal[
        "replaced",
        "moved",  # the id is another's by now, or free
        "running",
        "dead",
        "differs",  # it waits for a turn among fair keys, and that would be another's
    ]
    boot: BootId = ""
    """Who runs it."""
    step: int = 0
    """By the claim of which of its steps."""
    after: Uid | None = None
    """Where that was asked, which run of the id has to end before what was replaced may start."""


#: Dead jobs are revived as they were.
NOT_EDITED: Mapping[Uid, NewJob] = MappingProxyType({})


@value
class Revived:
    """What became of a revive. Who isn't dead stays where it is."""

    count: int
    refused: tuple[Uid, ...] = ()
    """Dead ones whose id another job has that lives: that would run beside them."""


@value
class Taking:
    """From whom an enqueue takes the caller's id, as it was seen."""

    uid: Uid
    how: Literal[
        "dead",  # from a dead job, which lies there without it
        "again",  # from one that runs: the new one waits for its end, and it waits no more itself
        "supersede",  # the same, and it shall end
    ]
    boot: BootId = ""
    """Who runs it."""
    step: int = 0
    """By the claim of which of its steps."""
    keep_ms: int = 0
    """For how long those who ask are told of its cancellation; 0: as long as any other's."""
    summary: bytes = b""
    """What is kept of it if it is cancelled: who, when and why."""


#: Who waits for room in a queue and hasn't asked again for so long holds nobody up any more.
LINE_MS = 3000


@value
class Enqueuer:
    """Who would wait for room in a queue."""

    client: str
    """The name by which the server tells it that there may be room."""
    nth: int = 0
    """Its place in line, as it was told; 0: it has none yet."""


class MustWait(QueueFull):
    """There is no room yet, and whoever enqueues is in line for it. Nothing is queued.

    Args:
      nth: Its place, to come again with.
    """

    def __init__(self, queue: str, length: int, max_length: int, nth: int) -> None:
        super().__init__(queue, length, max_length)
        self.nth = nth
        self.args = (queue, length, max_length, nth)


WhenFull = Literal["reject", "wait", "drop_oldest"]
"""What happens to jobs for which their queue has no room."""


@value
class Rate:
    """A shared limit on what producers may enqueue."""

    name: str
    interval_us: int
    burst: int

    @property
    def per_s(self) -> float:
        """Permits per second."""
        return 1e6 / self.interval_us


@value
class Existing:
    """The caller's id is taken; nothing was changed."""

    uid: Uid
    state: Literal["live", "dead", "done", "cancelled"]
    """``live`` is scheduled, ready or running."""


@value
class Enqueued:
    """What became of an enqueue."""

    taken: int
    """How many of the jobs, from the first, were looked at; the limiter left the rest."""
    existing: Mapping[int, Existing]
    """Position → the job that has the caller's id."""
    seen: frozenset[int]
    """Positions of files that had been enqueued before."""
    wait_us: int = 0
    """How long until the limiter admits one more."""
    moved: bool = False
    """Whom it was to take the id from isn't as it was seen; nothing was written."""


EndState = Literal["done", "dead", "cancelled"]
"""How a job's life ended."""

EndWord = Literal[
    "live",  # it hasn't: whoever asked will be told
    "done",
    "dead",
    "cancelled",
    "too_large",  # done, and its result has more bytes than were allowed
    "unfit",  # done, and its result can't be kept as JSON
    "expired",  # it has ended, and that was remembered for as long as was wanted
    "unknown",  # there is no such job, or it has ended and nothing was to be remembered
    "later",  # not told yet: ask again
    "room",  # it was to be enqueued, and there may be room for it now
]


@value
class End:
    """What is known of a job's end."""

    state: EndWord
    value: bytes = b""
    """``done``: the result, or nothing where none is kept. ``cancelled``: its summary, where that
    is known. ``too_large``, ``unfit``: in what way."""


@value
class Ended:
    """Who waits is told of a job's end."""

    uid: Uid
    end: End


@value
class Unwanted:
    """A job that somebody doesn't want any more."""

    uid: Uid
    queue: str
    name: str
    summary: bytes = b""
    """Who, when and why: what ``done`` keeps of it."""
    keep_ms: int = 0
    """For how long those who ask are told so; 0: as long as any other's end."""


CancelWord = Literal["cancelled", "asked", "dead", "unknown"]
"""``asked``: it runs, and its engine is told; whatever happens to it there, it never runs again."""


@value
class Note:
    """What a handler says of how far it is."""

    uid: Uid
    step: int
    """The claim's."""
    text: bytes
    """JSON."""


@value
class Pausing:
    """How something is paused."""

    said: bytes = b""
    """Who, and why (:mod:`trioq.core.formats.pause`)."""
    for_ms: int = 0
    """How long; 0: until somebody has it go on."""


PLAINLY = Pausing()


@value
class BreakerNews:
    """What an engine says of a breaker that all engines of the namespace share.

    Its counts only grow, and are compared with what it had said before: whatever is executed
    twice, or late, says nothing new.
    """

    name: str
    failure_threshold: float = 1.0
    window_ms: int = 1
    cooldown_ms: int = 0
    min_samples: int = 1
    turn: int = 0
    """Since which of the breaker's changes the counts are."""
    good: int = 0
    """Runs of this boot that went well."""
    bad: int = 0
    ignored: int = 0
    """Probes that say nothing."""
    want: int = 0
    """How many probes it would have been granted in all."""


@value
class BreakerSeen:
    """A breaker that all engines of the namespace share, as it is now."""

    state: Literal["closed", "open", "half_open"] = "closed"
    turn: int = 0
    """How often it has changed."""
    for_ms: int = 0
    """Since its last change."""
    left_ms: int = 0
    """Until an open one lets a probe run."""
    granted: int = 0
    """How many probes it has granted to the boot that asks, since its last change."""
    resets: int = 0
    """How often somebody has closed it by hand."""


def check_notes(notes: Sequence[Note]) -> None:
    """Refuse more, or longer ones, than are kept.

    Raises:
      TrioqBug: Nothing was sent.
    """
    check_batch(len(notes), NOTES_MAX)
    if (longest := max((len(note.text) for note in notes), default=0)) > NOTE_MAX:
        raise TrioqBug(f"a note of {longest:,} bytes, {NOTE_MAX:,} at most")


def check_taking(taking: Taking | None, jobs: Sequence[NewJob], rate: Rate | None) -> None:
    """Refuse to take an id for more than one job, for one without, or at a rate.

    Raises:
      TrioqBug: Nothing was sent.
    """
    if taking is not None and (len(jobs) != 1 or jobs[0].id is None or rate is not None):
        raise TrioqBug("an id is taken for one job that has it, at no rate")


def check_batch(count: int, most: int = BATCH_MAX) -> None:
    """Refuse more jobs than a script could carry out whole.

    Raises:
      TrioqBug: More than a batch; nothing was sent.
    """
    if count > most:
        raise TrioqBug(f"{count} jobs in one call, {most} at most")
