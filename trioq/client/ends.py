"""How a job ended, for whoever waited for that."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar, cast

import attrs

from trioq.core import result
from trioq.core.call import Expected
from trioq.core.calls import End
from trioq.core.formats import history, summary
from trioq.core.job import Uid
from trioq.errors import (
    JobCancelled,
    JobDied,
    JobUnknown,
    NoResult,
    NoResultKept,
    ResultExpired,
    ResultTooLarge,
    ResultUnfit,
    WaitTimeout,
)

R_co = TypeVar("R_co", covariant=True)


@attrs.frozen
class JobEnd(Generic[R_co]):
    """A job that has ended."""

    uid: Uid
    state: Literal["done", "dead", "cancelled", "unknown"]
    """``unknown``: it has ended, if it ever was, and how isn't remembered."""
    error: Exception | None = None
    """Why there is no result; None: there is one."""
    _encoded: bytes = attrs.field(default=b"null", repr=False)
    _returns: Any = attrs.field(default=Any, repr=False)

    @property
    def reason(self) -> str:
        """Why it died, or what was said when it was cancelled; empty if it is done."""
        cause = self.error.__cause__ if self.error is not None else None
        told = self.error if isinstance(self.error, JobDied | JobCancelled) else cause
        return told.reason if isinstance(told, JobDied | JobCancelled) else ""

    def result(self) -> R_co:
        """What its handler returned, as the type that it says.

        Raises:
          JobDied: It is dead; an error that its handler has registered is raised as itself,
              with this as its cause.
          JobCancelled: It was.
          NoResultKept, ResultExpired, ResultTooLarge, ResultUnfit: It is done, and there is none.
          JobUnknown: There never was one, or it has ended and nothing was kept.
        """
        if self.error is not None:
            raise self.error
        return cast(R_co, result.decode(self._encoded, self._returns))


def job_end(
    uid: Uid, end: End, lines: bytes | None, *, expected: Expected | None, wants_result: bool | None
) -> JobEnd[Any]:
    """What is known of it, put together.

    Args:
      lines: The history of a dead job.
      expected: What its handler says, if that is known here.
      wants_result: Whether one was to be kept, as far as is known here; None: nobody knows here
          that there was such a job.
    """
    returns = Any if expected is None else expected.returns
    match end.state:
        case "done" if end.value:
            return JobEnd(uid, "done", encoded=end.value, returns=returns)
        case "done" if wants_result:
            return JobEnd(uid, "done", _expired(uid))
        case "done" | "too_large" | "unfit":
            return JobEnd(uid, "done", _why_none(end))
        case "dead":
            return JobEnd(uid, "dead", _died(lines, expected))
        case "cancelled":
            told = summary.decode(end.value)
            return JobEnd(uid, "cancelled", JobCancelled(*_said(told)))
        case "expired":
            wants_result = True
    return JobEnd(uid, "unknown", _why_unknown(uid, wants_result))


def name_job(error: Exception | None, uid: Uid, name: str) -> None:
    """Have an error say which job it is about: tracebacks show it, too.

    Args:
      name: The handler's; empty: nobody has looked.
    """
    if error is None:
        return
    error.add_note(f"job {uid}" + (f", {name}" if name else ""))
    for each in (error, error.__cause__):
        if isinstance(each, NoResult | WaitTimeout):
            each.uid = uid


def _why_unknown(uid: Uid, wants_result: bool | None) -> NoResult:
    if wants_result is None:
        return JobUnknown(f"no job {uid}: there never was one, or it ended and nothing was kept")
    if wants_result:
        return _expired(uid)
    return NoResultKept(f"job {uid} has ended; how isn't remembered, as no result was to be kept")


def _expired(uid: Uid) -> ResultExpired:
    return ResultExpired(f"job {uid} has ended, and its result was kept for its time")


def _why_none(end: End) -> NoResult:
    said = end.value.decode("utf-8", "replace")
    if end.state == "unfit":
        return ResultUnfit(said)
    if end.state == "too_large":
        size, _, most = said.partition(" ")
        return ResultTooLarge(int(size or 0), int(most or 0))
    return NoResultKept(
        "the job is done, and what it returned isn't kept, or no longer:"
        ' @app.job(result="1h") keeps it for an hour'
    )


def _said(told: summary.Summary | None) -> tuple[str, str]:
    return ("", "") if told is None else (told.reason, told.by)


def _died(lines: bytes | None, expected: Expected | None) -> Exception:
    attempts = [line for line in history.decode(lines) if isinstance(line, history.Attempt)]
    if not attempts:
        return JobDied("unknown")
    last = attempts[-1]
    died = JobDied(
        last.dead or "unknown", last.error.type, last.error.message, last.error.traceback
    )
    known = () if expected is None else expected.raises
    for kind in known:
        if _is(kind, last.error.type) and (error := _made(kind, last)) is not None:
            error.__cause__ = died
            return error
    return died


def name_of(kind: type[Exception]) -> str:
    """A class of errors as histories name it."""
    module, name = kind.__module__, kind.__qualname__
    return name if module in ("builtins", "__main__") else f"{module}.{name}"


def _is(kind: type[Exception], told: str) -> bool:
    """Whether an error of this class was told by this name. A module that is run as a program here
    is imported by its name elsewhere."""
    if kind.__module__ == "__main__":
        return f".{told}".endswith(f".{kind.__qualname__}")
    return name_of(kind) == told


def _made(kind: type[Exception], last: history.Attempt) -> Exception | None:
    """The same error; None where its class can't be made of what is known."""
    given = (last.error.message,) if last.args is None else last.args
    try:
        error = kind(*given)
    except Exception:
        return None
    return error if isinstance(error, kind) else None
