"""All that is counted of a namespace, at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import attrs

from trioq.core.formats import engine_info
from trioq.core.formats.door import name_of
from trioq.core.formats.engine_info import EngineInfo
from trioq.errors import StoreBusy
from trioq.store import kept
from trioq.store.inspect import rooms, suspects, turns
from trioq.store.inspect.counts import EngineStats, Outstanding, QueueStats, Stats
from trioq.store.inspect.in_line import InLine
from trioq.store.inspect.pauses import Pauses
from trioq.store.inspect.pauses import questions as paused_questions
from trioq.store.inspect.rooms import Room
from trioq.store.inspect.suspects import Refused
from trioq.store.redis import RedisStore

#: Which queues, engines and parked lists there are changes seldom; so often in a row, never.
TRIES = 20

NOBODY: Refused = {}

#: The queue of jobs of which nobody can tell where they came from.
UNKNOWN = ""


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
class Lengths:
    """How many are where in one queue."""

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
class Moment:
    """All that is counted."""

    counters: Mapping[str, int]
    dead: int
    strays: int
    records: int
    pauses: Pauses
    engines: Mapping[str, EngineInfo]
    lengths: Mapping[str, Lengths]
    parked: Mapping[tuple[str, str], int]
    """(queue, name) → how many."""
    parked_since: Mapping[tuple[str, str], int]
    running: Mapping[str, Counter[str]]
    """Engine → queue → how many."""
    in_line: int
    """Enqueues that wait for room anywhere."""
    rooms: tuple[Room, ...] = ()
    """Those that were asked for."""
    refused: tuple[Room, ...] = ()
    """Where suspects wait that were asked for, which are ready and in no room."""

    @property
    def with_suspects(self) -> tuple[str, ...]:
        """The queues in which jobs lie that were running when an engine died."""
        return tuple(name for name, lengths in self.lengths.items() if lengths.suspects)

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
        refused = Counter(room.queue for room in self.refused)
        queues = {
            name: QueueStats(
                ready=lengths.claimable - refused[name],
                scheduled=lengths.scheduled,
                parked=parked[name],
                running=running[name],
                suspects=lengths.suspects,
                paused=name in self.pauses.queues,
                served=name in served,
                fair=max(0, min(lengths.keyed, lengths.claimable)),
                limited=lengths.limited + refused[name],
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
        refused = [room for room in self.refused if room.queue == queue]
        return Outstanding(
            lengths.claimable - len(refused),
            lengths.due,
            lengths.scheduled - lengths.due,
            parked,
            queue in self.pauses.queues,
            frozenset(name for name in parked if name in self.pauses.names),
            frozenset(self.pauses.takes),
            lengths.limited + len(refused),
            (*(room for room in self.rooms if room.queue == queue and room.jobs), *refused),
            now_ms,
            horizon_ms,
        )

    def _parked(self, queue: str) -> dict[str, int]:
        found = Counter[str]()
        for (behind, door), count in self.parked.items():
            if behind == queue:
                found[name_of(door)] += count
        return found


def moment_of(
    store: RedisStore,
    queues: Sequence[str],
    horizon_ms: int = 0,
    places: Sequence[tuple[str, str]] = (),
    held_up: Refused = NOBODY,
) -> Moment:
    """Count in one transaction, which also asks whether nothing was left out.

    Args:
      horizon_ms: Until when a scheduled job counts as due, in epoch milliseconds.
      places: Queue and take of the rooms that are to be counted apart.
      held_up: Suspects that a limit had refused just before.
    """
    asked = _Index(frozenset(queues), frozenset(), frozenset())
    for _ in range(TRIES):
        names = [*dict.fromkeys(queues), *sorted(asked.queues - set(queues))]
        engines, doors = sorted(asked.engines), sorted(asked.doors)
        questions = _questions(store, names, engines, doors, horizon_ms)
        questions += rooms.questions(store.keys, places)
        questions += suspects.questions(store.keys, held_up)
        answers = iter(store.lane.transaction(questions))
        there = _Index.read(answers)
        if asked.covers(there):
            found = _read(answers, store.us_of, names, engines, doors)
            there_are = rooms.read(answers, places)
            return attrs.evolve(found, rooms=there_are, refused=suspects.read(answers, held_up))
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
    questions += [("SCARD", keys.dropped_behind(*kept.door(door))) for door in doors]
    if doors:
        questions.append(("HMGET", keys.fixed("parked"), *doors))
    # An engine holds at most 1,000 jobs.
    for running, packs in map(keys.held, engines):
        questions += [("HVALS", running), ("HGETALL", packs)]
    return questions


def _read(
    answers: Iterator[Any],
    us_of: Callable[[Any], int],
    names: list[str],
    engines: list[str],
    doors: list[str],
) -> Moment:
    counters = {kept.text(name): kept.number(count) for name, count in _items(next(answers))}
    dead, strays, records, waiting_for_room = (next(answers) for _ in range(4))
    now_ms = us_of(next(answers)) // 1000
    pauses = Pauses.read(next(answers), next(answers), now_ms)
    infos = {kept.text(engine): engine_info.decode(info) for engine, info in _items(next(answers))}
    lengths = {name: Lengths(*(next(answers) for _ in range(7))) for name in names}
    lying = [next(answers) for _ in doors]
    parked = _without_cancelled([*map(kept.door, doors)], lying, [next(answers) for _ in doors])
    notes = next(answers) if doors else []
    since = {kept.door(d): _since_ms(note) for d, note in zip(doors, notes, strict=True)}
    running = {engine: _held(next(answers), next(answers)) for engine in engines}
    return Moment(
        counters, dead, strays, records, pauses, infos, lengths, parked,
        {door: ms for door, ms in since.items() if ms is not None}, running,
        waiting_for_room,
    )  # fmt: skip


def _without_cancelled(
    doors: list[tuple[str, str]], lying: list[int], cancelled: list[int]
) -> dict[tuple[str, str], int]:
    """Door → how many wait behind it. The doors of one name have those in common who were
    cancelled there: they are taken from the longest."""
    parked = dict(zip(doors, lying, strict=True))
    of_name = {(q, name_of(door)): n for (q, door), n in zip(doors, cancelled, strict=True)}
    for queue, door in sorted(doors, key=lambda each: -parked[each]):
        over = min(of_name[queue, name_of(door)], parked[queue, door])
        parked[queue, door] -= over
        of_name[queue, name_of(door)] -= over
    return parked


def _held(alone: list[bytes], packs: list[bytes]) -> Counter[str]:
    """Queue → how many an engine holds that came from there."""
    held = Counter(kept.place(each) or UNKNOWN for each in alone)
    for field, pack in _items(packs):
        held[kept.pack_place(field) or UNKNOWN] += kept.pack_count(pack)
    return held


def _items(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _since_ms(note: bytes | None) -> int | None:
    """The time in ``since:how many``."""
    since = (note or b"").partition(b":")[0]
    return kept.time_ms(since) if kept.is_number(since) else None
