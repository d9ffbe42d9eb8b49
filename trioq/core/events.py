"""What an engine reports, as values.

The engine calls ``report(event)`` and knows no more: logs, metrics and traces are made
from these at the face. A listener must be quick and must not raise; it runs in the
engine's loop. The idea is that of trio's instruments.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import attrs

from trioq.core.calls import WaitedFor
from trioq.core.job import Uid
from trioq.core.outcome import DeadReason, Error
from trioq.core.schedules.tick import Outcome
from trioq.core.values import value


@value
class Event:
    """The root of all events."""


Report = Callable[[Event], None]


def name_of(kind: type[Event]) -> str:
    """What logs call it: ``job_started``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


# -- the engine's life ---------------------------------------------------------------------


@value
class EngineStarted(Event):
    """Registered, and the workers stand."""

    boot: str
    workers: int
    queues: tuple[str, ...]
    names: tuple[str, ...]


@value
class HttpServed(Event):
    """Metrics and health are served."""

    address: str
    """``host:port``."""


@value
class PageServed(Event):
    """The page is shown beside the engine."""

    url: str


@value
class PageElsewhere(Event):
    """The page isn't shown beside this engine."""

    address: str
    why: str


@value
class DrainAsked(Event):
    """Somebody has asked this engine to drain."""

    by: str
    reason: str


@value
class EngineStopping(Event):
    """No more claims; what runs may finish."""

    boot: str
    running: int
    grace_s: float


@value
class EngineStopped(Event):
    """All is settled or given back, or left to the reaper."""

    boot: str
    signed_off: bool


@value
class BootLost(Event):
    """The server doesn't know this boot any more: handlers are cancelled, a fresh one starts."""

    boot: str
    why: Literal["gone", "old", "count differs", "bug"]
    lost: int
    """Outcomes that were refused: their jobs run, or ran, elsewhere."""
    unknown: int
    """Outcomes that may or may not have been accepted."""


@value
class RedisAway(Event):
    """No answer; everything waits. Reported once, then every 30 s."""

    lane: str
    error: str
    for_s: float
    tries: int


@value
class RedisBack(Event):
    """An answer again."""

    lane: str
    after_s: float


@value
class LoopStalled(Event):
    """An event loop makes no progress: a handler blocks it. If it is the engine's own, the lease
    isn't renewed meanwhile."""

    for_s: float
    where: str
    """The handler's line, and the one in a library where it waits, if that is another."""
    loop: Literal["trio", "asyncio"] = "trio"
    """The engine's own, or that in which its handlers of asyncio run."""


@value
class AsyncioLeft(Event):
    """The engine has ended, and the loop in which its handlers of asyncio ran has not: what runs in
    there is left to itself."""

    names: tuple[str, ...]
    """The handlers that go on; none where it is something that a handler has started."""


Doing = Literal["entering", "leaving"]


@value
class LifespanSlow(Event):
    """The lifespan of an app takes long; no job is run before it is entered."""

    lifespan: str
    doing: Doing
    seconds: float


@value
class LifespanFailed(Event):
    """A lifespan failed when it was left: all jobs have ended or gone back by then."""

    told: str
    traceback: str


@value
class WaitsForItself(Event):
    """Every worker of every engine of these queues runs a job that waits for the end of another one
    in them: nothing moves, unless a wait has a timeout. Told once, by each of these engines, until
    something has moved."""

    queues: tuple[str, ...]
    engines: int
    for_s: float
    """At least."""


# -- a job's way through the engine --------------------------------------------------------


@value
class Claimed(Event):
    """One step's claims and settlements."""

    count: int
    settled: int
    took_s: float
    """From when it was last sent to its answer; 0 for one that has waited at a bell: how much of
    that was the wait, nobody can tell."""


@value
class ClaimsReturned(Event):
    """Claimed, and given back before a worker had begun with them."""

    count: int


@value
class JobStarted(Event):
    uid: Uid
    name: str
    queue: str
    attempt: int
    enqueued_ms: int
    wanted_ms: int
    """When it was enqueued, or due if that was with a delay, by the client's clock."""
    suspect: bool = False
    """Whether an engine died while it ran there."""
    worker: int | None = attrs.field(default=None, eq=False)
    """Which one runs it, where another task may tell of it."""


Start = tuple[Uid, int, bool, int, int, float, int]
"""The beginning of a run: uid, attempt, whether it is a suspect, when it was enqueued and when it
was wanted (epoch ms), when it began (epoch s), and which worker runs it."""


@value
class JobsStarted(Event):
    """Several runs of jobs of one name and queue that have begun within a moment.

    Who listens to this is told once for many; who doesn't is told of each.
    """

    name: str
    queue: str
    runs: Sequence[Start]
    are_plain: bool
    """All are first attempts, wanted when they were enqueued, and no suspects."""

    def each(self) -> Iterator[JobStarted]:
        """The same, told of each."""
        name, queue = self.name, self.queue
        for uid, attempt, suspect, enqueued_ms, wanted_ms, _, worker in self.runs:
            yield JobStarted(uid, name, queue, attempt, enqueued_ms, wanted_ms, suspect, worker)


Quick = tuple[Uid, int, bool, int, int, float, float]
"""A run that was good: uid, attempt, whether it was a suspect, when it was enqueued and
when it was wanted (epoch ms), how long it took (s), and when it ended (epoch s)."""


@value
class JobsSucceeded(Event):
    """Several runs of jobs of one name and queue that have ended within a moment.

    Who listens to this is told once for many; who doesn't is told of each.
    """

    name: str
    queue: str
    runs: Sequence[Quick]
    are_plain: bool
    """All are first attempts, wanted when they were enqueued, and no suspects."""
    have_begun: bool = False
    """Whether it was told of each when it began."""
    workers: Sequence[int] = ()
    """Which one ran each; nothing: the one that tells of it."""

    def each(self) -> Iterator[Event]:
        """The same, told of each."""
        name, queue = self.name, self.queue
        workers: Iterable[int | None] = self.workers or itertools.repeat(None)
        for run, worker in zip(self.runs, workers, strict=False):
            uid, attempt, suspect, enqueued_ms, wanted_ms, took_s, _ = run
            if not self.have_begun:
                yield JobStarted(uid, name, queue, attempt, enqueued_ms, wanted_ms, suspect)
            yield JobSucceeded(uid, name, queue, attempt, took_s, wanted_ms, worker)


@value
class JobSucceeded(Event):
    uid: Uid
    name: str
    queue: str
    attempt: int
    took_s: float
    wanted_ms: int
    worker: int | None = attrs.field(default=None, eq=False)
    """Which one ran it, where another task tells of it."""


@value
class JobWaited(Event):
    """What a job that was claimed just now, and hasn't begun, had waited for beside others."""

    uid: Uid
    what: WaitedFor


@value
class JobsWaited(Event):
    """The same of several; who doesn't listen to this is told of each."""

    waits: Mapping[Uid, WaitedFor]

    def each(self) -> Iterator[JobWaited]:
        """The same, told of each."""
        return itertools.starmap(JobWaited, self.waits.items())


#: What tells of several at once, and of what it tells when it is told of each.
OF_MANY: Mapping[type[Event], tuple[type[Event], ...]] = {
    JobsStarted: (JobStarted,),
    JobsSucceeded: (JobStarted, JobSucceeded),
    JobsWaited: (JobWaited,),
}


@value
class ResultNotKept(Event):
    """A job is done, and its result isn't kept though that was asked for."""

    uid: Uid
    name: str
    queue: str
    attempt: int
    why: Literal["too_large", "unfit"]
    detail: str
    worker: int | None = attrs.field(default=None, eq=False)
    """Which one ran it, where another task tells of it."""


@value
class ResultDropped(Event):
    """A handler has returned something, and nobody has asked that it be kept. Told once of each."""

    name: str
    queue: str


@value
class JobFailed(Event):
    """An attempt failed and there will be another."""

    uid: Uid
    name: str
    queue: str
    attempt: int
    took_s: float
    error: Error
    again_in_s: float


@value
class JobDied(Event):
    """No more attempts."""

    uid: Uid
    name: str
    queue: str
    attempt: int
    took_s: float
    wanted_ms: int
    reason: DeadReason
    error: Error


@value
class JobSnoozed(Event):
    uid: Uid
    name: str
    queue: str
    attempt: int
    again_in_s: float


@value
class JobReleased(Event):
    """Given back unfinished; the attempt doesn't count."""

    uid: Uid
    name: str
    queue: str
    attempt: int


How = Literal[
    "waiting",  # no handler had begun
    "stopped",  # its handler has ended, without a result
    "ignored",  # its handler goes on, and nobody knows for how long
]
"""How it went with a job that was claimed, and then cancelled."""

HOW: tuple[How, ...] = get_args(How)


@value
class JobCancelled(Event):
    """It ended because somebody didn't want it any more, or not so late."""

    uid: Uid
    name: str
    queue: str
    attempt: int
    reason: str
    by: str = ""
    """Who."""
    how: How = "stopped"
    took_s: float = 0.0
    """How long its handler had run."""
    error: Error | None = None
    """Of the last attempt, where there is no time for another one."""


@value
class JobIgnoredCancel(Event):
    """Its handler goes on: it was told that its job is cancelled, and hasn't ended in time."""

    uid: Uid
    name: str
    queue: str
    attempt: int
    grace_s: float
    """The time that it had."""


@value
class RunStarved(Event):
    """The engine had nothing left to start a job with. The job is given back, which is told too."""

    name: str
    queue: str
    want: str
    """What there was none of: descriptors, processes, threads or memory."""


@value
class LimitRests(Event):
    """A handler has said that its limit has had enough: no job takes of it for so long. The job is
    given back, which is told too."""

    name: str
    queue: str
    take: str
    """The limit, with the value if it has a key."""
    for_s: float


@value
class JobParked(Event):
    """This engine may not run it now."""

    uid: Uid
    name: str
    queue: str
    why: Literal["unknown name", "breaker open", "paused", "unfit payload"]


@value
class SettlementRefused(Event):
    """A late settlement: the claim wasn't ours any more, nothing was changed."""

    uid: Uid
    name: str
    queue: str
    attempt: int


# -- the services --------------------------------------------------------------------------


@value
class EngineReaped(Event):
    """A dead engine's jobs are ready again."""

    boot: str
    jobs: int
    dead: tuple[Uid, ...]
    cancelled: tuple[Uid, ...] = ()
    """What somebody had asked to end."""


@value
class ParkedExpired(Event):
    """Jobs whose name no engine has known for too long are dead."""

    queue: str
    name: str
    jobs: int


@value
class BreakerChanged(Event):
    name: str
    """A job's, or what several depend on."""
    before: str
    after: str
    jobs: tuple[str, ...]
    """The names that have it."""
    shared: bool
    """Whether all engines have it together; then each tells of the change."""


@value
class FileSkipped(Event):
    path: str
    reason: str
    detail: str


@value
class FilesEnqueued(Event):
    """Files became jobs."""

    queue: str
    count: int


@value
class ScheduleTicked(Event):
    """A schedule moved on over ticks that had come."""

    schedule: str
    outcomes: tuple[tuple[Outcome, int], ...]
    """What became of each, and how many ms after its tick."""
    uid: str = ""
    """Of the job that came with it; empty: none did."""
    left_out: int = 0
    """So many more were passed over before these, which aren't told of one by one."""

    @property
    def passed(self) -> Outcome:
        """What became of those."""
        return "paused" if self.outcomes[0][0] == "paused" else "missed"


@value
class ScheduleTaken(Event):
    """This engine lists a schedule whose name a client's, or another app's, has; that stays as it
    is."""

    schedule: str


@value
class ScheduleUnlisted(Event):
    """The newest deployment doesn't list a schedule any more: it is retired in an hour, unless one
    does again."""

    schedule: str


@value
class ScheduleRetired(Event):
    """No deployment has listed a schedule for an hour: it makes no ticks from now on."""

    schedule: str


@value
class TickRefused(Event):
    """A tick has come and its job can't be enqueued, or its schedule can't be read; this is told
    once for as long as it is so."""

    schedule: str
    why: str


@value
class LimiterWaited(Event):
    """There was no permit for the next job, so its producer waits."""

    limiter: str
    for_s: float


@value
class QueuePaused(Event):
    """Somebody has paused a queue: nothing is claimed from it."""

    queue: str
    at_first_look: bool
    """Whether this engine has never seen it otherwise."""


@value
class QueueResumed(Event):
    """A paused queue is served again."""

    queue: str


@value
class NamePaused(Event):
    """Somebody has paused the jobs of a name: nobody runs them."""

    name: str
    at_first_look: bool
    """Whether this engine has never seen it otherwise."""


@value
class NameResumed(Event):
    """The jobs of a paused name run again."""

    name: str


@value
class LimitLeftOut(Event):
    """A job runs without one of its limits: it takes of too many others, of which most are gone."""

    uid: Uid
    name: str
    queue: str
    limit: str


@value
class KeyPaused(Event):
    """Somebody has paused the jobs with one value of a limit's key: none of them starts."""

    take: str
    """The limit, with the value."""
    at_first_look: bool
    """Whether this engine has never seen it otherwise."""


@value
class KeyResumed(Event):
    """The jobs with a paused value of a limit's key start again."""

    take: str


@value
class ScanFinished(Event):
    """One look through the directory."""

    found: int
    enqueued: int
    skipped: int
    took_s: float
    again: int = 0
    """How many of those that were enqueued have the size and the time that they had when they were
    enqueued before: they were replaced or brought back, or their mode, owner or links changed."""


@value
class FilesForgotten(Event):
    """Paths whose files have been gone for ``forget_after``: what comes there is new."""

    paths: int


@value
class ForgettingPaused(Event):
    """The directory is missing, or empty, and may not be mounted: no path is forgotten meanwhile.
    Told once for each time."""

    directory: str
    why: Literal["missing", "empty"]


@value
class ScanFailed(Event):
    """The directory can't be read at all; the next interval tries again."""

    error: str


@value
class EnqueueRefused(Event):
    """A queue is full or the server is; the producer waits."""

    error: str
