"""Who goes before the ready jobs of a queue: those of higher queues, and those that run, also where
they are abandoned. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from trioq.core.duration import roughly
from trioq.store.inspect.counts import EngineStats, Stats

Told = tuple[Literal["higher", "busy"], str, dict[str, Any]]
"""Why, in words, and as data."""

#: Queues that are named.
NAMED = 3


def told(queue: str, serving: Sequence[EngineStats], counted: Stats, now_ms: int) -> Iterator[Told]:
    """What keeps ready jobs of a queue that is claimed from.

    Args:
      serving: The engines that claim from it.
    """
    if ready := _higher(queue, serving, counted):
        shown = [f"{jobs:,} ready in {name}" for name, jobs in list(ready.items())[:NAMED]]
        more = len(ready) - NAMED
        rest = f" and more in {more:,} other{'s' * (more > 1)}" if more > 0 else ""
        says = f"higher queues go first: {', '.join(shown)}{rest}"
        yield "higher", says, {"queues": ready}
    workers = sum(each.info.workers for each in serving)
    running = sum(each.running for each in serving)
    away = sum(each.away for each in serving)
    if workers and running + away >= workers:
        engines = "the engine that serves" if len(serving) == 1 else "all engines that serve"
        all_are = f"all {workers:,} workers" if workers > 1 else "the only worker"
        says = f"{all_are} of {engines} {queue} {'are' if workers > 1 else 'is'} busy"
        since_ms = [each.away_since_ms for each in serving if each.away_since_ms is not None]
        data = {"workers": workers, "held": running, "abandoned": away}
        if since_ms:
            says += f"; {away_in_words(away, workers, min(since_ms), now_ms)}"
            data["since_ms"] = min(since_ms)
        yield "busy", says, data


def away_in_words(away: int, workers: int, since_ms: int, now_ms: int) -> str:
    """How many workers are kept by handlers that were abandoned, and for how long."""
    for_ = roughly(max(0, now_ms - since_ms) / 1000)
    if workers == 1:
        return f"an abandoned handler keeps it, for {for_}"
    first = "" if away == 1 else "the first "
    by = "an abandoned handler" if away == 1 else "abandoned handlers"
    return f"{away:,} of them {'is' if away == 1 else 'are'} kept by {by}, {first}for {for_}"


def _higher(queue: str, serving: Sequence[EngineStats], counted: Stats) -> dict[str, int]:
    """How many are ready in queues that come before this one in each engine that serves it."""
    if not serving or not all(each.info.strict for each in serving):
        return {}
    first, *others = (each.info.queues[: each.info.queues.index(queue)] for each in serving)
    before = [name for name in first if all(name in those for those in others)]
    ready = {name: there.ready for name in before if (there := counted.queues.get(name))}
    return {
        name: jobs for name, jobs in ready.items() if jobs and name not in counted.pauses.queues
    }
