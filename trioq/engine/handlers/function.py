"""A Python function as a handler: ``async def`` in the loop, ``def`` in a thread."""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any, Literal

import attrs
import trio
from attrs import validators as v

from trioq.core.job import Job
from trioq.core.retry import Retry
from trioq.core.valid import NAME, QUEUE_PATTERN, TIMEOUT_S
from trioq.core.wants import WANTS, NothingLeft
from trioq.engine.handlers.binding import Binding
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.threads import run_in_thread

LeaseLoss = Literal["continue", "cancel"]

running_job: ContextVar[Job] = ContextVar("trioq_job")


def current_job() -> Job:
    """The job that runs here, also in a ``def`` handler's thread and in a handler's tasks.

    Raises:
      LookupError: No job runs here.
    """
    try:
        return running_job.get()
    except LookupError:
        raise LookupError(
            "no job runs here: current_job() is for handlers, while an engine runs them"
        ) from None


def _is_name(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    NAME.check("the name", value)


def _is_timeout(_: object, attribute: attrs.Attribute[float], value: float | None) -> None:
    if value is not None:
        TIMEOUT_S.check("the timeout", value)


@attrs.frozen(eq=False)
class Function:
    """A function under a name.

    Raises:
      TypeError: A parameter that no field of a JSON object can fill, or a generator.
      ValueError: A name, a timeout or another option that can't be.
    """

    name: str = attrs.field(validator=_is_name)
    function: Callable[..., Any]
    queue: str | None = attrs.field(default=None, validator=v.optional(v.matches_re(QUEUE_PATTERN)))
    timeout_s: float | None = attrs.field(default=None, validator=_is_timeout)
    retry: Retry | None = attrs.field(default=None, validator=v.optional(v.instance_of(Retry)))
    on_lease_loss: LeaseLoss = attrs.field(
        default="continue", validator=v.in_(("continue", "cancel"))
    )
    binding: Binding = attrs.field(init=False)
    is_async: bool = attrs.field(init=False)

    @binding.default
    def _bind(self) -> Binding:
        return Binding.of(self.function)

    @is_async.default
    def _look(self) -> bool:
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise TypeError(f"{self.name}: a handler returns, it doesn't yield")
        return inspect.iscoroutinefunction(self.function)

    def run(self, job: Job, threads: trio.CapacityLimiter, kill_after_s: float) -> Awaitable[Any]:
        """Bind the job's payload, and return what runs the function, in a context of its own.

        Args:
          threads: Bounds how many ``def`` handlers run at a time.
          kill_after_s: Is for commands; nothing can kill a thread.

        Raises:
          BadPayload: The payload doesn't fit; the function wasn't called.
          NothingLeft: Nor was it for want of memory.

        When awaited, it raises whatever the function raises; and of a ``def`` handler that is
        cancelled, NoThread or ThreadLeftBehind.
        """
        try:
            arguments = self.binding.bind(job.payload)
        except MemoryError:
            raise NothingLeft(WANTS[errno.ENOMEM]) from None
        context = copy_context()
        context.run(running_job.set, job)
        first = () if self.binding.job_parameter is None else (job,)
        if self.is_async:
            return Isolated(self.function(*first, **arguments), context)
        call = functools.partial(context.run, self.function, *first, **arguments)
        return run_in_thread(call, self.name, threads)
