"""A world: one namespace, its engines and its clients, in virtual time.

What it is made of lies beside it, each to be read alone: its time (:mod:`.timed`), its engines
(:mod:`.fleet`), what goes wrong (:mod:`.faults`), what it can be asked (:mod:`.asking`), and what
runs its jobs (:mod:`.draining`, :mod:`.performing`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from trio.testing import MockClock

from trioq.app import App
from trioq.client.client import Client
from trioq.client.loop_runtime import LoopClient
from trioq.client.sync import SyncClient
from trioq.core.call import Call
from trioq.core.config import Config
from trioq.core.shared import Shared
from trioq.testing.asking import Asking
from trioq.testing.calmed import chosen
from trioq.testing.clients import Clients
from trioq.testing.draining import Drained, drain
from trioq.testing.faults import Faulty
from trioq.testing.foreign import anywhere
from trioq.testing.moments import EPOCH, Time, Until, seconds_until, whole_seconds
from trioq.testing.performing import Verdict, perform

T = TypeVar("T")


class World(Faulty, Asking):
    """One namespace in virtual time, in this process.

    Args:
      app: The handlers. Default: those that the configuration names; else an empty one.
      config: The configuration, or its file. Default: as the command line finds it; else one with
          the queues of the handlers, and ``default``.
      redis: On the embedded server of this process, and not in memory. It is the same: the server
          goes by the world's clock.
      clock: Trio's, where somebody else runs it: an ``autojump_clock``.
      begins: What its clocks show first, with a zone; a fraction of a second is left out. Default:
          2023-11-14 22:13:20 UTC, whenever the test is run.

    Raises:
      ValueError: The beginning has no zone.
      ConfigError: The configuration is wrong, or the app can't be imported.
    """

    def __init__(
        self,
        app: App | None = None,
        config: Config | Path | str | None = None,
        *,
        redis: bool = False,
        clock: MockClock | None = None,
        begins: datetime | None = None,
    ) -> None:
        first = EPOCH if begins is None else whole_seconds(begins)
        super().__init__(*chosen(app, config), redis, clock, first)
        self.unfinished: list[Callable[[], bool]] = []
        """Asked by :meth:`drain`: whether there is more to wait for than jobs."""

    # -- what handlers and callers have --------------------------------------------------------

    @property
    def deps(self) -> Any:
        """What handlers find as ``job.deps`` in engines that start from now on, once a test has
        said it: no lifespan of an app is entered then. So it outlives engines that are killed.

        Raises:
          AttributeError: Nothing has been said: lifespans are entered, as ever.
        """
        if self.shared is None:
            raise AttributeError("tq.deps isn't set: engines enter the app's lifespan")
        return self.shared.deps

    @deps.setter
    def deps(self, deps: Any) -> None:
        self.shared = Shared(deps)

    @cached_property
    def clients(self) -> Clients:
        """Where this world's clients lead, and all of the process while it is led there."""
        return Clients(self, self.link())

    @property
    def client(self) -> Client:
        """A client for async code: in trio, in this world's time; and in asyncio."""
        return self.clients.client()

    @property
    def sync_client(self) -> SyncClient:
        """A client for ordinary code, in any thread. It waits for no job while none runs: first
        ``tq.run(tq.drain)``."""
        return self.clients.sync_client()

    @property
    def aio_client(self) -> LoopClient:
        """A client for asyncio, of the kind that :func:`trioq.aio.connect` makes."""
        return self.clients.aio_client()

    # -- running jobs --------------------------------------------------------------------------

    @anywhere
    async def drain(
        self, until: Until | None = None, *, scheduled: bool = True, raises: bool = True
    ) -> Drained:
        """Run what is there until no job waits, runs or is scheduled: retries and delays take their
        time, which is virtual. Ticks that schedules will make don't count.

        It is done by the engines that run, or else by one that runs for as long as that takes.

        Args:
          until: When it is over at the latest: after so long (``"1d"``, seconds, a timedelta), at a
            time (a datetime with a zone), or as soon as a function says so. What still runs then is
            cancelled and given back, unless it is in an engine that goes on.
          scheduled: Whether jobs that are due later are waited for.
          raises: Whether deaths that nobody expects (:meth:`deaths`) are failures.

        Returns:
          What has been run, by how it ended.

        Raises:
          JobsDied: Jobs died, of what their handlers raised.
          NothingMoves: Jobs wait for what never comes: why, of each.
          NeverEnds: A handler has run 5000 times, and ``until`` isn't said.
        """
        drained = await drain(self, until, scheduled=scheduled)
        if raises:
            self.died.tell()
        return drained

    @anywhere
    async def perform(self, call: Call[T], *, attempt: int = 1) -> T | Verdict:
        """Run one attempt of a call: its payload goes through the codec and to the handler, with
        its timeout, its middleware and its context, in an engine of its own. Nothing is enqueued
        here, and what waits here doesn't run.

        Args:
          call: The call, ``handler.call(…)``.
          attempt: Which one it is.

        Returns:
          What the handler returned; a :class:`Verdict` if it raised RetryLater, GiveUp or Snooze.

        Raises:
          Exception: What the handler raised.
          TimeoutError: It took too long.
          PayloadRejected: The payload doesn't fit.
        """
        result: T | Verdict = await perform(self, call, attempt)
        return result

    @anywhere
    async def advance(self, time: Time | datetime) -> None:
        """Let time pass, in which the engines that run do what there is to do.

        Args:
          time: How long: seconds, a text such as ``"1d"``, or a timedelta. Or until when: a
              datetime with its zone.

        Raises:
          ValueError: It is no time, or has passed.
        """
        if (seconds := seconds_until(time, self.time)) < 0:
            raise ValueError(f"{time} has passed: it is {self.time}")
        await self.pass_by(seconds)

    def close(self) -> None:
        """Nothing of it is left."""
        self.died.raised.clear()
        if "space" in vars(self):
            self.space.close()
