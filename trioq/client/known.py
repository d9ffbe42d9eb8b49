"""Why there is no such thing, with what may have been meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from trioq.core.config.rules import did_you_mean
from trioq.store.inspect import BreakerView, EngineStats

#: So many are named of those that there are.
NAMED = 20


def first(names: Iterable[str], count: int = NAMED) -> str:
    """The first few of many names, as they come."""
    known = list(names)
    more = len(known) - count
    return ", ".join(known[:count]) + (f" and {more:,} more" if more > 0 else "")


def why_no_breaker(
    name: str,
    found: Collection[BreakerView],
    engines: Iterable[EngineStats],
    configured: Iterable[str],
) -> str:
    """Why nothing is known of a breaker of this name; empty: it is.

    Args:
      name: What somebody took for a breaker's.
      found: What is told of breakers.
      engines: Those that live.
      configured: Those of the configuration.
    """
    guards = dict[str, set[str]]()  # handler → its breakers, of several deployments; "": none
    for engine in engines:
        for job in engine.info.names:
            guards.setdefault(job, set()).add(engine.info.behind.get(job, job))
    shut = dict[str, set[str]]()  # an engine of an older version tells it of these alone
    for each in found:
        for job in each.jobs:
            shut.setdefault(job, set()).add(each.name)
    guards |= shut
    known = {each.name for each in found}.union(configured, *guards.values()) - {""}
    if name in known:
        return ""
    if behind := sorted(guards.get(name, set()) - {""}):
        return f"{name} is behind the breaker {first(behind)}: reset that"
    if name in guards:
        return f"{name} has no breaker: its handler says breaker=None"
    others = f"; there are {first(sorted(known))}" if known else ": nothing has one"
    return f"no breaker {name!r}{did_you_mean(name, known) or others}"
