"""Runs that wait for the ends of jobs, and engines that can do nothing but wait.

A run that waits holds its worker. Where all workers of an engine wait for jobs that only engines
could run that wait likewise, nothing moves any more. What others do an engine knows only from what
they tell, each at a moment of its own. So each tells since when it has waited: what was so of all
of them at one moment stays so, until somebody gives up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trioq.core.values import value


@value
class Waiting:
    """What somebody can't go on without."""

    queues: frozenset[str]
    """Those of the jobs that are waited for; an empty name: of one nobody knows that here."""
    since: float
    """Seconds of the monotonic clock, which all processes of a machine share."""


def of_run(waits: Iterable[Waiting]) -> Waiting | None:
    """What a run waits for that has begun these waits; None: nothing.

    It can't end before the oldest of them has.
    """
    some = tuple(waits)
    return _all_of(some, min(wait.since for wait in some)) if some else None


def of_engine(runs: Iterable[Waiting | None], workers: int) -> Waiting | None:
    """What an engine waits for that has these runs; None: one of its workers waits for nothing."""
    some = [run for run in runs if run is not None]
    if not some or len(some) < workers:
        return None
    return _all_of(some, max(run.since for run in some))


def _all_of(waits: Iterable[Waiting], since: float) -> Waiting:
    return Waiting(frozenset().union(*(wait.queues for wait in waits)), since)


@value
class Told:
    """What an engine has told of itself. Times are seconds of the server's clock."""

    serves: frozenset[str]
    """The queues that it claims from."""
    waits_for: frozenset[str]
    """The queues without which none of its workers can go on; none: one of them can."""
    since: float
    """From when on that has been so."""
    at: float
    """When it was so still."""


@value
class Circle:
    """Engines that wait for jobs which nobody but themselves could run."""

    engines: frozenset[str]
    queues: frozenset[str]
    for_s: float
    """How long all of them have done so together, as far as is known; negative: never yet."""


def circle(engine: str, engines: Mapping[str, Told]) -> Circle | None:
    """The one that an engine is in; None: as far as is known, something can move.

    Args:
      engines: All that live.
    """
    found: dict[str, Told] = {}
    new, queues = {engine}, set[str]()
    while new:
        found |= {name: engines[name] for name in new}
        if not all(found[name].waits_for for name in new):
            return None
        queues |= frozenset().union(*(found[name].waits_for for name in new))
        serving = {
            queue: {name for name, told in engines.items() if queue in told.serves}
            for queue in queues
        }
        if not all(serving.values()):
            return None  # an engine is missing, and may come
        new = set().union(*serving.values()) - found.keys()
    for_s = min(told.at for told in found.values()) - max(told.since for told in found.values())
    return Circle(frozenset(found), frozenset(queues), for_s)
