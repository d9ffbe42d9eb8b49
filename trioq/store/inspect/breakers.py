"""Breakers: those that aren't closed in some engine, and those that all engines share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import ENGINES
from trioq.store.inspect.snapshot import snapshots
from trioq.store.redis import RedisStore

#: State, turn, since, until, resets, good and bad, as the scripts write them.
_HEAD = re.compile(rb"(closed|open|half_open) (\d{1,15}) (\d{1,15}) (\d{1,15}) \d+ (\d+) (\d+)\n")


@attrs.frozen
class BreakerView:
    """A breaker of one engine, or one that all engines share."""

    name: str
    """A job's, or what several depend on."""
    engine: str | None
    """Whose it is; None: all share it."""
    state: str
    since_ms: int | None
    """When it changed last; epoch."""
    until_ms: int | None
    """When it lets a probe run, if it is open."""
    failures: int
    """Of ``runs``: what has opened it, or what its probes have found since, if it is shared."""
    runs: int
    jobs: tuple[str, ...]
    """Behind it, as far as it is known."""
    probes: Mapping[Uid, str]
    """The jobs that try it, and the engine of each."""

    @property
    def shared(self) -> bool:
        """Whether all engines have it together."""
        return self.engine is None

    def as_json(self) -> dict[str, Any]:
        """The shape of a breaker with ``--json``."""
        return attrs.asdict(self) | {"shared": self.shared}


def breakers(store: RedisStore, counted: Stats) -> list[BreakerView]:
    """All that aren't closed, as far as the engines have told, and all shared ones, by name."""
    told = snapshots(store, [engine.id for engine in counted.engines[:ENGINES]])
    kept_there = store.lane.call("HGETALL", store.keys.fixed("breakers"))
    there = {kept.text(n): text for n, text in zip(kept_there[::2], kept_there[1::2], strict=True)}
    return explained(counted, told, there)


def explained(
    counted: Stats, told: Mapping[str, Snapshot], there: Mapping[str, bytes]
) -> list[BreakerView]:
    """The same, from what is known. Pure."""
    shut = [(e.name, each) for e in counted.engines if e.id in told for each in told[e.id].shut]
    own = (_own(engine, each) for engine, each in shut if not each.shared)
    found = [*_shared(there, shut), *own]
    return sorted(found, key=lambda each: (each.name, each.engine or ""))


def _own(engine: str, each: Shut) -> BreakerView:
    return BreakerView(
        each.name, engine, each.state, each.since_ms, each.until_ms, each.failures, each.runs,
        each.jobs, dict.fromkeys(each.probes, engine),
    )  # fmt: skip


def _shared(there: Mapping[str, bytes], shut: list[tuple[str, Shut]]) -> Iterator[BreakerView]:
    for name, text in there.items():
        if (head := _HEAD.match(text)) is None:
            continue
        state, (_, since_ms, until_ms, good, bad) = head[1].decode(), map(int, head.groups()[1:])
        has_said = any(line.startswith(b"boot ") for line in text.split(b"\n"))
        seen = [(engine, each) for engine, each in shut if each.shared and each.name == name]
        if state == "closed" and not has_said and not seen:
            continue  # one of an engine's own that was reset, or nobody has it any more
        jobs = {job for _, each in seen for job in each.jobs}
        probes = {uid: engine for engine, each in seen for uid in each.probes}
        until = until_ms if state == "open" else None
        yield BreakerView(
            name, None, state, since_ms or None, until, bad, good + bad,
            tuple(sorted(jobs)), probes,
        )  # fmt: skip
