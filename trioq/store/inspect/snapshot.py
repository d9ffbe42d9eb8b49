"""What engines tell those who watch: which jobs they run, what failed, which breakers are open.

An engine that nobody watches writes nothing, unless there is something that whoever looks once
wants to know: a breaker that isn't closed, say. Both keys expire, and nothing but a screen rests on
them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import attrs

from trioq.core.calls import BootId
from trioq.core.formats import engine_info, snapshot
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.formats.snapshot import Snapshot
from trioq.core.waiting import Told
from trioq.errors import StoreBusy
from trioq.store import kept
from trioq.store.inspect.counts import EngineStats, Stats
from trioq.store.redis import RedisStore

#: For how long engines tell after they were asked, and for how long that is kept at least.
WATCHED_MS = 10_000
KEPT_MS = 10_000

#: Engines asked about in one round trip; each tells a few kilobytes.
PAGE = 100


def watch(store: RedisStore) -> None:
    """Ask all engines to tell what they do; those who see it do so for ten seconds."""
    with contextlib.suppress(StoreBusy):  # a full server takes no new keys
        store.lane.call("SET", store.keys.fixed("watched"), 1, "PX", WATCHED_MS)


def tell(store: RedisStore, engine: BootId, seen: Snapshot, *, kept_ms: int = KEPT_MS) -> None:
    """Tell what an engine does.

    Args:
      kept_ms: For how long it is true if nothing newer comes.
    """
    key = store.keys.of("shown", engine)
    with contextlib.suppress(StoreBusy):
        store.lane.call("SET", key, snapshot.encode(seen), "PX", max(KEPT_MS, kept_ms))


def snapshots(store: RedisStore, engines: Iterable[BootId]) -> dict[BootId, Snapshot]:
    """What these engines have told lately, as far as it can be read."""
    asked = list(engines)
    found: dict[BootId, Snapshot] = {}
    for start in range(0, len(asked), PAGE):
        page = asked[start : start + PAGE]
        told = store.lane.pipeline([("GET", store.keys.of("shown", engine)) for engine in page])
        for engine, raw in zip(page, told, strict=True):
            if (seen := snapshot.decode(raw)) is not None:
                found[engine] = seen
    return found


def with_abandoned(store: RedisStore, counted: Stats) -> Stats:
    """The same, and the handlers that these engines have abandoned."""
    return abandoned_of(counted, snapshots(store, [engine.id for engine in counted.engines]))


def abandoned_of(counted: Stats, told: Mapping[BootId, Snapshot]) -> Stats:
    """The same, from what engines have told. Pure."""
    engines = [
        _abandoned(engine, told[engine.id]) if engine.id in told else engine
        for engine in counted.engines
    ]
    return attrs.evolve(counted, engines=tuple(engines))


def _abandoned(engine: EngineStats, seen: Snapshot) -> EngineStats:
    at_s = seen.at_ms / 1000 + seen.clock_offset_s - seen.away_s
    since_ms = round(1000 * at_s) if seen.away else None
    return attrs.evolve(engine, abandoned=seen.abandoned, away=seen.away, away_since_ms=since_ms)


def waits_of_all(store: RedisStore) -> dict[BootId, Told]:
    """What each engine that lives waits for, as far as it has told."""
    flat = store.lane.call("HGETALL", store.keys.fixed("engines"))
    infos = zip(flat[::2], flat[1::2], strict=True)
    engines = {kept.text(id): engine_info.decode(info) for id, info in infos}
    told = snapshots(store, engines)
    return {id: _waits(info, told.get(id, Snapshot())) for id, info in engines.items()}


def _waits(info: EngineInfo, seen: Snapshot) -> Told:
    at = seen.at_ms / 1000 + seen.clock_offset_s
    return Told(frozenset(info.queues), frozenset(seen.waits_for), at - seen.waits_s, at)
