"""The runners of one engine, and a handler that runs in them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from trioq.core.blame import Errors
from trioq.core.flow import Limit
from trioq.core.job import Job
from trioq.core.keep import Keep
from trioq.core.outcome import Failed, Interrupted, Outcome, Succeeded
from trioq.core.retry import Retry
from trioq.core.wants import NothingLeft
from trioq.engine.handlers.begun import Broken
from trioq.engine.handlers.function import Function, LeaseLoss
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.place import place
from trioq.engine.handlers.runners.ends import Ended, RunnerKilled, RunnerRefused
from trioq.engine.handlers.runners.frames import Frame, job_in
from trioq.engine.handlers.runners.runner import Launch, Runner
from trioq.errors import ConfigError, LifespanError


@attrs.define(eq=False)
class Runners:
    """They are started when they are first needed, and kept.

    Args:
      most: How many there may be.
      jobs_each: After so many jobs a runner is replaced; None: never.
    """

    launch: Launch
    most: int
    jobs_each: int | None = None
    _places: trio.CapacityLimiter = attrs.field(init=False)
    _idle: list[Runner] = attrs.field(factory=list[Runner], init=False)
    """The one that was used last comes last, and is used first."""
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    @_places.default
    def _make_places(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(self.most)

    @property
    def free(self) -> int:
        """How many more jobs could be run at this moment."""
        return self.most - self._places.borrowed_tokens

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start one, to see that it can be done, and look after all of them.

        ``task_status.started()`` comes when that one stands.

        Raises:
          ConfigError: The app can't be imported in another process, or lacks handlers there.
          LifespanError: That of an app failed in there, at its start.

        Cancellation: idle ones are seen off; those that are lent, when they come back.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await self._start_first(nursery)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None
                while self._idle:
                    self._idle.pop().leave()

    async def _start_first(self, nursery: trio.Nursery) -> None:
        try:
            self._idle.append(await nursery.start(Runner.live, self.launch))
        except RunnerRefused as refused:
            if refused.is_lifespan:
                raise LifespanError(f"in a process of its own: {refused.why}") from None
            raise ConfigError([f"app: it can't be run in a process: {refused.why}"]) from None
        except NothingLeft:
            pass  # jobs that need one will tell

    @asynccontextmanager
    async def lent(
        self, timeout_of: Callable[[], float | None], keep: Keep | None = None
    ) -> AsyncIterator[InRunner | Broken]:
        """Something to run one job with, in a runner of its own meanwhile.

        Waits until one is free, and starts it if need be; none of this is the handler's time.

        Args:
          timeout_of: Asked when there is one: what the run may take from then on.
          keep: That what it returns is kept; None: it isn't told.

        Cancellation: while it waits.
        """
        async with self._places:
            runner = await self._one()
            if isinstance(runner, Broken):
                yield runner
                return
            try:
                yield InRunner(runner, timeout_of(), keep)
            finally:
                self._take_back(runner)

    async def _one(self) -> Runner | Broken:
        while self._idle:
            if (runner := self._idle.pop()).is_alive():
                return runner
        assert self._nursery is not None, "runners are lent while they are looked after"
        try:
            started: Runner = await self._nursery.start(Runner.live, self.launch)
        except (RunnerRefused, NothingLeft) as error:
            return Broken(error)
        return started

    def _take_back(self, runner: Runner) -> None:
        is_worn = self.jobs_each is not None and runner.jobs >= self.jobs_each
        if runner.is_fit and not is_worn and self._nursery is not None:
            self._idle.append(runner)
        else:
            runner.leave()


@attrs.frozen(eq=False)
class InRunner:
    """One job's: what runs it in a runner that is lent for it."""

    runner: Runner
    timeout_s: float | None
    keep: Keep | None = None

    async def run(self, job: Job, threads: object, grace: Grace) -> Any:
        """Run the job's handler in there.

        Returns:
          What is kept of what that returned; else whether that was anything.

        Raises:
          Ended: How it ended, if it didn't return.
          RunnerDied: The process ended before that.
          RunnerKilled: It was cancelled, and went on.

        Cancellation: it is cancelled in there, its process group gets SIGTERM and then SIGKILL;
        up to ``grace.grace_s`` later :exc:`trio.Cancelled` comes out, or how it ended.
        """
        try:
            outcome = await self.runner.run(self._frame(job), job._on_board)
        except trio.Cancelled as cancelled:
            ended = await self.runner.stop(grace.grace_s, cancelled.reason)
            if ended is None:
                raise RunnerKilled from None
            if isinstance(ended, Interrupted):
                raise
            outcome = ended
        if _spoils(outcome):
            self.runner.leave()
        if not isinstance(outcome, Succeeded):
            raise Ended(outcome)
        return outcome.result

    def _frame(self, job: Job) -> Frame:
        here = place.get(None)
        return {
            "job": job_in(job),
            "timeout_s": self.timeout_s,
            "result_bytes": None if self.keep is None else self.keep.max_bytes,
            # All processes of a system share this clock.
            "began": time.monotonic(),
            "place": None if here is None else attrs.astuple(here),
        }


def _spoils(outcome: Outcome) -> bool:
    """Whether it leaves something behind in its process: what it began, or no memory."""
    return isinstance(outcome, Failed) and (
        outcome.error.kind == "timeout" or outcome.error.type == "MemoryError"
    )


@attrs.frozen(eq=False)
class Apart:
    """A function under a name, each run of which is in a process."""

    function: Function
    runners: Runners

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def queue(self) -> str | None:
        return self.function.queue

    @property
    def timeout_s(self) -> float | None:
        return self.function.timeout_s

    @property
    def retry(self) -> Retry | None:
        return self.function.retry

    @property
    def on_lease_loss(self) -> LeaseLoss:
        return self.function.on_lease_loss

    @property
    def result_s(self) -> float | None:
        return self.function.result_s

    @property
    def id_from(self) -> tuple[str, ...]:
        return self.function.id_from

    @property
    def errors(self) -> Errors:
        return self.function.errors

    @property
    def limits(self) -> tuple[Limit, ...]:
        return self.function.limits

    @property
    def shared(self) -> None:
        """It shares what its runner has."""

    async def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Any:
        """Run it as :meth:`InRunner.run` does, after waiting for a runner."""
        async with self.runners.lent(lambda: None) as lent:
            return await lent.run(job, threads, grace)
