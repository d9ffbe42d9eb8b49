"""A Python function as a handler: ``async def`` in the loop, ``def`` in a thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal

import attrs
import trio

from trioq.core.job import Job
from trioq.core.retry import Retry
from trioq.engine.handlers.binding import Binding

LeaseLoss = Literal["continue", "cancel"]

running_job: ContextVar[Job] = ContextVar("trioq_job")


def current_job() -> Job:
    """The job that runs here, also in a ``def`` handler's thread.

    Raises:
      LookupError: No job runs here.
    """
    try:
        return running_job.get()
    except LookupError:
        raise LookupError("no job runs here: current_job() is for handlers") from None


@attrs.frozen(eq=False)
class Function:
    """A function under a name."""

    name: str
    function: Callable[..., Any]
    queue: str | None = None
    timeout_s: float | None = None
    retry: Retry | None = None
    on_lease_loss: LeaseLoss = "continue"
    binding: Binding = attrs.field(init=False)
    is_async: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "binding", Binding.of(self.function))
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))

    async def run(self, job: Job, threads: trio.CapacityLimiter) -> Any:
        """Run it with the job's payload.

        Raises:
          BadPayload: The payload doesn't fit; the function wasn't called.
          BaseException: Whatever the function raises.

        Cancellation:
          A thread can't be stopped: it is left alone, and keeps its place under ``threads``
          until it ends. It may ask ``trio.from_thread.check_cancelled()``.
        """
        arguments = self.binding.bind(job.payload)
        reset = running_job.set(job)
        try:
            if self.is_async:
                if self.binding.wants_job:
                    return await self.function(job, **arguments)
                return await self.function(**arguments)
            first = (job,) if self.binding.wants_job else ()
            call = functools.partial(self.function, *first, **arguments)
            return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=threads)
        finally:
            running_job.reset(reset)
