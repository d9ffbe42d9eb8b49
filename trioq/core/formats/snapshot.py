"""What an engine tells those who watch it: a JSON object of a few kilobytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.formats import lenient
from trioq.core.job import Uid


@attrs.frozen
class Run:
    """A job that runs."""

    uid: Uid
    name: str
    queue: str
    attempt: int
    since_ms: int
    """Epoch, by the engine's clock."""
    progress: float | None = None
    """How far it is, from 0 to 1, as its handler says; None: it doesn't."""
    text: str = ""
    """What it says beside that."""


@attrs.frozen
class Failure:
    """An attempt that failed, or the last one of a job that is dead."""

    at_ms: int
    """Epoch, by the engine's clock."""
    uid: Uid
    name: str
    queue: str
    attempt: int
    error: str
    then: str
    """What becomes of the job: ``again in 3 s``, ``dead: failures``."""


@attrs.frozen
class Shut:
    """A breaker that isn't closed."""

    name: str
    """The job's, or what several depend on."""
    jobs: tuple[str, ...]
    """The handlers behind it."""
    state: str
    since_ms: int
    """Epoch, by the engine's clock."""
    until_ms: int | None = None
    """When an open one lets a probe run."""
    failures: int = 0
    """Of ``runs``: what has opened it."""
    runs: int = 0
    shared: bool = False
    """Whether all engines have it together."""
    probes: tuple[Uid, ...] = ()
    """The jobs that try it here."""
    on: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    """Handler → the classes of which alone errors count, where it names some."""


@attrs.frozen
class Snapshot:
    """One moment of an engine."""

    at_ms: int = 0
    """Epoch, by the engine's clock."""
    busy: int = 0
    """Handlers that run."""
    waiting: int = 0
    """Jobs that it holds and hasn't started."""
    draining: bool = False
    lag_s: float = 0.0
    running: tuple[Run, ...] = ()
    """The longest ones."""
    breakers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Handler → state, of those that aren't closed."""
    reopens_ms: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """Handler → when its open breaker lets a probe run; epoch, by the engine's clock."""
    done: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """Queue → how many, since the engine started."""
    failures: tuple[Failure, ...] = ()
    """The last ones."""
    abandoned: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """Handler → how many go on though their jobs are settled."""
    waits_for: tuple[str, ...] = ()
    """The queues that its workers wait for, if each of them waits for the end of a job."""
    waits_s: float = 0.0
    """How long that has been so."""
    clock_offset_s: float = 0.0
    """The server's clock less its own."""
    shut: tuple[Shut, ...] = ()
    """Its breakers that aren't closed, each once."""
    away: int = 0
    """So many workers are kept by abandoned handlers; those in threads keep none."""
    away_s: float = 0.0
    """How long the first of them has been."""


def encode(snapshot: Snapshot) -> bytes:
    """As it is stored."""
    return json.dumps(attrs.asdict(snapshot), separators=(",", ":")).encode("ascii")


def decode(encoded: bytes | None) -> Snapshot | None:
    """What can be read of it, whoever wrote it; None: nothing."""
    told = lenient.members(encoded)
    if told is None:
        return None
    counts, states = lenient.pairs(told.get("done")), lenient.pairs(told.get("breakers"))
    abandoned = lenient.pairs(told.get("abandoned"))
    reopens = lenient.pairs(told.get("reopens_ms"))
    return Snapshot(
        at_ms=lenient.time_ms(told.get("at_ms")) or 0,
        busy=lenient.count(told.get("busy")),
        waiting=lenient.count(told.get("waiting")),
        draining=told.get("draining") is True,
        lag_s=lenient.seconds(told.get("lag_s")),
        running=tuple(
            Run(
                lenient.text(each.get("uid")),
                lenient.text(each.get("name")),
                lenient.text(each.get("queue")),
                lenient.count(each.get("attempt")),
                lenient.time_ms(each.get("since_ms")) or 0,
                lenient.fraction(each.get("progress")),
                lenient.text(each.get("text")),
            )
            for each in lenient.objects(told.get("running"))
        ),
        breakers={name: lenient.text(state) for name, state in states.items()},
        reopens_ms={name: lenient.time_ms(at) or 0 for name, at in reopens.items()},
        shut=tuple(map(_shut, lenient.objects(told.get("shut")))),
        done={queue: lenient.count(done) for queue, done in counts.items()},
        failures=tuple(
            Failure(
                lenient.time_ms(each.get("at_ms")) or 0,
                lenient.text(each.get("uid")),
                lenient.text(each.get("name")),
                lenient.text(each.get("queue")),
                lenient.count(each.get("attempt")),
                lenient.text(each.get("error")),
                lenient.text(each.get("then")),
            )
            for each in lenient.objects(told.get("failures"))
        ),
        abandoned={name: lenient.count(count) for name, count in abandoned.items()},
        away=lenient.count(told.get("away")),
        away_s=lenient.seconds(told.get("away_s")),
        waits_for=lenient.texts(told.get("waits_for")),
        waits_s=lenient.seconds(told.get("waits_s")),
        clock_offset_s=lenient.offset(told.get("clock_offset_s")),
    )


def _shut(told: Mapping[str, Any]) -> Shut:
    return Shut(
        lenient.text(told.get("name")),
        lenient.texts(told.get("jobs")),
        lenient.text(told.get("state")),
        lenient.time_ms(told.get("since_ms")) or 0,
        lenient.time_ms(told.get("until_ms")),
        lenient.count(told.get("failures")),
        lenient.count(told.get("runs")),
        told.get("shared") is True,
        lenient.texts(told.get("probes")),
        {job: lenient.texts(named) for job, named in lenient.pairs(told.get("on")).items()},
    )
