"""What an engine measures every few seconds: the server, and how much there is to do.

:func:`glance` is cheap and made by every engine, :func:`sample` counts all and is made by
one engine at a time: whose turn it is stands in a key that expires, a hint on which
nothing but the metrics rests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import attrs

from trioq.core.calls import BootId, Rate
from trioq.core.schedules.tick import Clock
from trioq.errors import StoreBusy
from trioq.store import kept
from trioq.store.inspect import turns
from trioq.store.inspect.ages import merged, oldest_keyed_ms, oldest_ms, oldest_plain_ms
from trioq.store.inspect.breakers import SharedBreaker, shared_breakers
from trioq.store.inspect.causes import Cause, Waiting, waiting
from trioq.store.inspect.counting import stats
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import doors
from trioq.store.inspect.jobs import PAGE
from trioq.store.inspect.pauses import Pauses, questions
from trioq.store.inspect.rooms import waiting_for
from trioq.store.redis import RedisStore

#: Behind so many doors the oldest job is looked for, where most wait.
DOORS = 1000

#: Of so many schedules it is told when they come next.
TICKS = 100


T = TypeVar("T")


@attrs.frozen
class Glance:
    """One moment, seen by one engine."""

    took_s: float
    """The round trip."""
    clock_offset_s: float
    """The server's clock less ours, give or take half of the round trip."""
    has_turn: bool
    """Whether this engine counts for all."""
    ready: int
    """Jobs that lie ready in the queues asked about, paused ones left out."""
    paused: frozenset[str]
    """All paused queues."""
    paused_names: frozenset[str]
    """Those of jobs that nobody is to run."""
    paused_takes: frozenset[str]
    """What jobs take of limits with which nobody starts."""
    permits_used: float | None
    """Of a limiter's burst; None where none was asked about."""
    watched: bool
    """Whether somebody wants to be told what this engine does."""
    drain: bytes | None = None
    """Who wants it to drain, and why; None: nobody."""


@attrs.frozen
class Sample:
    """One moment of the whole namespace."""

    stats: Stats
    oldest_ready_ms: Mapping[str, int]
    """Queue → how long ago the job at its head was enqueued, or due, if one is there."""
    waiting: Mapping[tuple[str, Cause], Waiting]
    """Queue and cause → who waits."""
    breakers: Mapping[str, SharedBreaker]
    """Those that all engines share, and that were used."""
    ticks: Clock
    """When schedules come next, as far as that is soon."""


def glance(
    store: RedisStore,
    who: str,
    *,
    had_turn: bool,
    turn_ms: int,
    queues: Sequence[str],
    rate: Rate | None,
    boot: BootId = "",
) -> Glance:
    """Look, and take the turn to count if nobody has it, or keep it.

    Args:
      who: Names this engine; a process's own, so that it keeps its turn over boots.
      had_turn: Whether it had the turn at the last look.
      turn_ms: How long a turn lasts that isn't renewed.
      queues: Those whose ready jobs are counted.
      boot: The engine's, to hear whether it is to drain; empty: it has none.
    """
    keys = store.keys
    turn = keys.fixed("sampler")
    asked: list[tuple[object, ...]] = [
        ("TIME",),
        # Renewed only by who believes to have it: else the turn of the dead would never end.
        ("GETEX", turn, "PX", turn_ms) if had_turn else ("GET", turn),
        *questions(keys),
        ("GET", keys.of("limit", rate.name if rate else "none")),
        ("GET", keys.fixed("watched")),
        ("GET", keys.of("drain", boot)),
        *(("LLEN", keys.of("ready", queue)) for queue in queues),
        *(turns.how_many(keys, queue) for queue in queues),
        *(("SCARD", keys.of("dropped", queue)) for queue in queues),
    ]
    sent_at, started = time.time(), time.perf_counter()
    time_there, holder, names, told, tat, watched, drain, *lengths = store.lane.transaction(asked)
    took_s = time.perf_counter() - started
    now_us = store.us_of(time_there)
    pauses = Pauses.read(names, told, now_us // 1000)
    n = len(queues)
    counted = zip(queues, lengths[:n], lengths[n : 2 * n], lengths[2 * n :], strict=True)
    return Glance(
        took_s=took_s,
        clock_offset_s=now_us / 1e6 - (sent_at + took_s / 2),
        has_turn=_has_turn(store, who, turn_ms, holder, renewed=had_turn),
        ready=sum(
            max(0, plain + keyed - gone)
            for queue, plain, keyed, gone in counted
            if queue not in pauses.queues
        ),
        paused=frozenset(pauses.queues),
        paused_names=frozenset(pauses.names),
        paused_takes=frozenset(pauses.takes),
        permits_used=_permits_used(rate, kept.number(tat), now_us) if rate else None,
        watched=bool(watched),
        drain=drain if boot else None,
    )


def sample(store: RedisStore, queues: Sequence[str]) -> Sample:
    """Count everything.

    Args:
      queues: The configured ones, which are counted even if nothing was ever in them.

    Raises:
      StoreBusy: Queues or engines came and went each time it was tried.
    """
    counted = stats(store, queues)
    plain: dict[str, int] = {}
    keyed: dict[str, int] = {}
    for names in _pages([name for name, queue in counted.queues.items() if queue.ready]):
        plain |= oldest_plain_ms(store, names)
        keyed |= oldest_keyed_ms(store, names)
    behind = doors(store, counted)
    parked: dict[tuple[str, str], int] = {}
    for page in _pages(behind[:DOORS]):
        lists = {(d.queue, d.called): [store.keys.of("parked", d.queue, d.called)] for d in page}
        parked |= oldest_ms(store, lists)
    shut = waiting_for(store, list(counted.pauses.takes))
    who = waiting(
        counted, behind, plain_ms=plain, keyed_ms=keyed, parked_ms=parked, paused_keys=shut
    )
    ticks = store.next_ticks(TICKS)
    return Sample(counted, merged(plain, keyed), who, shared_breakers(store), ticks)


def _pages(all_: Sequence[T]) -> Iterator[Sequence[T]]:
    return (all_[start : start + PAGE] for start in range(0, len(all_), PAGE))


def permits_used(store: RedisStore, rate: Rate) -> float:
    """How many permits of a limiter's burst are taken now."""
    time_there, tat = store.lane.pipeline([("TIME",), ("GET", store.keys.of("limit", rate.name))])
    return _permits_used(rate, kept.number(tat), store.us_of(time_there))


def producers_wait(store: RedisStore, rate: Rate) -> bool:
    """Whether less than one permit is left: whoever wants one waits for it."""
    return permits_used(store, rate) > rate.burst - 1


def _has_turn(
    store: RedisStore, who: str, turn_ms: int, holder: bytes | None, *, renewed: bool
) -> bool:
    turn = store.keys.fixed("sampler")
    if holder is None:
        try:
            return store.lane.call("SET", turn, who, "NX", "PX", turn_ms) is not None
        except StoreBusy:
            return False  # a full server takes no new keys; all else of this look still holds
    if holder == who.encode() and not renewed:
        # It was taken by a request whose answer was lost.
        return bool(store.lane.call("GETEX", turn, "PX", turn_ms) == holder)
    return holder == who.encode()


def _permits_used(rate: Rate, tat_us: int, now_us: int) -> float:
    return min(float(rate.burst), max(0, tat_us - now_us) / rate.interval_us)
