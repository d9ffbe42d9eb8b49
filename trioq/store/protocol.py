"""The calls that change a job's state, and what each promises.

Three stores keep this protocol: :class:`~trioq.store.redis.RedisStore` (one script for
each call), :class:`~trioq.store.memory.MemoryStore` (the specification, as plain
values) and whatever the tests put in between. All calls block; the engine reaches them
through :mod:`trioq.engine.bridge`.

What they take and give are the values of :mod:`trioq.core.calls`. Every call may be
executed twice, and late: see ``docs/guarantees.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from trioq.core.calls import (
    NOT_EDITED,
    PLAINLY,
    Beat,
    BootId,
    BreakerNews,
    BreakerSeen,
    CancelWord,
    End,
    Ended,
    Enqueued,
    Enqueuer,
    Gone,
    NewJob,
    Note,
    Pausing,
    Rate,
    Reaped,
    Replaced,
    Replacing,
    Revived,
    Step,
    StepReply,
    Taking,
    Unwanted,
    WhenFull,
)
from trioq.core.formats import history
from trioq.core.job import Uid
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Heard, SaidList
from trioq.core.schedules.tick import Clock, Known, Tick, Ticked
from trioq.core.seen import Sighting
from trioq.store.questions import Questions

#: What the history of a job says that died of being a suspect too often.
LOST = history.died_without_run(
    "worker_lost", "the engine died while this job was its suspect, max_reaps times"
)

#: And of one that was dropped.
DROPPED = history.died_without_run(
    "dropped", "the queue was full, and this job was the oldest in it"
)


@attrs.frozen
class StoreOptions:
    """What the scripts are told each time."""

    keep_done: int = 1000
    id_retention_ms: int = 24 * 3600 * 1000
    max_lengths: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many jobs may wait in a queue, ready and scheduled; others have no limit."""
    when_full: Mapping[str, WhenFull] = attrs.field(factory=dict[str, WhenFull])
    """What happens to more; where nothing is said, they are refused."""
    claim_bytes: int = 1 << 20
    """Records in one step's claims: what is above it waits for the next step."""
    pack_max: int = 64
    """So many claims of one step lie together at most, as one element of what an engine holds."""
    many_queues: int = 32
    """A step that names more queues than these looks only where anything can be."""
    clock_ms: Callable[[], int] | None = None
    """For tests: a time of their own. None: the server's clock."""


class EngineStore(Protocol):
    """What an engine calls."""

    def register(self, boot: BootId, info: bytes) -> bool:
        """Make the engine known. False: it is known already (never re-send this)."""

    def beat(self, boot: BootId) -> Beat | Gone:
        """A sign of life. Never creates a registration."""

    def step(self, step: Step) -> StepReply | Gone:
        """Settle and claim, once, whatever happens to the request."""

    def observe(self) -> Mapping[BootId, int]:
        """All registered engines and their counted signs of life."""

    def reap(self, boot: BootId, seen: int, max_reaps: int) -> Reaped:
        """Take a dead engine's jobs away, if its counter still stands at ``seen``."""

    def sign_off(self, boot: BootId) -> None:
        """Give everything back and forget the engine. Repeating it is harmless."""

    def payload(self, uid: Uid) -> bytes | None:
        """A payload that was too big to travel with the claim; None: the job is gone.

        Raises:
          RecordUnreadable: It is larger than any payload of ours.
        """

    def payloads(self, uids: Sequence[Uid], bytes_max: int) -> Sequence[bytes | None]:
        """Several of them in one request; None: the job is gone.

        None for all: they have more than ``bytes_max`` together.
        """

    def history(self, uid: Uid) -> bytes | None:
        """A line of JSON for each failed attempt of a job; None: there was none, or it is gone."""

    def wait(self, queues: Sequence[str], timeout_s: float, boot: BootId | None = None) -> bool:
        """Block until a bell of these queues, or that boot's own, rings; False: it didn't.

        Args:
          timeout_s: 0: only look whether one does.
        """

    def step_at_bell(self, step: Step, timeout_s: float) -> StepReply | Gone:
        """Block until a bell rings, or for this time; then make the step.

        Waited for are the boot's own bell and, if the step wants anything, those of its queues.

        The server goes from one to the other by itself. Nobody has to be there for that: the
        step is on its way from the beginning, and may be executed late like any other.
        """

    def unblock(self, client: int) -> bool:
        """End what another connection of ours waits for; False: it isn't waiting."""

    def engines(self) -> Mapping[BootId, bytes]:
        """What each registered engine said of itself."""

    def expire_parked(self, queue: str, name: str, after_ms: int, line: bytes) -> int:
        """Dead-letter jobs parked for longer than ``after_ms``; at most a batch of them."""

    def note(self, boot: BootId, notes: Sequence[Note]) -> frozenset[Uid]:
        """Keep what handlers say of how far they are; whose claim is another by now is refused.

        Args:
          notes: At most ``NOTES_MAX``.
        """

    def breakers(self, boot: BootId, news: Sequence[BreakerNews]) -> list[BreakerSeen]:
        """Say what runs have found of breakers that all engines share, and ask for probes; how
        each is then. Of a boot that isn't registered nothing is heard.

        Args:
          news: At most ``BREAKERS_MAX``.
        """

    def declare_limits(self, boot: BootId, limits: Mapping[str, LimitSettings]) -> bool:
        """Say what a boot's configuration has of limits: before its first claim, and now and then.
        Of what boots say of one limit the newest holds, as long as one that lives says it; who runs
        runs on. What somebody has set by hand ends when something else holds. Repeating it is
        harmless.

        Returns: Whether the boot is registered; else nothing was heard.
        """

    def list_schedules(self, boot: BootId, said: SaidList) -> Heard:
        """Say which schedules a boot's configuration and its app list: first, and now and then.

        Of what boots of one app say the newest list holds, as long as a boot lives that says it.
        What it lists is put where it differs; what it doesn't list any more makes no ticks after an
        hour. What a client or another app has put stays as it is. Repeating it is harmless.
        """

    def set_limits(self, settings: Mapping[str, LimitSettings], version: int) -> frozenset[str]:
        """What limits admit until the next deployment, by their names; and takes, for one value of
        a limit's key. Of each the newest version holds, and of a value none that is older than its
        limit's; who runs runs on. Repeating it is harmless.

        Returns: Those of which newer settings are known, and stay.
        """

    def forget_queues(self, queues: Sequence[str]) -> None:
        """Forget the names of those of these queues that are empty and not paused."""


class ClientStore(Questions, Protocol):
    """What clients, producers and operators call. Writes carry the sender's number."""

    def end_by(self, until: float) -> None:
        """Calls that begin from now on have ended by then, by the monotonic clock; infinite: by no
        time. Only where calls have an end at all."""

    def enqueue(
        self,
        sender: str,
        number: int,
        jobs: Sequence[NewJob],
        *,
        rate: Rate | None = None,
        who: Enqueuer | None = None,
        taking: Taking | None = None,
    ) -> Enqueued:
        """Queue these jobs, all or none of those taken.

        Args:
          who: Where a queue is full in which one waits for room, it is in line from now on, under
            the uid of the first job. It hears ``room`` (:meth:`wait_for`), or asks for itself
            more often than every ``LINE_MS``, and then enqueues again, with its place.
          taking: From whom the one job takes its caller's id, if that is as it was seen
            (``Enqueued.moved``): both or neither. From one that runs, it waits for its end; and
            whatever would put that back to a queue cancels it, as its next run is this one.

        Raises:
          QueueFull: A queue's ``max_length`` would be passed; nothing was written.
          MustWait: Likewise, and ``who`` is in line.
        """

    def start_enqueue(
        self, sender: str, number: int, jobs: Sequence[NewJob], who: Enqueuer | None = None
    ) -> Callable[[], Enqueued]:
        """Begin to enqueue these; what is returned waits for the answer."""

    def replace(self, sender: str, number: int, replacing: Replacing) -> Replaced:
        """A job that waits, and has its caller's id, gets another payload; and, as long as it is
        scheduled, another time. Its uid, its attempts and its place in line stay."""

    def tick(self, sender: str, number: int, tick: Tick, job: NewJob | None) -> Ticked:
        """A schedule moves on from the tick that was seen, and its job is enqueued: both, or
        neither. Of all who try, the first one does; the others find that it has moved.

        Raises:
          QueueFull: There is no room for the job; the schedule stays where it is.
        """

    def next_ticks(self, limit: int) -> Clock:
        """Which schedules come next, ``limit`` at most."""

    def schedules(self, names: Sequence[str]) -> list[Known]:
        """What is known of these."""

    def put_schedule(
        self, sender: str, number: int, name: str, row: bytes, next_ms: int | None
    ) -> bool | None:
        """From now on a schedule is as this says; a tick that has come stays. False: no change;
        None: a deployment lists it, so nothing changed.

        Args:
          row: What it says of itself, for engines; empty: there is no such schedule any more.
          next_ms: Its next tick, epoch; None: there is none.
        """

    def step_aside(self, queue: str, uids: Sequence[Uid]) -> None:
        """These wait for room in this queue no longer. Repeating it is harmless."""

    def cancel(self, sender: str, number: int, jobs: Sequence[Unwanted]) -> list[CancelWord]:
        """Jobs that wait shall not run, and those that run shall end: what became of each.

        Args:
          jobs: At most ``CANCEL_MAX``.
        """

    def notes_of(self, uids: Sequence[Uid]) -> list[bytes | None]:
        """What the handlers of these jobs last said of how far they are; None: nothing."""

    def wait_for(self, client: str, jobs: Sequence[tuple[Uid, str | None]]) -> list[End]:
        """How these jobs ended, each with its caller's id if it has one; of who hasn't ended
        yet the client will be told (:class:`~trioq.store.listening.Listening`).

        Repeating it is harmless, and how to find out what one wasn't told. Who waits for room
        in a queue asks under the uid of the first job, and stays in line by that; it is told
        ``room`` when it is to try again, and ``unknown`` if nobody waits for it.
        """

    def history(self, uid: Uid) -> bytes | None:
        """See :meth:`EngineStore.history`."""

    def revive(
        self,
        sender: str,
        number: int,
        jobs: Sequence[tuple[Uid, str]],
        edited: Mapping[Uid, NewJob] = NOT_EDITED,
    ) -> Revived:
        """Dead jobs become ready in their queues, with a new set of attempts; not those whose id
        a live job has.

        Args:
          edited: Of some of them, what they become: the same, but for their payloads.
        """

    def purge_dead(self, sender: str, number: int, uids: Sequence[Uid]) -> int:
        """Forget dead jobs."""

    def purge(self, sender: str, number: int, queue: str, names: Sequence[str], limit: int) -> int:
        """Forget up to ``limit`` waiting jobs of a queue; ``names`` are its parked lists."""

    def pause(
        self, sender: str, number: int, what: str, paused: bool, how: Pausing = PLAINLY
    ) -> bool:
        """Stop or resume claiming from a queue, or running the jobs of a name, or those that take
        something of a limit.

        Args:
          what: A queue's name; an ``@`` and that of jobs; or a ``=`` and a take.

        Returns:
          True: that was a change.
        """

    def hasten(self, sender: str, number: int, queue: str, uid: Uid) -> bool:
        """A job that isn't due yet is due now. False: it doesn't wait for a later time in this
        queue."""

    def reset_breaker(self, sender: str, number: int, name: str) -> bool:
        """Close a breaker in all engines. True: it is one that they share, and wasn't closed."""

    def seen(self, paths: Sequence[str]) -> list[str | None]:
        """What the directory producers remember of these paths, in their order
        (:mod:`trioq.core.seen`)."""

    def seen_from(self, cursor: str, count: int) -> tuple[str, dict[str, str]]:
        """Paths that are remembered with all that is: ``count`` or a few more or less, where a
        round of calls has got to.

        Args:
          cursor: What the call before said; empty: a new round.

        Returns:
          Where to go on, empty at the end, and the paths. One that is there for the whole round
          is told at least once.
        """

    def note_files(self, sightings: Sequence[Sighting], forget_after_ms: int) -> int:
        """How files are that are remembered. One that has been gone for ``forget_after_ms``, by
        the server's clock, is forgotten. Harmless to repeat.

        Returns:
          How many of those that are gone are forgotten, by now or before.
        """


class Hearing(Protocol):
    """Hears of the ends of jobs that a client waits for: :class:`~trioq.store.listening.Listening`.

    What it tells is a hint: who waits asks for itself after each ``open``, and now and then.
    """

    @property
    def is_open(self) -> bool:
        """Whether somebody listens, as far as is known."""

    def open(self) -> None:
        """Listen from now on.

        Raises:
          StoreUnreachable, StoreBusy, StoreRefused: Nobody listens.
        """

    def next(self, timeout_s: float) -> list[Ended]:
        """Block for the next ends that are told; empty: none was, in this time.

        Raises:
          StoreUnreachable: What was told since is lost: open again.
        """


class Way(Protocol):
    """How clients reach a namespace: :class:`~trioq.store.connector.Connector`."""

    def open(self) -> None:
        """Do now what whoever connects first would do."""

    def store(self, purpose: str, *, call_s: float = ...) -> ClientStore:
        """The store, for one purpose: one uses it at a time.

        Args:
          call_s: How long a call may take in all.
        """

    def listening(self, client: str, *, call_s: float = ...) -> Hearing:
        """Hears what a client of this name is told.

        Args:
          call_s: How long it may take to begin.
        """

    @property
    def is_closed(self) -> bool:
        """Whether it leads nowhere any more."""

    def close(self) -> None:
        """For good."""


class Store(EngineStore, ClientStore, Protocol):
    """All of it: what :mod:`~trioq.store.redis` and :mod:`~trioq.store.memory` keep."""
