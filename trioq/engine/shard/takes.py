"""What claimed jobs take of limits that arrived without: another language enqueued them, a client
that doesn't know this configuration, or an older one."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from trioq.core.flow import NO_PLAN, Plan
from trioq.core.formats import payload
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
    """

    plan: Callable[[str, str], Plan]
    any: bool
    _plans: dict[bytes, Plan] = attrs.field(factory=dict[bytes, Plan], init=False)
    """What stands in a record before its time → the plan of its jobs."""

    def __bool__(self) -> bool:
        return self.any

    def of(self, held: Held) -> tuple[str, ...]:
        """What a job takes. Of a payload that lies apart nobody looks at the fields."""
        head, at, _ = held.stored.partition(_AT)
        if at and self._plans.get(head) is NO_PLAN:
            return ()
        if (record := record_of(held)) is None:
            return ()
        plan = self.plan(record.name, record.queue)
        if at and len(self._plans) < MOST:
            self._plans[head] = plan
        try:
            content = payload.decode(record.payload) if plan.reads and record.payload else {}
            return plan.takes(content)
        except (RecordUnreadable, ValueError):
            return ()  # what can't be read dies of that
