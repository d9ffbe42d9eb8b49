"""Asks a world what is enqueued, and what its schedules will be."""

from __future__ import annotations

from typing import Any

from trioq.app import App
from trioq.core.config import Config
from trioq.engine.handlers.scheduled import schedules
from trioq.testing import engines, looking
from trioq.testing.looking import Seen, Wanted, What
from trioq.testing.possible import may_be
from trioq.testing.schedules import Schedules
from trioq.testing.server import Space


class Asking:
    """A world that can be asked."""

    app: App

    @property
    def config(self) -> Config:
        """The configuration."""
        raise NotImplementedError

    @property
    def space(self) -> Space:
        """Where the jobs are."""
        raise NotImplementedError

    def enqueued(
        self,
        what: What | None = None,
        /,
        *,
        queue: str | None = None,
        id: str | None = None,
        state: str | None = None,
        **payload: Any,
    ) -> list[Seen]:
        """The jobs that wait or run, in the order in which they were made.

        Args:
          what: Of this handler, or of the one of this name; or with the payload of this call.
          queue: In this queue.
          id: With this id of the caller's own.
          state: In this state, which may also be ``dead``, ``done`` or ``cancelled``.
          payload: With these fields, which have these values.

        Returns:
          They.

        Raises:
          ValueError: There can't be one, as there is no such handler, queue, state or field.
        """
        jobs = looking.all_seen(self.space)
        wanted = Wanted.of(what, queue, id, state, payload)
        may_be(wanted, what, self.app, self.config, jobs)
        return wanted.among(jobs)

    def assert_enqueued(
        self,
        what: What | None = None,
        /,
        *,
        count: int | None = None,
        queue: str | None = None,
        id: str | None = None,
        state: str | None = None,
        **payload: Any,
    ) -> list[Seen]:
        """There are such jobs; see :meth:`enqueued`.

        Args:
          what, queue, id, state, payload: As of :meth:`enqueued`.
          count: So many. Default: at least one.

        Returns:
          They.

        Raises:
          AssertionError: There aren't: with those that come nearest, and what is otherwise there.
          ValueError: There can't be one; see :meth:`enqueued`.
        """
        __tracebackhide__ = True
        wanted = Wanted.of(what, queue, id, state, payload)
        jobs = looking.all_seen(self.space)
        may_be(wanted, what, self.app, self.config, jobs)
        if told := looking.not_as_wanted(wanted, jobs, count):
            raise AssertionError(told)
        return wanted.among(jobs)

    def assert_not_enqueued(self, what: What | None = None, /, **criteria: Any) -> None:
        """There is no such job; see :meth:`assert_enqueued`. What there can't be is no answer."""
        __tracebackhide__ = True
        self.assert_enqueued(what, count=0, **criteria)

    @property
    def schedules(self) -> Schedules:
        """Those that the configuration and the app have."""
        config = self.config
        return Schedules(schedules(config, self.app.schedules, engines.handlers(self.app, config)))
