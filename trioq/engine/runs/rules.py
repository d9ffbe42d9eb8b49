"""What holds for a job that doesn't say otherwise.

The order is: option of the call, decorator or command, queue, ``[worker]``.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from trioq.core.job import Record
from trioq.core.retry import Retry
from trioq.engine.handlers import Handler


@attrs.frozen
class Rules:
    """What ``[worker]`` and the queues say."""

    retry: Retry
    timeout_s: float
    queue_timeouts_s: Mapping[str, float]

    def retry_of(self, handler: Handler, record: Record) -> Retry:
        """How often a job is tried, and how long it waits in between."""
        retry = handler.retry or self.retry
        wanted = record.options.max_attempts
        return retry if wanted is None else attrs.evolve(retry, max_attempts=wanted)

    def timeout_of(self, handler: Handler, record: Record) -> float:
        """How long a run may take, in seconds."""
        for timeout_s in (
            record.options.timeout_s,
            handler.timeout_s,
            self.queue_timeouts_s.get(record.queue),
        ):
            if timeout_s is not None:
                return timeout_s
        return self.timeout_s
