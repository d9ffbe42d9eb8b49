"""The calls that change a job's state, and what each promises.

Three stores keep this protocol: :class:`~trioq.store.redis.RedisStore` (one script for
each call), :class:`~trioq.store.memory.MemoryStore` (the specification, as plain
values) and whatever the tests put in between. All calls block; the engine reaches them
through :mod:`trioq.engine.bridge`.

Every call may be executed twice, and late: see ``docs/guarantees.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import attrs

from trioq.core.job import Uid
from trioq.core.outcome import DeadReason

Engine = str
"""An engine's registration: ``<name>.<boot>``, the boot being 128 random bits."""


@attrs.frozen
class Ack:
    """The job succeeded."""

    uid: Uid
    n: int
    """The step that claimed it; with the boot, that is the claim's token."""
    summary: bytes = b""
    """What ``done`` keeps of it; empty keeps nothing."""


@attrs.frozen
class RetryAt:
    """The job is scheduled again."""

    uid: Uid
    n: int
    delay_ms: int
    attempts: int
    """Failed attempts, this one included if it counts."""
    line: bytes = b""
    """For the history; empty if there is nothing to tell (a snooze)."""


@attrs.frozen
class DeadLetter:
    """The job is dead."""

    uid: Uid
    n: int
    attempts: int
    reason: DeadReason
    line: bytes


@attrs.frozen
class Release:
    """The job is given back, to the head of its queue; the attempt doesn't count."""

    uid: Uid
    n: int


@attrs.frozen
class Park:
    """The job waits behind a closed door: this engine may not run its name now."""

    uid: Uid
    n: int
    queue: str
    name: str


Settlement = Ack | RetryAt | DeadLetter | Release | Park


@attrs.frozen
class Admit:
    """A parked list to claim from, and how many at most."""

    queue: str
    name: str
    limit: int


@attrs.frozen
class Step:
    """One batch: settle these, claim those. Re-sent byte for byte until answered."""

    engine: Engine
    n: int
    want: int
    queues: tuple[str, ...]
    """In the order in which to claim from them."""
    suspect: bool = True
    """Whether one of the claims may be a suspect: an engine holds at most one."""
    admits: tuple[Admit, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    parked_version: int = -1
    """The version of the parked index that the engine knows."""


@attrs.frozen
class Claim:
    """A job that this engine may run."""

    uid: Uid
    stored: bytes
    attempts: int
    """Failed attempts before this one."""
    suspect: bool


@attrs.frozen
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
    next_due_ms: int | None
    """How long until the next scheduled job is due; None: nothing is scheduled."""
    parked_version: int
    parked: tuple[tuple[str, str], ...] | None
    """All (queue, name) with parked jobs, if the engine's version was old."""


@attrs.frozen
class Gone:
    """The server doesn't know this boot, or not this far: throw the boot away."""

    word: Literal["gone", "old"] = "gone"


@attrs.frozen
class Beat:
    """The engine is registered."""

    held: int
    parked_version: int


@attrs.frozen
class Reaped:
    """What a reap did: ``alive`` and ``gone`` changed nothing."""

    word: Literal["reaped", "alive", "gone"]
    moved: int = 0
    dead: tuple[Uid, ...] = ()


@attrs.frozen
class NewJob:
    """One job of an enqueue, encoded."""

    uid: Uid
    queue: str
    stored: bytes
    big: bytes = b""
    delay_ms: int = 0
    id: str | None = None
    seen: tuple[str, str] | None = None
    """The directory producer's mark: (path, ``size:mtime_ns``). A path that is already
    remembered with this mark isn't enqueued again."""


@attrs.frozen
class Rate:
    """A shared limit on what producers may enqueue."""

    name: str
    interval_us: int
    burst: int


@attrs.frozen
class Existing:
    """The caller's id is taken; nothing was changed."""

    uid: Uid
    state: Literal["live", "dead", "done", "cancelled"]
    """``live`` is scheduled, ready or running."""


@attrs.frozen
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


CancelWord = Literal["cancelled", "running", "dead", "unknown"]


class EngineStore(Protocol):
    """What an engine calls."""

    def register(self, engine: Engine, info: bytes) -> bool:
        """Make the engine known. False: it is known already (never re-send this)."""

    def beat(self, engine: Engine) -> Beat | Gone:
        """A sign of life. Never creates a registration."""

    def step(self, step: Step) -> StepReply | Gone:
        """Settle and claim, once, whatever happens to the request."""

    def observe(self) -> Mapping[Engine, int]:
        """All registered engines and their counted signs of life."""

    def reap(self, engine: Engine, seen: int, max_reaps: int) -> Reaped:
        """Take a dead engine's jobs away, if its counter still stands at ``seen``."""

    def sign_off(self, engine: Engine) -> None:
        """Give everything back and forget the engine. Repeating it is harmless."""

    def payload(self, uid: Uid) -> bytes | None:
        """A payload that was too big to travel with the claim; None: the job is gone."""

    def history(self, uid: Uid) -> bytes | None:
        """A line of JSON for each failed attempt of a job; None: there was none, or it is gone."""

    def wait(self, queues: Sequence[str], timeout_s: float) -> bool:
        """Block until a bell of these queues rings; False: it didn't."""

    def engines(self) -> Mapping[Engine, bytes]:
        """What each registered engine said of itself."""

    def expire_parked(self, queue: str, name: str, after_ms: int, line: bytes) -> int:
        """Dead-letter jobs parked for longer than ``after_ms``; at most a batch of them."""


class ClientStore(Protocol):
    """What producers and operators call. Writes carry the sender's number."""

    def enqueue(
        self, sender: str, n: int, jobs: Sequence[NewJob], *, rate: Rate | None = None
    ) -> Enqueued:
        """Queue these jobs, all or none of those taken.

        Raises:
          QueueFull: A queue's ``max_length`` would be passed; nothing was written.
        """

    def cancel(self, sender: str, n: int, uid: Uid, queue: str, name: str) -> CancelWord:
        """A job that isn't running shall not run."""

    def revive(self, sender: str, n: int, jobs: Sequence[tuple[Uid, str]]) -> int:
        """Dead jobs become ready in their queues, with a new set of attempts."""

    def purge_dead(self, sender: str, n: int, uids: Sequence[Uid]) -> int:
        """Forget dead jobs."""

    def purge(self, sender: str, n: int, queue: str, names: Sequence[str], limit: int) -> int:
        """Forget up to ``limit`` waiting jobs of a queue; ``names`` are its parked lists."""

    def pause(self, sender: str, n: int, queue: str, paused: bool) -> bool:
        """Stop or resume claiming from a queue. True: that was a change."""

    def seen(self, paths: Sequence[str]) -> list[str | None]:
        """The directory producer's remembered marks of these paths, in their order."""


class Store(EngineStore, ClientStore, Protocol):
    """All of it: what :mod:`~trioq.store.redis` and :mod:`~trioq.store.memory` keep."""
