"""Jobs that died in a world, and whether a test has expected it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import attrs

import trioq
from trioq.core.events import EngineReaped, Event, JobDied, ParkedExpired
from trioq.core.outcome import Error

#: Where what happens is of no interest to who looks for a handler's fault.
OURS = str(Path(trioq.__file__).parent)


class Died(AssertionError):
    """A job died, and no exception that is known here was the reason."""


class JobsDied(ExceptionGroup[Exception]):
    """Jobs died though no test had expected it: with what their handlers raised."""


@attrs.define
class Expected:
    """Deaths that a test expects, while it says so."""

    name: str | None
    """Of which handler; None: any."""
    error: str | None
    """The class of the error; None: any."""
    died: list[JobDied] = attrs.field(factory=list[JobDied])

    def takes(self, event: JobDied) -> bool:
        """Whether it is one of these, which is noted."""
        is_meant = self.name in (None, event.name) and self._has(event.error)
        if is_meant:
            self.died.append(event)
        return is_meant

    def _has(self, error: Error) -> bool:
        return self.error is None or error.type.rpartition(".")[2] == self.error.rpartition(".")[2]

    def __str__(self) -> str:
        of = "" if self.name is None else f" of {self.name!r}"
        return f"deaths{of}{'' if self.error is None else f' by {self.error}'}"


@attrs.define
class Deaths:
    """Those of a world."""

    unexpected: list[Exception] = attrs.field(factory=list[Exception])
    """Those that nobody has been told of."""
    raised: dict[str, BaseException] = attrs.field(factory=dict[str, BaseException])
    """Uid → what its handler raised last."""
    _expected: list[Expected] = attrs.field(factory=list[Expected])

    def hear(self, event: Event) -> None:
        """Of an event."""
        if isinstance(event, JobDied):
            if not any(each.takes(event) for each in self._expected):
                self.unexpected.append(self._reason(event))
        elif isinstance(event, EngineReaped):
            for uid in event.dead:
                told = f"job {uid} died: it was running when its engine died, max_reaps times"
                self.unexpected.append(Died(told))

        elif isinstance(event, ParkedExpired):
            told = f"jobs died in {event.queue!r}: no engine has known {event.name!r} for too long"
            self.unexpected += [Died(told)] * event.jobs

    @contextmanager
    def expected(
        self, name: str | None, count: int | None, error: type[BaseException] | str | None
    ) -> Iterator[list[JobDied]]:
        """While this lasts, these are expected."""
        called = error.__name__ if isinstance(error, type) else error
        mine = Expected(name, called)
        self._expected.append(mine)
        try:
            yield mine.died
        finally:
            self._expected.remove(mine)
        if (count is None and not mine.died) or (count is not None and count != len(mine.died)):
            wanted = "some" if count is None else count
            raise AssertionError(f"{len(mine.died)} {mine}, and there should be {wanted}")

    def tell(self) -> None:
        """
        Raises:
          JobsDied: Jobs have died that weren't expected to, since this was told last.
        """
        if errors := self.unexpected:
            self.unexpected = []
            many = "a job" if len(errors) == 1 else f"{len(errors)} jobs"
            raise JobsDied(
                f"{many} died, which the test hasn't said it expects: tq.deaths()", errors
            )

    def _reason(self, event: JobDied) -> Exception:
        told = (
            f"job {event.uid} of {event.name!r} in {event.queue!r} died at attempt {event.attempt}:"
            f" {event.reason}"
        )
        raised = self.raised.get(event.uid)
        if isinstance(raised, Exception):
            raised.add_note(told)
            return raised.with_traceback(_from_theirs(raised.__traceback__))
        error = event.error
        return Died("\n".join(filter(None, (told, error.traceback or _said(error)))))


def _said(error: Error) -> str:
    return f"{error.type}: {error.message}"


def _from_theirs(traceback: TracebackType | None) -> TracebackType | None:
    """From the first line on that isn't ours; all of it, if all are."""
    there = traceback
    while there is not None and there.tb_frame.f_code.co_filename.startswith(OURS):
        there = there.tb_next
    return there or traceback
