"""What is said of a run that came out wrong."""

from __future__ import annotations

import os
import shlex
import traceback
from collections.abc import Sequence

from trioq.core import events
from trioq.core.events import Event
from trioq.testing.exploring import plan
from trioq.testing.exploring.instrument import is_users
from trioq.testing.exploring.plan import Faults
from trioq.testing.exploring.stepped import Frame, Place

#: What the faults mean, after the step at which they come.
MEANING = {
    "crash": "the engine crashed there; another one ran the job again",
    "cancel": "the engine was told to end there, and cancelled the handler;"
    " another one ran the job again",
    "freeze": "the engine stood still there, for longer than its lease; another one ran the job"
    " again, and then the first run went on",
    "beside": "the engine stood still there, for longer than its lease; another one ran the job"
    " again, and when that was at this step the first run went on",
    "lost-request": "the call got lost, and was made again",
    "lost-reply": "the call was executed, its reply got lost, and it was made again",
}
NO_FAULT = "nothing went wrong in this run"

#: What a trace shows of a long story: its first lines and its last ones.
FIRST_LINES, LAST_LINES = 40, 40


class Counterexample(AssertionError):
    """A run after which the invariant doesn't hold.

    Attributes:
      step: ``crash@3``, say: with ``--trioq-step`` this run is made again.
      where: The step as a line of the handler's source.
    """

    def __init__(
        self, faults: Faults, struck: Sequence[str], error: BaseException, trace: Sequence[str]
    ) -> None:
        self.step = plan.told(faults)
        self.where = "; ".join(struck)
        self.error = error
        super().__init__("\n".join(_lines(faults, struck, error, trace, self.step)))


class Unsteady(AssertionError):
    """A handler that comes by other steps each time: which of them went wrong can't be said."""


def _lines(
    faults: Faults,
    struck: Sequence[str],
    error: BaseException,
    trace: Sequence[str],
    step: str,
) -> list[str]:
    if not faults:
        lines = [NO_FAULT]
    else:
        lines = [
            f"{where}: {MEANING[fault.kind]}" for fault, where in zip(faults, struck, strict=False)
        ]
    lines += ["", *_indented(_said(error)), "", "what happened:"]
    lines += trace if len(trace) <= FIRST_LINES + LAST_LINES else _shortened(trace)
    return [*lines, "", f"this run again: {command(step)}"]


def _shortened(trace: Sequence[str]) -> list[str]:
    left_out = len(trace) - FIRST_LINES - LAST_LINES
    return [*trace[:FIRST_LINES], f"{'':11}… {left_out} more …", *trace[-LAST_LINES:]]


def _said(error: BaseException) -> str:
    """What an error says, and the line of the user's that raised it."""
    lines = "".join(traceback.format_exception_only(error)).rstrip().splitlines()
    if isinstance(error, BaseExceptionGroup):
        lines += [f"- {line}" for each in error.exceptions for line in _said(each).splitlines()]
    users = [
        frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)
    ]
    if users and users[-1].line:
        file = os.path.basename(users[-1].filename)
        lines.append(f"at {file}:{users[-1].lineno}: {users[-1].line}")
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


def command(step: str) -> str:
    """What makes one run again."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if test:
        return f"pytest {shlex.quote(test)} --trioq-step={step}"
    return f"TRIOQ_STEP={step}, and the same program"


def title(place: Place) -> str:
    """A step as a line of the user's source."""
    if not place.frames:
        return f"{place.name}, {place.kind}"
    first, last = place.frames[0], place.frames[-1]
    return _at(first) if first is last else f"{_at(first)} ({_at(last)})"


def _at(frame: Frame) -> str:
    return f"{os.path.basename(frame.file)}:{frame.line}, {frame.text}"


def event_line(event: Event) -> str | None:
    """What a trace says of an event; None: nothing."""
    name = getattr(event, "name", "")
    match event:
        case events.JobFailed() | events.JobDied():
            what = "died" if isinstance(event, events.JobDied) else "failed"
            return f"{name} {what}: {event.error.type}: {event.error.message}"
        case events.JobSucceeded() | events.JobsSucceeded():
            return f"{name} is done"
        case events.JobReleased():
            return f"{name} is given back"
        case events.JobSnoozed() | events.JobCancelled():
            return f"{name}: {type(event).__name__}"
        case events.BootLost():
            return "an engine hears that its jobs aren't its own any more"
        case events.EngineReaped():
            return f"an engine is found dead; {event.jobs} of its jobs are ready again"
    return None
