"""The engines of a world, their ways to the store, and how much time may pass over them at once."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from trio.testing import MockClock

from trioq.app import App
from trioq.core.config import Config
from trioq.core.events import Event, Report
from trioq.core.job import Job
from trioq.core.shared import Shared
from trioq.engine.tracer import Tracer
from trioq.observe.fanout import to_all
from trioq.store.memory import MemoryStore
from trioq.testing import engines
from trioq.testing.calmed import calm, of_handlers
from trioq.testing.deaths import Deaths
from trioq.testing.engines import Running, Wrap, in_front
from trioq.testing.link import Link, Links
from trioq.testing.server import Space
from trioq.testing.timed import Timed


class Fleet(Timed):
    """Engines over one store, in the world's time.

    Args:
      app: Their handlers.
      config: Their configuration; None: one for the handlers.
      redis: Whether the store is on the embedded server.
      clock, begins: As of :class:`Timed`.
    """

    is_plain = False
    """Whether engines are as they are, for tests of the engine itself: nothing is around handlers,
    as faults and threads need it, and no poll is spared."""

    def __init__(
        self,
        app: App,
        config: Config | None,
        redis: bool,
        clock: MockClock | None,
        begins: datetime,
    ) -> None:
        super().__init__(clock, begins)
        self.app = app
        self._said = config
        self._redis = redis
        self.running: list[Running] = []
        """The engines that run, and those that have ended."""
        self.died = Deaths()
        """The jobs that did."""
        self.shared: Shared | None = None
        """What handlers share, if a test has said it."""
        self.tracer: Tracer | None = None
        self.listeners: tuple[Report, ...] = ()
        """Who else is told of all events."""
        self.wrap: Wrap | None = None
        """What each handler's function is replaced through, in engines that start from now on."""
        self._failing: dict[str, list[BaseException | type[BaseException]]] = {}
        """By handler: what its next attempts fail with."""

    @property
    def config(self) -> Config:
        """The configuration, as it is here: its engines beat and look seldom."""
        return calm(self._said or of_handlers(self.app))

    @cached_property
    def space(self) -> Space:
        """What all engines and clients share."""
        make = Space.on_redis if self._redis else Space.in_memory
        return make(self.config, self.epoch_s)

    @cached_property
    def links(self) -> Links:
        """All ways to the store."""
        return Links(self.space, lambda: self.now)

    def link(self) -> Link:
        """One more way to the store, for an engine or a client."""
        return self.links.one_more()

    # -- engines -------------------------------------------------------------------------------

    async def start(self, app: App | None = None, config: Config | None = None) -> Running:
        """One more engine, once it has started.

        Args:
          app: Its handlers. Default: the world's.
          config: Its configuration. Default: the world's.

        Returns:
          The engine, which can be killed, drained, frozen and cut off.

        Raises:
          RuntimeError: Nothing of this world runs here.
          ConfigError: The configuration and the handlers don't fit.
        """
        nursery = self.nursery_here()
        report = to_all(self.report, *self.listeners)
        made = engines.engine(
            app or self.app, config or self.config, self.link(), report, self, self._hears
        )
        await nursery.start(made.run)
        self.running.append(made)
        return made

    def called(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in place of a handler's function.

        Args:
          name: The handler's.
          function: Its function.
        """
        wrapped = function if self.wrap is None else self.wrap(name, function)
        return in_front(functools.partial(self._begins_run, name), wrapped)

    def ended(self) -> None:
        """Told when an engine has."""
        self.look()

    def report(self, event: Event) -> None:
        """Tell of an event."""
        self.died.hear(event)
        super().report(event)

    def _begins_run(self, name: str) -> None:
        """A handler is about to be called."""
        if left := self._failing.get(name):
            raise left.pop(0)

    async def _hears(self, job: Job[Any]) -> AsyncIterator[None]:
        """Around each run of a handler."""
        try:
            yield
        except BaseException as error:
            self.died.raised[job.uid] = error
            raise

    def _left_off(self) -> None:
        self.running.clear()

    # -- how time passes over them -------------------------------------------------------------

    @property
    def is_at_rest(self) -> bool:
        """Whether no job runs or may run before it is due, and no engine is missing."""
        its = self.space.its
        if not isinstance(its, MemoryStore):
            return False  # it would take some questions each time
        runs = [each for each in self.running if each.runs]
        if len(its.space.boots) != len(runs) or not all(each.is_well for each in runs):
            return False
        waiting = sum(len(queue.scheduled) for queue in its.space.queues.values())
        return waiting == self.space.alive

    def _leap(self, left_s: float) -> float:
        """Until the next job or tick is due, if till then engines would only say that they live,
        and the test waits for us."""
        if self.awaited is None or not self.is_at_rest:
            return left_s
        runs = [each for each in self.running if each.runs]
        next_at = min([self.awaited, *(min(e.link.due_at, e.link.tick_at) for e in runs)])
        leap_s = next_at - self.now
        if not left_s < leap_s < math.inf:
            return left_s
        for each in runs:
            each.leap(leap_s)
        return leap_s
