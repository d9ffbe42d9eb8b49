"""What holds for a job that doesn't say otherwise.

The order is: option of the call, decorator or command, queue, ``[worker]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from trioq.core.job import Record
from trioq.core.keep import Keep
from trioq.core.retry import Retry
from trioq.engine.handlers import Handler


@attrs.frozen
class Rules:
    """What ``[worker]`` and the queues say."""

    retry: Retry
    timeout_s: float
    queue_timeouts_s: Mapping[str, float]
    max_result_bytes: int

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

    def result_of(self, handler: Handler | None, record: Record) -> Keep | None:
        """For how long what a run returns is kept; None: it isn't.

        Args:
          handler: None: nobody here knows the name.
        """
        keep_s = record.options.result_s
        if keep_s is None and handler is not None:
            keep_s = handler.result_s
        return None if keep_s is None else Keep(math.ceil(keep_s * 1000), self.max_result_bytes)
