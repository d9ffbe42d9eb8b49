"""What claimed jobs take of limits that arrived without some of it: another language enqueued them,
a client that doesn't know this configuration or its app, or an older one.

What is missing is added, and nothing is taken away. So engines of two deployments don't hand a job
to and fro: each of them has it go back once at most.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from trioq.core.events import LimitLeftOut, Report
from trioq.core.flow import Limit, Plan
from trioq.core.formats import payload
from trioq.core.limits import TAKES_KEPT, limit_of
from trioq.engine.claim import Held
from trioq.engine.shard.telling import record_of
from trioq.errors import RecordUnreadable

#: What comes behind name and queue in a record.
_AT = b',"at":'

#: So many kinds of records are remembered.
MOST = 512


@attrs.define
class Takes:
    """As the configuration and the handlers say.

    Args:
      plan: What the jobs of a name take in a queue.
      any: Whether there is any limit.
      report: Told of a limit that no place is left for.
    """

    plan: Callable[[str, str], Plan]
    any: bool
    report: Report
    _plans: dict[bytes, Plan] = attrs.field(factory=dict[bytes, Plan], init=False)
    """What stands in a record before its time → the plan of its jobs."""

    def __bool__(self) -> bool:
        return self.any

    def of(self, held: Held) -> tuple[str, ...]:
        """What a job takes from now on, if that is more than it does; none: it lacks nothing.

        Of a payload that lies apart nobody looks at the fields.
        """
        head, at, _ = held.stored.partition(_AT)
        plan = self._plans.get(head) if at else None
        if plan is not None and not _missing(plan, held):
            return ()
        if (record := record_of(held)) is None:
            return ()
        plan = self.plan(record.name, record.queue)
        if at and len(self._plans) < MOST:
            self._plans[head] = plan
        lacks = attrs.evolve(plan, limits=_missing(plan, held))
        try:
            content = payload.decode(record.payload) if lacks.reads and record.payload else {}
            more = lacks.takes(content)
        except (RecordUnreadable, ValueError):
            return ()  # what can't be read dies of that
        # Limits that are gone may well fill the places of one deployment: they hinder no other's.
        room = max(0, TAKES_KEPT - len(held.takes))
        if room:
            return (*held.takes, *more[:room]) if more else ()
        for take in more:
            self.report(LimitLeftOut(held.uid, record.name, record.queue, limit_of(take)))
        return ()


def _missing(plan: Plan, held: Held) -> tuple[Limit, ...]:
    """Limits of which it takes nothing. Of which it does, another field may be the key by now."""
    if not plan.limits or not held.takes:
        return plan.limits
    known = {limit_of(take) for take in held.takes}
    return tuple(limit for limit in plan.limits if limit.name not in known)
