"""A job's history: a line of JSON for each failed attempt, in ``history``.

The scripts put line to line. Of a long history they leave the middle out, and a line says how
many those were (``lua/shared/history.lua``, :meth:`trioq.core.model.state.Life.history`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from trioq.core.formats import lenient
from trioq.core.formats.note import last_that_fit
from trioq.core.outcome import DeadReason, Error

#: Of an attempt's log, so many bytes: with 25 lines it can still be read whole.
LOG_BYTES = 4096

_text = json.encoder.encode_basestring_ascii


@attrs.frozen
class Attempt:
    """How an attempt failed, or why a job died without one."""

    number: int
    """Counts from 1 in each life of the job; 0: it died without running."""
    error: Error
    engine: str | None = None
    """Where; None: nobody ran it."""
    at_ms: int | None = None
    """Epoch, by the engine's clock."""
    dead: str | None = None
    """Why the job died of it; None: it didn't. What follows it is another life, after a revive."""
    trace: str | None = None
    """The ``traceparent`` of the run, if that was traced."""
    args: tuple[Any, ...] | None = None
    """The error's arguments, as JSON has them, where whoever waits makes it anew from them."""
    log: tuple[str, ...] = ()
    """What its handler has logged last."""

    @property
    def is_attempt(self) -> bool:
        """Whether the job was run; what can't be read may tell of it."""
        return self.number > 0 or self.dead is None

    def as_json(self) -> dict[str, Any]:
        """As ``trioq job --json`` shows it."""
        shown: dict[str, Any] = {
            "attempt": self.number,
            "error": {
                "type": self.error.type,
                "message": self.error.message,
                "traceback": self.error.traceback,
            },
            "engine": self.engine,
            "at_ms": self.at_ms,
        }
        if self.dead is not None:
            shown["dead"] = self.dead
        if self.trace is not None:
            shown["trace"] = self.trace
        if self.log:
            shown["log"] = list(self.log)
        return shown


@attrs.frozen
class Omitted:
    """Attempts that were left out."""

    count: int

    def as_json(self) -> dict[str, Any]:
        """As ``trioq job --json`` shows it."""
        return {"omitted": self.count}


Line = Attempt | Omitted


def encode(attempt: Attempt) -> bytes:
    """One line, as it is stored."""
    line: dict[str, Any] = {
        "attempt": attempt.number,
        "type": attempt.error.type,
        "message": attempt.error.message,
        "traceback": attempt.error.traceback,
        "engine": attempt.engine,
        "at_ms": attempt.at_ms,
        "dead": attempt.dead,
        "trace": attempt.trace,
        "args": attempt.args,
        "log": _last(attempt.log) or None,
    }
    said = {member: value for member, value in line.items() if value is not None}
    return json.dumps(said, separators=(",", ":")).encode("ascii")


def _last(log: Sequence[str]) -> tuple[str, ...]:
    """As much of a log as a line has room for."""
    kept = last_that_fit((_text(line).encode("ascii") for line in reversed(log)), LOG_BYTES)
    return tuple(log[len(log) - len(kept) :])


def encode_omitted(count: int) -> bytes:
    """The line that says how many were left out: the same bytes as the scripts write."""
    return b'{"omitted":%d}' % count


def died_without_run(reason: DeadReason, message: str) -> bytes:
    """The line of a job that died and wasn't run for it."""
    return encode(Attempt(0, Error(reason, message), dead=reason))


def decode(lines: bytes | None) -> tuple[Line, ...]:
    """A whole history; each line is what can be read of it, whoever wrote it."""
    return tuple(map(_line, lines.split(b"\n"))) if lines else ()


def last_trace(lines: bytes | None) -> str | None:
    """The ``traceparent`` of the last attempt that is told of."""
    told = lenient.members((lines or b"").rpartition(b"\n")[2])
    return lenient.optional_text(told.get("trace")) if told else None


def starts_new_life(before: Line, line: Line) -> bool:
    """Whether the job was revived between these two neighbours."""
    if not isinstance(before, Attempt):
        return False
    is_again = isinstance(line, Attempt) and 0 < line.number <= before.number
    return before.dead is not None or is_again


def last_error(history: Sequence[Line]) -> Error | None:
    """What went wrong last; None: nothing is told of it."""
    last = history[-1] if history else None
    return last.error if isinstance(last, Attempt) else None


def failures(history: Sequence[Line]) -> int:
    """How many attempts have failed, those that were left out included. Who died without a run has
    failed none."""
    return sum(line.count if isinstance(line, Omitted) else line.is_attempt for line in history)


def _line(line: bytes) -> Line:
    told = lenient.members(line)
    if told is None:
        return Attempt(0, Error("", line.decode("utf-8", "backslashreplace")))
    if "omitted" in told:
        return Omitted(lenient.count(told["omitted"]))
    return Attempt(
        lenient.count(told.get("attempt")),
        Error(
            lenient.text(told.get("type")),
            lenient.text(told.get("message")),
            lenient.text(told.get("traceback")),
        ),
        lenient.optional_text(told.get("engine")),
        lenient.time_ms(told.get("at_ms")),
        lenient.optional_text(told.get("dead")),
        lenient.optional_text(told.get("trace")),
        lenient.items(told.get("args")),
        lenient.texts(told.get("log")),
    )
