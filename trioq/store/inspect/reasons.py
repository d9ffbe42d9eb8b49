"""Why a job doesn't run now, from what is known of it and of the engines. Pure."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Literal

import attrs

from trioq.core import blame
from trioq.core.config.rules import nearest
from trioq.core.duration import roughly
from trioq.core.formats.snapshot import Snapshot
from trioq.core.limits import limit_of
from trioq.store.inspect import why_busy, why_limited
from trioq.store.inspect.able import Able, Engines, ShutBreaker
from trioq.store.inspect.counts import EngineStats, QueueStats, Stats
from trioq.store.inspect.limits import Taken
from trioq.store.inspect.pauses import take_in_words
from trioq.store.inspect.rooms import Room
from trioq.store.inspect.views import JobView

Why = Literal[
    "unknown",  # there is no such job, or nothing is remembered of it
    "ended",  # it is done, or was cancelled
    "dead",  # it won't run again by itself
    "running",  # an engine has it
    "due",  # its time hasn't come
    "paused",  # nobody claims from its queue, or is to run its name, or its value of a limit's key
    "no_engine",  # none that lives serves its queue
    "draining",  # all that serve it, and know its name, are about to leave
    "unknown_name",  # none of them knows its name
    "unfit_payload",  # its payload fits another version of its handler, if any
    "breaker",  # all that know it have a breaker that isn't closed
    "limited",  # a limit has nothing to give now
    "full",  # of a queue: who enqueues waits for room; of a job: it isn't enqueued yet
    "suspect",  # it ran when an engine died: such jobs run one at a time
    "in_line",  # others of its queue come first
    "higher",  # ready jobs of a higher queue do
    "busy",  # no worker is free
    "none",  # nothing stops it
]

#: Engines that are named.
NAMED = 3


@attrs.frozen
class Reason:
    """One thing that keeps a job, or a queue, from running now."""

    why: Why
    says: str
    """In words."""
    data: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """In figures and names; times are epoch milliseconds."""

    def as_json(self) -> dict[str, Any]:
        """The shape of a reason with ``--json``."""
        return {"why": self.why, "says": self.says, **self.data}


@attrs.frozen
class Explanation:
    """Why a job doesn't run now."""

    uid: str
    id: str
    name: str
    """Empty: it can't be known."""
    queue: str
    state: str
    reasons: tuple[Reason, ...]
    """What has to pass first comes first. At least one."""

    def as_json(self) -> dict[str, Any]:
        """The shape of ``trioq explain --json``."""
        return {
            **attrs.asdict(self, filter=lambda field, _: field.name != "reasons"),
            "reasons": [reason.as_json() for reason in self.reasons],
        }


@attrs.frozen
class Held:
    """What a job takes of limits, and where it waits for that."""

    takes: Sequence[Taken] = ()
    waits_for: str | None = None
    """The take in whose room it lies; None: none."""
    before: int = 0
    """How many come before it there."""


NOT_HELD = Held()


@attrs.frozen
class Line:
    """Where a job stands among those that are ready in its queue."""

    place: int | None
    """How many come before it; None: more than were looked at."""
    looked: int
    """At how many."""
    is_suspect: bool = False
    per_s: float | None = None
    """How many of the queue have ended in a second lately; None: hardly any."""


def of_job(
    view: JobView,
    counted: Stats,
    told: Mapping[str, Snapshot],
    line: Line | None,
    now_ms: int,
    *,
    held: Held = NOT_HELD,
    unfit: Set[str] = frozenset(),
) -> tuple[Reason, ...]:
    """Why this job doesn't run now.

    Args:
      told: What engines have told lately.
      line: Of a job that is ready, and lies in no room.
      held: What it takes of limits.
      unfit: The signatures of its handler that its payload didn't fit, if it is parked for that.
      now_ms: By the server's clock.
    """
    if over := _over(view):
        return (over,)
    queue = "" if view.record is None else view.record.queue
    reasons = list(_due(view, now_ms))
    reasons += of_queue(queue, counted, told)
    if view.record is not None:
        reasons += _paused(view.record.name, counted)
        of_name = tuple(
            _of_name(queue, view.record.name, counted, told, now_ms=now_ms, unfit=unfit)
        )
        if any(reason.why == "unknown_name" for reason in of_name):
            # Whoever comes after those that drain has to know it.
            reasons = [reason for reason in reasons if reason.why != "draining"]
        if not any(reason.why == "draining" for reason in reasons):
            reasons += of_name
    reasons += _limited(held, counted, now_ms)
    if line is not None and not reasons:
        reasons += _in_line(queue, counted.queues[queue], line, now_ms)
        reasons += of_ready(queue, counted, now_ms)
    return tuple(reasons) or (_none(view),)


def _over(view: JobView) -> Reason | None:
    if view.state == "dead":
        because = f": {view.reason}" if view.reason else ""
        says = f"it is dead{because}; trioq dead revive runs it again"
        return Reason("dead", says, {"reason": view.reason, "died_ms": view.died_ms})
    if view.state == "running":
        data = {"engine": view.engine}
        return Reason("running", f"it runs, or is about to, on {view.engine}", data)
    if view.state not in ("scheduled", "ready", "parked"):
        says = "it is done" if view.state == "done" else f"it was {view.state}"
        return Reason("ended", says, {"state": view.state})
    return None


def _due(view: JobView, now_ms: int) -> Iterator[Reason]:
    if view.due_ms is not None and view.due_ms > now_ms:
        count = len(view.attempts)
        attempts = "a failed attempt" if count == 1 else f"{count:,} failed attempts"
        in_words = roughly((view.due_ms - now_ms) / 1000) + (f" after {attempts}" if count else "")
        yield Reason("due", f"it is to run in {in_words}", {"due_ms": view.due_ms})


def of_queue(queue: str, counted: Stats, told: Mapping[str, Snapshot]) -> Iterator[Reason]:
    """Why nobody claims from this queue."""
    if (paused := counted.pauses.queues.get(queue)) is not None:
        says = paused.in_words(queue, shlex.quote(queue))
        yield Reason("paused", says, {"queue": queue, **paused.as_json()})
    engines = Engines(counted, told)
    serving = engines.serving(queue)
    if not serving:
        says, others = f"no engine that lives serves {queue}", engines.queues
        says += f"; there are some for {_named(others)}" if others else ""
        yield Reason("no_engine", says, {"queue": queue, "served": others})
    elif all(map(engines.leaves, serving)):
        yield _draining(f"all engines that serve {queue}", serving)


def of_ready(queue: str, counted: Stats, now_ms: int) -> Iterator[Reason]:
    """Who goes before the ready jobs of a queue that somebody claims from.

    Args:
      counted: With what engines have abandoned.
    """
    serving = Engines(counted, {}).serving(queue)
    return itertools.starmap(Reason, why_busy.told(queue, serving, counted, now_ms))


def of_limits(queue: str, counted: Stats, found: Sequence[Room], now_ms: int) -> Iterator[Reason]:
    """For which limits jobs of a queue wait, or for the resume of which keys, whoever claims from
    it.

    Args:
      found: Where they do, as far as was looked.
    """
    there_is = counted.queues.get(queue)
    left = 0 if there_is is None else there_is.limited
    paused = counted.pauses.takes
    for jobs, why, data in why_limited.told_of_paused(found, paused):
        wait = "job of it waits" if jobs == 1 else "jobs of it wait"
        yield Reason("paused", f"{jobs:,} {wait}: {why}", {"queue": queue, "jobs": jobs, **data})
        left -= jobs
    if left > 0:
        others = [room for room in found if room.take not in paused]
        says, data = why_limited.told_of_many(left, others, now_ms)
        yield Reason("limited", says, {"queue": queue, **data})


def of_line(queue: str, counted: Stats, now_ms: int) -> Iterator[Reason]:
    """Who waits for room in a queue that is full."""
    there_is = counted.queues.get(queue)
    if there_is is not None and (said := there_is.in_line_in_words(now_ms)):
        data = {
            "queue": queue,
            "enqueues": there_is.in_line,
            "jobs": there_is.in_line_jobs,
            "since_ms": there_is.in_line_since_ms,
        }
        yield Reason("full", f"{queue} is full: {said}", data)


def _paused(name: str, counted: Stats) -> Iterator[Reason]:
    if (paused := counted.pauses.names.get(name)) is not None:
        says = paused.in_words(name, f"--job {shlex.quote(name)}")
        yield Reason("paused", says, {"job": name, **paused.as_json()})


def _of_name(
    queue: str,
    name: str,
    counted: Stats,
    told: Mapping[str, Snapshot],
    *,
    now_ms: int,
    unfit: Set[str],
) -> Iterator[Reason]:
    """Why nobody runs jobs of this name, of a queue that somebody claims from."""
    able = Engines(counted, told).able(queue, name, unfit)
    if unfit and able.knowing:
        yield _unfit(queue, name, able.fitting)
    if able.why == "unknown_name":
        close = nearest(name, {known for each in able.serving for known in each.info.names})
        says = f"no engine that serves {queue} knows {name}"
        says += f"; {close} is known" if close else ""
        yield Reason("unknown_name", says, {"name": name, "nearest": close or None})
    elif able.why == "draining":
        yield _draining(f"all engines that serve {queue} and know {name}", able.knowing)
    elif able.why == "breaker" and able.breaker is not None:
        yield _breaker(name, able, able.breaker, now_ms)


def _unfit(queue: str, name: str, fitting: Sequence[EngineStats]) -> Reason:
    engines = [each.name for each in fitting]
    says = f"its payload didn't fit {name} where it was tried, and "
    if engines:
        says += f"it waits for an engine with another version of it: {_named(engines)}"
    else:
        says += f"no engine that serves {queue} has another version of it"
    return Reason("unfit_payload", says, {"name": name, "engines": engines})


def _breaker(name: str, able: Able, breaker: ShutBreaker, now_ms: int) -> Reason:
    counts = blame.in_words(breaker.on)
    says = able.breaker_in_words(name, f" of {name}")
    if breaker.until_ms is not None:
        says += f": one job is tried in {roughly((breaker.until_ms - now_ms) / 1000)}"
    elif breaker.state == "half_open":
        says += ": the jobs that are tried now decide"
    says += f"; it counts {counts}"
    states = {
        engine: {"state": shut.state, "until_ms": shut.until_ms}
        for engine, shut in able.shut.items()
    }
    data = {
        "name": name,
        "breaker": breaker.name,
        "shared": breaker.shared,
        "breakers": states,
        "until_ms": breaker.until_ms,
        "counts": counts,
    }
    return Reason("breaker", says, data)


def _draining(who: str, engines: Sequence[EngineStats]) -> Reason:
    names = [each.name for each in engines]
    return Reason("draining", f"{who} are draining: {_named(names)}", {"engines": names})


def _limited(held: Held, counted: Stats, now_ms: int) -> Iterator[Reason]:
    """Which of its limits have nothing to give, or are paused for it; and where it waits for one
    that has again."""
    for taken in held.takes:
        if (paused := counted.pauses.takes.get(taken.take)) is not None:
            data = {"limit": limit_of(taken.take), "key": taken.key, **paused.as_json()}
            yield Reason("paused", take_in_words(taken.take, paused), data)
        elif taken.take == held.waits_for or taken.is_full or taken.next_ms is not None:
            before = held.before if taken.take == held.waits_for else None
            yield Reason("limited", *why_limited.told(taken, before, now_ms))


def _in_line(queue: str, there: QueueStats, line: Line, now_ms: int) -> Iterator[Reason]:
    if line.is_suspect:
        says = (
            f"it ran when an engine died: such jobs are claimed one at a time, and {queue} has"
            f" {there.suspects:,} of them"
        )
        yield Reason("suspect", says, {"suspects": there.suspects, "before": line.place})
        return
    if line.place == 0:
        return
    data: dict[str, Any] = {"ready": there.ready, "before": line.place, "about_ms": None}
    if line.place is None:
        says = f"more than {line.looked:,} of the {there.ready:,} that are ready in {queue}"
        says += " come before it"
    else:
        come = "comes" if line.place == 1 else "come"
        says = f"{line.place:,} of the {there.ready:,} that are ready in {queue} {come} before it"
    if line.per_s:
        wait_s = (line.looked if line.place is None else line.place) / line.per_s
        least = "at least " if line.place is None else "about "
        says += f": {least}{roughly(wait_s)} at the rate of the last minute"
        data["about_ms"] = now_ms + round(1000 * wait_s)
    yield Reason("in_line", says, data)


def _none(view: JobView) -> Reason:
    said = {"ready": "", "parked": "it was parked; ", "scheduled": "its time has come; "}
    return Reason(
        "none",
        f"{said[view.state]}nothing is known to stop it: an engine should claim it now;"
        " trioq doctor looks further",
    )


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
