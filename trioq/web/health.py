"""Whether an engine is ready: pure, from its status.

Ready means that a job which is enqueued now would be run. A green light on an engine that
does nothing is worse than none, so it isn't enough that the process lives and Redis answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from trioq.engine.status import Status

#: An engine that claims nothing for so long although it could isn't ready.
STANDSTILL_S = 10.0

#: Nor is one whose last look at Redis is overdue by so much.
SILENCE_S = 5.0

#: Nor one whose loop was late by so much a moment ago.
LAG_S = 5.0


@attrs.frozen
class Check:
    """One of the things that must be so."""

    name: str
    ok: bool
    told: str


def checks(status: Status | None) -> tuple[Check, ...]:
    """All that must be so; None: the engine isn't there yet, or any more."""
    if status is None:
        return (Check("engine", False, "not started"),)
    made = [_redis(status), _loop("loop", status.lag_s), _draining(status)]
    if status.asyncio_lag_s is not None:
        made.insert(2, _loop("asyncio", status.asyncio_lag_s))
    if status.entering:
        made[1:1] = [Check("lifespan", False, f"{status.entering} is being entered")]
    if "worker" in status.roles:
        made[1:1] = [_registered(status), _claiming(status), _resources(status)]
    return tuple(made)


def readiness(status: Status | None) -> tuple[bool, dict[str, Any]]:
    """Whether it is ready, and as JSON why or why not."""
    made = checks(status)
    ready = all(check.ok for check in made)
    return ready, {
        "ready": ready,
        "engine": (status.engine or status.name) if status else None,
        "checks": {check.name: {"ok": check.ok, "told": check.told} for check in made},
    }


def _redis(status: Status) -> Check:
    if status.redis_away:
        return Check("redis", False, "calls go unanswered")
    if status.seen is None or status.at > status.seen.ends + SILENCE_S:
        return Check("redis", False, "hasn't answered lately")
    ago_s, took_s = status.at - status.seen.at, status.seen.glance.took_s
    return Check("redis", True, f"answered in {took_s * 1000:.1f} ms, {ago_s:.1f} s ago")


def _registered(status: Status) -> Check:
    if status.engine is None:
        return Check("registered", False, "the server doesn't know this engine")
    if not status.has_lease:
        return Check("registered", False, "its signs of life don't get through")
    return Check("registered", True, "with a lease")


def _claiming(status: Status) -> Check:
    stuck_s = status.seen.stuck_s if status.seen else 0.0
    told = f"{status.running} of {status.workers} workers run"
    if stuck_s >= STANDSTILL_S:
        told += f"; jobs are ready, but nothing was claimed for {stuck_s:.0f} s"
    return Check("claiming", stuck_s < STANDSTILL_S, told)


def _resources(status: Status) -> Check:
    if status.want is None:
        return Check("resources", True, "nothing is wanting")
    return Check("resources", False, f"jobs went back for want of {status.want}; it claims less")


def _loop(name: str, lag_s: float) -> Check:
    return Check(name, lag_s < LAG_S, f"at most {lag_s * 1000:.0f} ms late lately")


def _draining(status: Status) -> Check:
    return Check("draining", not status.draining, "yes" if status.draining else "no")
