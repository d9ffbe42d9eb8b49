"""Jobs that wait for a runner, and hold no worker meanwhile.

A worker that finds no runner free sets the job aside and goes on with the next one; when a run
has ended, what waits longest comes back to the head of the line. The engine claims in its place:
so handlers that need no runner go on, however many jobs wait for one.

That has a bound. A queue of which as many wait as there are workers isn't claimed from until
there are fewer; where that is so of all queues, nothing is claimed at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs

from trioq.core.formats.record import decode
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Held
from trioq.engine.handlers import Apart, Handler, Runners
from trioq.errors import RecordUnreadable


@attrs.define(eq=False)
class Aside:
    """An engine's.

    Args:
      enough: Of so many jobs that wait, a queue has sent enough.
      poke: Called when the engine can do with other jobs.
    """

    runners: Runners
    handlers: Mapping[str, Handler]
    backlog: Backlog
    enough: int
    poke: Callable[[], None]

    def takes(self, held: Held) -> bool:
        """Set this job aside, if it needs a runner and none is free."""
        if self.runners.free > 0 or self._queue_of(held) is None:
            return False
        self.backlog.aside.append(held)
        self.poke()
        return True

    def recall(self) -> None:
        """A job has ended: have as many come back as there are runners free."""
        waiting = self.backlog.aside
        count = min(self.runners.free, len(waiting))
        if count > 0:
            called = [waiting.popleft() for _ in range(count)]
            self.backlog.put_back(called)

    def claimable(self, queues: Sequence[str]) -> tuple[str, ...]:
        """Those of these queues of which not enough jobs wait."""
        if len(self.backlog.aside) < self.enough:
            return tuple(queues)
        waiting = Counter(self._queue_of(held) for held in self.backlog.aside)
        return tuple(queue for queue in queues if waiting[queue] < self.enough)

    def _queue_of(self, held: Held) -> str | None:
        """The queue of a job that needs a runner; None: it needs none."""
        try:
            record = decode(held.uid, held.stored).record
        except RecordUnreadable:
            return None
        return record.queue if isinstance(self.handlers.get(record.name), Apart) else None
