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
_HEAD = re.compile(
    rb"(closed|open|half_open) (\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15})\n"
)


@attrs.frozen
class SharedBreaker:
    """A breaker that all engines share, as the server has it."""

    state: str
    turn: int
    """How often it has changed, resets of one that was closed included."""
    since_ms: int
    """Epoch; 0: it never has."""
    until_ms: int
    """When it lets a probe run, if it is open."""
    resets: int
    good: int
    bad: int
    """What has opened it, or what its probes have found since."""
    is_used: bool
    """Whether an engine has said anything of it lately."""


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
    return explained(counted, told, _all_kept(store))


def shared_breakers(store: RedisStore) -> dict[str, SharedBreaker]:
    """Those that all engines share, and that were ever used; not what is kept of an engine's own
    that was reset."""
    return {
        name: each
        for name, each in _all_kept(store).items()
        if each.turn > each.resets or each.is_used
    }


def _all_kept(store: RedisStore) -> dict[str, SharedBreaker]:
    """All of which something is kept; what can't be read is left out."""
    flat = store.lane.call("HGETALL", store.keys.fixed("breakers"))
    read = {kept.text(name): _read(text) for name, text in zip(flat[::2], flat[1::2], strict=True)}
    return {name: each for name, each in read.items() if each is not None}


def _read(text: bytes) -> SharedBreaker | None:
    if (head := _HEAD.match(text)) is None:
        return None
    is_used = any(line.startswith(b"boot ") for line in text.split(b"\n"))
    turn, since_ms, until_ms, resets, good, bad = map(int, head.groups()[1:])
    return SharedBreaker(
        head[1].decode(), turn, since_ms, until_ms, resets, good, bad, is_used=is_used
    )


def explained(
    counted: Stats, told: Mapping[str, Snapshot], there: Mapping[str, SharedBreaker]
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


def _shared(
    there: Mapping[str, SharedBreaker], shut: list[tuple[str, Shut]]
) -> Iterator[BreakerView]:
    for name, kept_as in there.items():
        state = kept_as.state
        seen = [(engine, each) for engine, each in shut if each.shared and each.name == name]
        if state == "closed" and not kept_as.is_used and not seen:
            continue  # one of an engine's own that was reset, or nobody has it any more
        jobs = {job for _, each in seen for job in each.jobs}
        probes = {uid: engine for engine, each in seen for uid in each.probes}
        until_ms = kept_as.until_ms if state == "open" else None
        yield BreakerView(
            name, None, state, kept_as.since_ms or None, until_ms, kept_as.bad,
            kept_as.good + kept_as.bad,
            tuple(sorted(jobs)), probes,
        )  # fmt: skip
