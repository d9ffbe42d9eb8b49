"""What is asked of a namespace and what it answers, as values.

The store's scripts and the model of them (:mod:`trioq.core.model`) take and give the
same ones; :mod:`trioq.store.protocol` says which call takes which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from trioq.core.job import Uid
from trioq.core.settlements import Settlement
from trioq.core.values import value
from trioq.errors import TrioqBug

#: Settlements, claims and jobs in one call, and jobs that one engine holds: Lua's unpack
#: ends at 8,000 values, and some calls need several for each job.
BATCH_MAX = 1000

BootId = str
"""Names one registration of an engine: ``<its name>.<128 random bits>``."""


@value
class Admit:
    """A parked list to claim from, and how many at most."""

    queue: str
    name: str
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


@value
class Claim:
    """A job that this engine may run."""

    uid: Uid
    stored: bytes
    attempts: int
    """Failed attempts before this one."""
    suspect: bool


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


@value
class Gone:
    """The server doesn't know this boot, or not this far: throw the boot away."""

    word: Literal["gone", "old"] = "gone"


@value
class Beat:
    """The engine is registered."""

    held: int
    parked_version: int


@value
class Reaped:
    """What a reap did: ``alive`` and ``gone`` changed nothing."""

    word: Literal["reaped", "alive", "gone"]
    moved: int = 0
    dead: tuple[Uid, ...] = ()


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
    """The directory producer's mark: (path, ``size:mtime_ns``). A path that is already
    remembered with this mark isn't enqueued again."""


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


CancelWord = Literal["cancelled", "running", "dead", "unknown"]


def check_batch(count: int) -> None:
    """Refuse more jobs than a script could carry out whole.

    Raises:
      TrioqBug: More than a batch; nothing was sent.
    """
    if count > BATCH_MAX:
        raise TrioqBug(f"{count} jobs in one call, {BATCH_MAX} at most")
