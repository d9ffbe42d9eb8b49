"""One attempt of one call, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

import attrs

from trioq.client.ends import job_end
from trioq.client.jobs import Drafts
from trioq.core.call import Call
from trioq.core.calls import End, NewJob
from trioq.core.events import (
    Event,
    JobCancelled,
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobSnoozed,
    JobSucceeded,
)
from trioq.core.job import Job
from trioq.core.keep import Keep
from trioq.core.outcome import Error
from trioq.engine.handlers import Function
from trioq.errors import GiveUp, JobControl, PayloadRejected
from trioq.observe.fanout import to_all
from trioq.store.memory import MemoryStore
from trioq.testing import engines
from trioq.testing.link import Link
from trioq.testing.server import Space

if TYPE_CHECKING:
    from trioq.testing.world import World

Word = Literal["retry", "dead", "snooze", "cancelled", "released"]


@attrs.frozen
class Verdict:
    """What becomes of a job whose handler has said so itself, and has returned nothing."""

    word: Word
    """``retry``: after a RetryLater; ``dead``: it gave up; ``snooze``: it runs again, and the
    attempt doesn't count; ``released``: likewise, at once or when a limit has rested;
    ``cancelled``: somebody has cancelled it meanwhile."""
    again_in_s: float | None = None
    """When it runs again, in seconds."""
    reason: str = ""


@attrs.define
class Attempt:
    """What is seen of one."""

    returned: Any = None
    raised: BaseException | None = None
    end: Event | None = None

    def hear(self, event: Event) -> None:
        """Of an event; the first that ends the attempt is kept."""
        if self.end is None and isinstance(event, ENDS):
            self.end = event

    def enqueue(self, space: Space, job: NewJob, attempt: int) -> None:
        """Put the job where its engine finds it."""
        space.store.enqueue("perform", 1, [job])
        assert isinstance(space.its, MemoryStore)
        space.its.space.jobs[job.uid].attempts = attempt - 1

    async def around(self, job: Job[Any]) -> AsyncIterator[None]:
        """Around all that is around the handler."""
        try:
            self.returned = yield
        except BaseException as error:
            self.raised = error
            raise

    def result(self) -> Any:
        """What the handler returned, or a verdict.

        Raises:
          PayloadRejected: The payload doesn't fit the handler.
          TimeoutError: The attempt has taken too long.
          Exception: What the handler raised.
        """
        match self.end:
            case JobSucceeded():
                return self.returned
            case JobSnoozed(again_in_s=seconds):
                return Verdict("snooze", seconds)
            case JobReleased():
                return Verdict("released", None, str(self.raised or ""))
            case JobCancelled(reason=reason):
                return Verdict("cancelled", None, reason)
            case JobFailed(error=error, again_in_s=seconds):
                if isinstance(self.raised, JobControl):
                    return Verdict("retry", seconds, error.message)
                raise self._error(error)
            case JobDied(error=error, reason=reason):
                if isinstance(self.raised, GiveUp):
                    return Verdict("dead", None, error.message)
                if isinstance(self.raised, JobControl):  # it asked for one attempt too many
                    return Verdict("dead", None, error.message)
                if reason == "bad_payload":
                    raise PayloadRejected(error.message)
                raise self._error(error)
            case end:
                raise AssertionError(f"it wasn't run: {end}")

    def _error(self, error: Error) -> BaseException:
        if error.kind == "timeout":
            return TimeoutError(error.message)
        return self.raised or AssertionError(f"{error.type}: {error.message}")


async def perform(world: World, call: Call[Any], attempt: int) -> Any:
    """Run one attempt, by an engine of its own over a space of its own; its handler's clients lead
    into the world.

    Returns:
      As :meth:`Attempt.result`, and it raises the same; a result that is kept as who waits for it
      gets it.

    Raises:
      ResultUnfit, ResultTooLarge: It can't be kept.
    """
    seen = Attempt()
    space = Space.in_memory(world.config, world.epoch_s)
    report = to_all(seen.hear, world.tell)
    made = engines.engine(
        world.app, world.config, Link(space), report, world, seen.around, clients=world.link()
    )
    job = Drafts(world.config, knows_queues=True).draft(call, None)
    seen.enqueue(space, job, attempt)
    await world.nursery_here().start(made.run)
    while seen.end is None:
        await world.changed()
    made.engine.hurry()
    await made.ended.wait()
    returned = seen.result()
    if isinstance(returned, Verdict) or not _is_kept(call):
        return returned
    kept = Keep(0, world.config.worker.max_result_bytes).kept(returned)
    end = End(kept.word, kept.value)
    return job_end(job.uid, end, None, expected=call.expected, wants_result=None).result()


def _is_kept(call: Call[Any]) -> bool:
    """Whether its result is."""
    function = call.expected
    said = function.result_s if isinstance(function, Function) else None
    return bool(call.options.get("result", said))


ENDS = (JobSucceeded, JobFailed, JobDied, JobSnoozed, JobCancelled, JobReleased, JobParked)
