"""How many jobs are where, all counted at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import attrs

from trioq.core.formats import engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.errors import StoreBusy
from trioq.store import kept
from trioq.store.inspect import rooms, turns
from trioq.store.inspect.in_line import InLine, in_line, in_words
from trioq.store.inspect.pauses import Pauses
from trioq.store.inspect.pauses import questions as paused_questions
from trioq.store.inspect.rooms import Room
from trioq.store.redis import RedisStore

#: Which queues, engines and parked lists there are changes seldom; so often in a row, never.
TRIES = 20


@attrs.frozen
class QueueStats:
    """What is in one queue."""

    ready: int
    scheduled: int
    parked: int
    running: int
    suspects: int
    """Of the ready ones: those that were running when an engine died."""
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


def stats(store: RedisStore, queues: Sequence[str] = ()) -> Stats:
    """Count everything.

    Args:
      queues: The configured ones, which are shown even if nothing was ever in them.

    Raises:
      StoreBusy: Queues or engines came and went each time it was tried.
    """
    moment = _moment(store, queues)
    line = in_line(store) if moment.in_line else {}
    return moment.stats(store.keys.namespace, frozenset(queues), line)


def outstanding(
    store: RedisStore, queues: Sequence[str], horizon_ms: int
) -> tuple[dict[str, Outstanding], int, frozenset[str]]:
    """What is left to do in these queues, how much runs, and which names engines know.

    Counted at one moment: a job that is promoted or claimed meanwhile isn't overlooked.
    """
    seconds, micros = store.lane.call("TIME")
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    horizon = now_ms + horizon_ms
    moment = _moment(store, queues, horizon, rooms.places(store, frozenset(queues)))
    return (
        {queue: moment.outstanding(queue, now_ms, horizon) for queue in queues},
        sum(sum(held.values()) for held in moment.running.values()),
        frozenset(name for info in moment.engines.values() for name in info.names),
    )


@attrs.frozen
class _Index:
    """What there is to be counted."""

    queues: frozenset[str]
    engines: frozenset[str]
    doors: frozenset[str]

    #: How it is asked for.
    QUESTIONS = (("SMEMBERS", "queues"), ("HKEYS", "engines"), ("HKEYS", "parked"))

    @classmethod
    def read(cls, answers: Iterator[Any]) -> Self:
        return cls(*(frozenset(kept.texts(next(answers))) for _ in cls.QUESTIONS))

    def covers(self, other: _Index) -> bool:
        return (
            other.queues <= self.queues
            and other.engines <= self.engines
            and other.doors <= self.doors
        )


@attrs.frozen
class _Lengths:
    plain: int
    keyed: int
    suspects: int
    dropped: int
    scheduled: int
    due: int
    limited: int

    @property
    def claimable(self) -> int:
        return self.plain + self.keyed + self.suspects - self.dropped


@attrs.frozen
class _Moment:
    """All that is counted."""

    counters: Mapping[str, int]
    dead: int
    strays: int
    records: int
    pauses: Pauses
    engines: Mapping[str, EngineInfo]
    lengths: Mapping[str, _Lengths]
    parked: Mapping[tuple[str, str], int]
    """(queue, name) → how many."""
    parked_since: Mapping[tuple[str, str], int]
    running: Mapping[str, Counter[str]]
    """Engine → queue → how many."""
    in_line: int
    """Enqueues that wait for room anywhere."""
    rooms: tuple[Room, ...] = ()
    """Those that were asked for."""

    def stats(
        self, namespace: str, configured: frozenset[str], line: Mapping[str, InLine]
    ) -> Stats:
        served = {queue for info in self.engines.values() for queue in info.queues}
        parked: Counter[str] = Counter()
        for (queue, _), count in self.parked.items():
            parked[queue] += count
        running: Counter[str] = Counter()
        for held in self.running.values():
            running += held
        queues = {
            name: QueueStats(
                ready=lengths.claimable,
                scheduled=lengths.scheduled,
                parked=parked[name],
                running=running[name],
                suspects=lengths.suspects,
                paused=name in self.pauses.queues,
                served=name in served,
                fair=max(0, min(lengths.keyed, lengths.claimable)),
                limited=lengths.limited,
            )
            for name, lengths in self.lengths.items()
        }
        for name in queues.keys() & line.keys():
            who = line[name]
            queues[name] = attrs.evolve(
                queues[name],
                in_line=who.enqueues,
                in_line_jobs=who.jobs,
                in_line_since_ms=who.since_ms,
            )
        engines = sorted(
            (EngineStats(id, info, self.running[id].total()) for id, info in self.engines.items()),
            key=lambda engine: engine.group,
        )
        shown = {name: q for name, q in queues.items() if name in configured or not q.is_unused}
        return Stats(
            namespace, shown, self.counters, self.dead, self.strays, tuple(engines), self.records,
            {door: count for door, count in self.parked.items() if count}, self.parked_since,
            tuple(name for name in queues if name not in shown), self.pauses,
        )  # fmt: skip

    def outstanding(self, queue: str, now_ms: int, horizon_ms: int) -> Outstanding:
        lengths, parked = self.lengths[queue], self._parked(queue)
        return Outstanding(
            lengths.claimable,
            lengths.due,
            lengths.scheduled - lengths.due,
            parked,
            queue in self.pauses.queues,
            frozenset(name for name in parked if name in self.pauses.names),
            frozenset(self.pauses.takes),
            lengths.limited,
            tuple(room for room in self.rooms if room.queue == queue and room.jobs),
            now_ms,
            horizon_ms,
        )

    def _parked(self, queue: str) -> dict[str, int]:
        return {name: n for (behind, name), n in self.parked.items() if behind == queue}


def _moment(
    store: RedisStore,
    queues: Sequence[str],
    horizon_ms: int = 0,
    places: Sequence[tuple[str, str]] = (),
) -> _Moment:
    """Count in one transaction, which also asks whether nothing was left out.

    Args:
      horizon_ms: Until when a scheduled job counts as due, in epoch milliseconds.
      places: Queue and take of the rooms that are to be counted apart.
    """
    asked = _Index(frozenset(queues), frozenset(), frozenset())
    for _ in range(TRIES):
        names = [*dict.fromkeys(queues), *sorted(asked.queues - set(queues))]
        engines, doors = sorted(asked.engines), sorted(asked.doors)
        questions = _questions(store, names, engines, doors, horizon_ms)
        questions += rooms.questions(store.keys, places)
        answers = iter(store.lane.transaction(questions))
        there = _Index.read(answers)
        if asked.covers(there):
            found = _read(answers, names, engines, doors)
            return attrs.evolve(found, rooms=rooms.read(answers, places))
        asked = attrs.evolve(there, queues=there.queues | set(queues))
    raise StoreBusy("queues and engines come and go faster than they can be counted")


def _questions(
    store: RedisStore, names: list[str], engines: list[str], doors: list[str], horizon_ms: int
) -> list[tuple[Any, ...]]:
    keys = store.keys
    questions: list[tuple[Any, ...]] = [
        *((command, keys.fixed(key)) for command, key in _Index.QUESTIONS),
        ("HGETALL", keys.fixed("stats")),
        ("ZCARD", keys.fixed("dead")),
        ("LLEN", keys.fixed("strays")),
        ("HLEN", keys.fixed("jobs")),
        ("ZCARD", keys.fixed("enqueuers_line")),
        ("TIME",),
        *paused_questions(keys),
        ("HGETALL", keys.fixed("engines")),
    ]
    for name in names:
        questions += [
            ("LLEN", keys.of("ready", name)),
            turns.how_many(keys, name),
            ("LLEN", keys.of("suspects", name)),
            ("SCARD", keys.of("dropped", name)),
            ("ZCARD", keys.of("scheduled", name)),
            ("ZCOUNT", keys.of("scheduled", name), "-inf", horizon_ms),
            ("ZLEXCOUNT", keys.fixed("limited"), f"[{name}\0", f"({name}\1"),
        ]
    questions += [("LLEN", keys.of("parked", door)) for door in doors]
    questions += [("SCARD", keys.of("dropped_behind", door)) for door in doors]
    if doors:
        questions.append(("HMGET", keys.fixed("parked"), *doors))
    # An engine holds at most 1,000 jobs.
    for running, packs in map(keys.held, engines):
        questions += [("HVALS", running), ("HGETALL", packs)]
    return questions


def _read(
    answers: Iterator[Any], names: list[str], engines: list[str], doors: list[str]
) -> _Moment:
    counters = {kept.text(name): kept.number(count) for name, count in _items(next(answers))}
    dead, strays, records, waiting_for_room = (next(answers) for _ in range(4))
    seconds, micros = next(answers)
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    pauses = Pauses.read(next(answers), next(answers), now_ms)
    infos = {kept.text(engine): engine_info.decode(info) for engine, info in _items(next(answers))}
    lengths = {name: _Lengths(*(next(answers) for _ in range(7))) for name in names}
    lying = [next(answers) for _ in doors]
    parked = {kept.door(door): n - next(answers) for door, n in zip(doors, lying, strict=True)}
    notes = next(answers) if doors else []
    since = {kept.door(d): _since_ms(note) for d, note in zip(doors, notes, strict=True)}
    running = {engine: _held(next(answers), next(answers)) for engine in engines}
    return _Moment(
        counters, dead, strays, records, pauses, infos, lengths, parked,
        {door: ms for door, ms in since.items() if ms is not None}, running,
        waiting_for_room,
    )  # fmt: skip


def _held(alone: list[bytes], packs: list[bytes]) -> Counter[str]:
    """Queue → how many an engine holds that came from there."""
    held = Counter(kept.place(each) or "" for each in alone)
    for field, pack in _items(packs):
        held[kept.pack_place(field) or ""] += kept.pack_count(pack)
    return held


def _items(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _since_ms(note: bytes | None) -> int | None:
    """The time in ``since:how many``."""
    since = (note or b"").partition(b":")[0]
    return kept.time_ms(since) if kept.is_number(since) else None
