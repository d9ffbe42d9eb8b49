"""One look at a namespace, and what open pages are told of it: texts by their keys. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from trioq.core.config import Config
from trioq.core.formats.snapshot import Failure, Run
from trioq.doctor import attention
from trioq.store.inspect import EngineView, LimitView, Overview, Trend
from trioq.web.site import words
from trioq.web.site.paging import Paged

#: Failures that the overview shows, and jobs that an engine's page shows.
FAILURES, RUNS = 12, 100


@attrs.frozen
class Look:
    """What is so at one moment."""

    overview: Overview
    trend: Trend
    """What it and those before it say together."""
    oldest_ms: Mapping[str, int]
    """Queue → for how long its next job has been wanted."""
    limits: Sequence[LimitView] = ()
    """Empty where no open page shows them."""


@attrs.frozen
class Told:
    """What an open page is told."""

    text: Mapping[str, str]
    """Key → what stands there."""
    shape: str
    """What the page lists, as a hash: if it changes, the page is to be fetched anew."""


#: What a page asks besides: its path's parts and its query.
Asked = Mapping[str, str]


def shape(*parts: object) -> str:
    """A hash of what a page lists."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def failing(trend: Trend) -> float | None:
    """Attempts that failed, per second."""
    rates = [trend.rate(name) for name in ("retried", "dead_letters")]
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def alike(failures: Iterable[Failure], most: int) -> list[tuple[Failure, int]]:
    """The newest of those that failed alike, and how many did; the newest first."""
    found: dict[tuple[str, str, str], tuple[Failure, int]] = {}
    for each in failures:
        kind = each.name, each.queue, each.error.partition(":")[0]
        newest, times = found.get(kind, (each, 0))
        found[kind] = newest, times + 1
    return list(found.values())[:most]


def oldest(oldest_ms: Mapping[str, int]) -> int | None:
    """For how long the job has waited that has waited longest for its turn."""
    return max(oldest_ms.values(), default=None)


def figures(look: Look) -> dict[str, str]:
    """The figures at the top of the overview."""
    stats, engines = look.overview.stats, look.overview.engines
    queues = stats.queues.values()
    return {
        "rate/done": words.count(look.trend.rate("done")),
        "rate/enqueued": words.count(look.trend.rate("enqueued")),
        "rate/failing": words.count(failing(look.trend)),
        "ready": words.count(sum(queue.ready for queue in queues)),
        "later": words.count(sum(queue.scheduled for queue in queues)),
        "running": words.count(stats.running),
        "workers": words.count(sum(engine.workers for engine in engines)),
        "dead": words.count(stats.dead),
        "oldest": words.age(oldest(look.oldest_ms)),
        "engines": words.count(len(engines)),
    }


def overview(look: Look, config: Config, asked: Asked) -> Told:
    """Of the first page."""
    now = look.overview
    found = attention(config, now.stats, now.doors, now.schedules)
    minute = now.now_ms // 60_000  # the pictures have one more
    listed = shape(
        [each.id for each in now.engines],
        [(each.check, each.verdict) for each in found],
        [(each.uid, times) for each, times in alike(now.failures, FAILURES)],
        minute,
    )
    return Told(figures(look) | _of_engines(now.engines), listed)


def queues(look: Look, config: Config, asked: Asked) -> Told:
    """Of the list of queues."""
    text = asked.get("q", "").strip().casefold()
    there = look.overview.stats.queues
    names = Paged.of([n for n in there if text in n.casefold()], asked.get("from")).shown
    told: dict[str, str] = {}
    for name in names:
        told |= _of_queue(look, name)
    states = [(name, there[name].paused, there[name].served) for name in names]
    return Told(told, shape(states))


def queue(look: Look, config: Config, asked: Asked) -> Told:
    """Of one queue."""
    name = asked.get("queue", "")
    stats = look.overview.stats
    if (one := stats.queues.get(name)) is None:
        return Told({}, "")
    doors = [(door.name, door.why) for door in look.overview.doors if door.queue == name]
    return Told(_of_queue(look, name), shape(one.paused, one.served, doors))


def engines(look: Look, config: Config, asked: Asked) -> Told:
    """Of the list of engines."""
    there = look.overview.engines
    told = {
        "engines": words.count(len(there)),
        "running": words.count(look.overview.stats.running),
    }
    listed = [(each.id, each.told, each.draining) for each in there[:100]]
    return Told(told | _of_engines(there), shape(listed))


def engine(look: Look, config: Config, asked: Asked) -> Told:
    """Of one engine."""
    one = next((e for e in look.overview.engines if e.id == asked.get("engine")), None)
    if one is None:
        return Told({}, "")
    told = _of_engines([one])
    for run in one.runs[:RUNS]:
        told |= _of_run(run)
    return Told(told, shape([run.uid for run in one.runs], one.draining, one.told))


def limits(look: Look, config: Config, asked: Asked) -> Told:
    """Of the limits and breakers."""
    told: dict[str, str] = {}
    for limit in look.limits[:100]:
        told |= used(limit)
    takes = [(each.name, [taken.take for taken in each.takes]) for each in look.limits]
    return Told(told, shape(takes, sorted(look.overview.breakers.items())))


#: Topic → what its pages are told.
TOPICS: Mapping[str, Callable[[Look, Config, Asked], Told]] = {
    "overview": overview,
    "queues": queues,
    "queue": queue,
    "engines": engines,
    "engine": engine,
    "limits": limits,
}


def used(limit: LimitView) -> dict[str, str]:
    """How much of a limit is in use, and of its takes."""
    told = {
        f"limit/{limit.name}/running": words.count(limit.running),
        f"limit/{limit.name}/waiting": words.count(limit.waiting),
    }
    for taken in limit.takes:
        told[f"take/{taken.take}/running"] = words.count(taken.running)
        told[f"take/{taken.take}/waiting"] = words.count(taken.waiting)
        most = taken.settings.concurrency if taken.settings else 0
        told[f"take/{taken.take}/use"] = words.width(taken.running, most)
    return told


def _of_queue(look: Look, name: str) -> dict[str, str]:
    there = look.overview.stats.queues[name]
    told = {
        f"queue/{name}/{what}": words.count(getattr(there, what))
        for what in ("ready", "running", "scheduled", "limited", "parked", "fair")
    }
    told[f"queue/{name}/oldest"] = words.age(look.oldest_ms.get(name))
    told[f"queue/{name}/done"] = words.count(look.trend.done_rate(name))
    return told


def _of_engines(engines: Iterable[EngineView]) -> dict[str, str]:
    told: dict[str, str] = {}
    for each in engines:
        told[f"engine/{each.id}/busy"] = words.count(each.busy)
        told[f"engine/{each.id}/held"] = words.count(each.held)
        told[f"engine/{each.id}/lag"] = words.lag(each.lag_s if each.told else None)
        told[f"engine/{each.id}/use"] = words.width(each.busy, each.workers)
    return told


def _of_run(run: Run) -> dict[str, str]:
    said = "" if run.progress is None else words.percent(run.progress)
    return {
        f"run/{run.uid}/progress": said,
        f"run/{run.uid}/text": words.line(run.text),
        f"run/{run.uid}/bar": words.width(run.progress or 0.0, 1),
    }
