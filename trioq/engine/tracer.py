"""What an engine asks of whoever traces it; :mod:`trioq.observe.spans` is that for OpenTelemetry.

An engine without a tracer pays one comparison for each job.
"""

from __future__ import annotations

from typing import Protocol

from trioq.core.job import Headers, Uid
from trioq.core.outcome import Outcome
from trioq.core.settlements import Settlement


class RunSpan(Protocol):
    """The span of one run. It is current from its beginning to its end, for the handler too."""

    @property
    def headers(self) -> Headers:
        """What the handler's own requests, and this attempt's successor, refer to."""

    @property
    def is_recorded(self) -> bool:
        """Whether it's worth asking for what to link to."""

    def link(self, traceparent: str) -> None:
        """An earlier attempt of the same job."""

    def end(self, settlement: Settlement, outcome: Outcome, *, is_abandoned: bool = False) -> None:
        """How the handler ended, and what becomes of the job.

        Args:
          is_abandoned: The handler goes on: :meth:`over` follows in its task, if it ends.
        """

    def over(self) -> None:
        """The span isn't current any more."""


class Tracer(Protocol):
    """Makes an engine's spans. Called in the engine's loop, so it must be quick."""

    def found(self, uid: Uid, name: str, queue: str) -> Headers:
        """The directory producer has made a job: what its record shall carry."""

    def claimed(self, step: int, jobs: int, settled: int, took_s: float) -> None:
        """Step ``n`` was answered just now, and brought jobs."""

    def run(
        self,
        uid: Uid,
        name: str,
        queue: str,
        enqueued: Headers,
        *,
        attempt: int,
        step: int,
        boot: str,
    ) -> RunSpan:
        """A job that step ``n`` claimed begins to run, in the calling task.

        Args:
          enqueued: What its record carries.
        """
