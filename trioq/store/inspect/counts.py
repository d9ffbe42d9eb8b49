"""How many jobs are where, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.formats.engine_info import EngineInfo
from trioq.store.inspect.in_line import in_words
from trioq.store.inspect.pauses import Pauses
from trioq.store.inspect.rooms import Room


@attrs.frozen
class QueueStats:
    """What is in one queue."""

    ready: int
    scheduled: int
    parked: int
    running: int
    suspects: int
    """Of the ready and the limited ones: those that were running when an engine died."""
    paused: bool
    served: bool
    """Whether a live engine claims from it."""
    fair: int = 0
    """Of the ready ones: those that have a fair key, and take turns."""
    limited: int = 0
    """Jobs that wait for a limit; the ready ones don't, as far as is known."""
    in_line: int = 0
    """Enqueues that wait for room in it; nothing of them is in it yet."""
    in_line_jobs: int = 0
    """Jobs of these."""
    in_line_since_ms: int | None = None
    """Since when the first of them waits, by its own clock; epoch."""

    def in_line_in_words(self, now_ms: int) -> str:
        """Who waits for room in it, and for how long; empty: nobody."""
        if not self.in_line:
            return ""
        return in_words(self.in_line, self.in_line_jobs, self.in_line_since_ms, now_ms)

    @property
    def waiting(self) -> int:
        """Jobs that don't run yet."""
        return self.ready + self.limited + self.scheduled + self.parked

    @property
    def is_unused(self) -> bool:
        """Whether nothing is in it, and nobody has to do with it."""
        in_use = self.waiting or self.running or self.in_line
        return not (in_use or self.paused or self.served)


@attrs.frozen
class EngineStats:
    """A registered engine: a boot of it."""

    id: str
    info: EngineInfo
    running: int
    """Jobs that the server holds for it."""
    abandoned: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """Handler → how many go on though their jobs are settled, where that was asked for."""
    away: int = 0
    """So many of its workers they keep, where that was asked for."""
    away_since_ms: int | None = None
    """Since when the first is kept; epoch, by the server's clock."""

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.info.name or self.id

    @property
    def group(self) -> tuple[str, int, str]:
        """By which the processes of one supervisor come together, in their order."""
        return self.info.supervisor or self.name, self.info.process, self.id

    def as_json(self) -> dict[str, Any]:
        """The shape of ``trioq engines --json``; without what it doesn't say of itself."""
        said = self.info.as_json() if self.info.is_readable else {}
        told = {"id": self.id, **said, "running": self.running}
        return told | {"abandoned": dict(self.abandoned)} if self.abandoned else told


@attrs.frozen
class Stats:
    """One moment of a namespace."""

    namespace: str
    queues: Mapping[str, QueueStats]
    """The configured ones, and all others that something is in, that are paused or served."""
    counters: Mapping[str, int]
    dead: int
    strays: int
    engines: tuple[EngineStats, ...]
    """Those of one supervisor follow each other."""
    records: int = 0
    """Jobs that have a record: each lies in one place."""
    parked: Mapping[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])
    """(queue, name) → how many wait behind that door."""
    parked_since: Mapping[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])
    """(queue, name) → when the first of them came, or the last was claimed; epoch ms."""
    unused: tuple[str, ...] = ()
    """Queues that something was enqueued to, and that are nobody's now: soon to be forgotten."""
    pauses: Pauses = attrs.field(factory=Pauses)

    @property
    def running(self) -> int:
        """Jobs that engines have claimed and not settled."""
        return sum(engine.running for engine in self.engines)

    @property
    def placed(self) -> int:
        """Jobs that lie somewhere; as many as there are records."""
        waiting = sum(queue.waiting for queue in self.queues.values())
        return waiting + self.running + self.dead

    @property
    def names(self) -> frozenset[str]:
        """The handlers that live engines know."""
        return frozenset(name for engine in self.engines for name in engine.info.names)

    def as_json(self) -> dict[str, Any]:
        """The shape of ``trioq stats --json``."""
        return {
            "namespace": self.namespace,
            "queues": {name: attrs.asdict(queue) for name, queue in self.queues.items()},
            "running": self.running,
            "done": self.counters.get("done", 0),
            "dead": self.dead,
            "cancelled": self.counters.get("cancelled", 0),
            "enqueued": self.counters.get("enqueued", 0),
            "retried": self.counters.get("retried", 0),
            "reaped": self.counters.get("reaped", 0),
            "strays": self.strays,
            "pauses": self.pauses.as_json(),
            "engines": [engine.as_json() for engine in self.engines],
        }


@attrs.frozen
class Outstanding:
    """What a drain waits for, in one queue."""

    ready: int
    due: int
    """Scheduled, and due within the horizon."""
    later: int
    parked: Mapping[str, int]
    paused: bool
    paused_names: frozenset[str] = frozenset()
    """Of those that are parked, the names that nobody is to run."""
    paused_takes: frozenset[str] = frozenset()
    """What jobs take of limits with which nobody starts."""
    limited: int = 0
    """Jobs that wait for limits; the ready ones don't, as far as is known."""
    rooms: tuple[Room, ...] = ()
    """Where they wait, as far as was looked."""
    now_ms: int = 0
    """By the server's clock, epoch."""
    horizon_ms: int = 0
    """Likewise: what comes later isn't waited for."""
