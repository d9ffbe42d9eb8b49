"""What an engine measures every few seconds: the server, and how much there is to do.

:func:`glance` is cheap and made by every engine, :func:`sample` counts all and is made by
one engine at a time: whose turn it is stands in a key that expires, a hint on which
nothing but the metrics rests.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import attrs

from trioq.core.calls import Rate
from trioq.core.formats.record import decode
from trioq.errors import RecordUnreadable, StoreBusy
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.inspect.counts import Stats, stats
from trioq.store.inspect.jobs import PAGE
from trioq.store.inspect.pauses import Pauses, questions
from trioq.store.redis import RedisStore

#: What lies at the head of a queue may have been cancelled; so many are looked at.
HEAD = 8


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
    permits_used: float | None
    """Of a limiter's burst; None where none was asked about."""
    watched: bool
    """Whether somebody wants to be told what this engine does."""


@attrs.frozen
class Sample:
    """One moment of the whole namespace."""

    stats: Stats
    oldest_ready_ms: Mapping[str, int]
    """Queue → how long ago the job at its head was enqueued, or due, if one is there."""


def glance(
    store: RedisStore,
    who: str,
    *,
    had_turn: bool,
    turn_ms: int,
    queues: Sequence[str],
    rate: Rate | None,
) -> Glance:
    """Look, and take the turn to count if nobody has it, or keep it.

    Args:
      who: Names this engine; a process's own, so that it keeps its turn over boots.
      had_turn: Whether it had the turn at the last look.
      turn_ms: How long a turn lasts that isn't renewed.
      queues: Those whose ready jobs are counted.
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
        *(("LLEN", keys.of("ready", queue)) for queue in queues),
        *(("SCARD", keys.of("dropped", queue)) for queue in queues),
    ]
    sent_at, started = time.time(), time.perf_counter()
    (seconds, micros), holder, names, told, tat, watched, *lengths = store.lane.transaction(asked)
    took_s = time.perf_counter() - started
    now_us = int(seconds) * 1_000_000 + int(micros)
    pauses = Pauses.read(names, told, now_us // 1000)
    counted = zip(queues, lengths[: len(queues)], lengths[len(queues) :], strict=True)
    return Glance(
        took_s=took_s,
        clock_offset_s=now_us / 1e6 - (sent_at + took_s / 2),
        has_turn=_has_turn(store, who, turn_ms, holder, renewed=had_turn),
        ready=sum(max(0, n - gone) for queue, n, gone in counted if queue not in pauses.queues),
        paused=frozenset(pauses.queues),
        paused_names=frozenset(pauses.names),
        permits_used=_permits_used(rate, kept.number(tat), now_us) if rate else None,
        watched=bool(watched),
    )


def sample(store: RedisStore, queues: Sequence[str]) -> Sample:
    """Count everything.

    Args:
      queues: The configured ones, which are counted even if nothing was ever in them.

    Raises:
      StoreBusy: Queues or engines came and went each time it was tried.
    """
    counted = stats(store, queues)
    waiting = [name for name, queue in counted.queues.items() if queue.ready]
    ages: dict[str, int] = {}
    for start in range(0, len(waiting), PAGE):
        ages |= oldest_ready_ms(store, waiting[start : start + PAGE])
    return Sample(counted, ages)


def permits_used(store: RedisStore, rate: Rate) -> float:
    """How many permits of a limiter's burst are taken now."""
    (seconds, micros), tat = store.lane.pipeline(
        [("TIME",), ("GET", store.keys.of("limit", rate.name))]
    )
    return _permits_used(rate, kept.number(tat), int(seconds) * 1_000_000 + int(micros))


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


def oldest_ready_ms(store: RedisStore, queues: Sequence[str]) -> dict[str, int]:
    """Queue → how long its next job has been wanted, where there is one that can be read."""
    keys = store.keys
    (seconds, micros), *heads = store.lane.pipeline(
        [
            ("TIME",),
            *(
                ("LRANGE", keys.of(kind, queue), -HEAD, -1)
                for queue in queues
                for kind in ("ready", "suspects")  # from the right: the suspects come first
            ),
        ]
    )
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    candidates = {
        queue: heads[2 * i] + heads[2 * i + 1]
        for i, queue in enumerate(queues)
        if heads[2 * i] or heads[2 * i + 1]
    }
    ages: dict[str, int] = {}
    while candidates:
        asked = [kept.text(uids[-1]) for uids in candidates.values()]
        (records,) = fields.read(store, ["jobs"], asked)
        for (queue, uids), stored in zip(list(candidates.items()), records, strict=True):
            wanted_ms = _wanted_ms(kept.text(uids.pop()), stored)
            if wanted_ms is not None:
                ages[queue] = max(0, now_ms - wanted_ms)
            if wanted_ms is not None or not uids:
                del candidates[queue]
    return ages


def _wanted_ms(uid: str, stored: bytes | None) -> int | None:
    """None: it was cancelled, or doesn't say."""
    if stored is None:
        return None
    try:
        return decode(uid, stored).record.wanted_ms or None
    except RecordUnreadable:
        return None
