"""What goes wrong in a world because a test says so: handlers, engines, the way to the store."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import attrs

from trioq.core.events import JobDied
from trioq.testing.fleet import Fleet
from trioq.testing.looking import What, name_meant
from trioq.testing.moments import Time, seconds_in


class Faulty(Fleet):
    """A fleet to which things happen."""

    def fail(
        self,
        what: What,
        times: int = 1,
        error: BaseException | type[BaseException] = ConnectionError,
    ) -> None:
        """Let the next attempts of a handler fail before it is called.

        Args:
          what: The handler, or its name.
          times: So many of them.
          error: What is raised.
        """
        self._failing.setdefault(name_meant(what), []).extend([error] * times)

    def kill(self) -> None:
        """Kill all engines that run, as SIGKILL does."""
        for each in self.running:
            if each.runs:
                each.kill()

    def outage(self, time: Time | None = None) -> Outage:
        """Nobody reaches the store, from now on and for so long; or until the ``with`` statement
        ends in which this is.

        Args:
          time: How long: seconds, a text such as ``"1m"``, or a timedelta. Default: until it is
            ended.

        Returns:
          A context manager, at whose end the store can be reached again.

        Raises:
          ValueError: It is no time.
        """
        self.links.cut(math.inf if time is None else seconds_in(time))
        return Outage(self.end_outage)

    def end_outage(self) -> None:
        """The store can be reached again."""
        self.links.mend()

    def deaths(
        self,
        what: What | None = None,
        *,
        count: int | None = None,
        error: type[BaseException] | str | None = None,
    ) -> AbstractContextManager[list[JobDied]]:
        """While this lasts deaths are expected, and :meth:`drain` doesn't tell of them.

        Args:
          what: Of the jobs of this handler.
          count: So many. Default: at least one.
          error: Of this error, a class or its name.

        Returns:
          A context manager that gives a list: of each its event, once there is one.

        Raises:
          AssertionError: At its end, if there were others.
        """
        return self.died.expected(None if what is None else name_meant(what), count, error)


@attrs.frozen
class Outage:
    """One that lasts, until its end is said."""

    _end: Callable[[], None]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._end()
