"""What ``done`` keeps of a job that succeeded, or was cancelled: a line of JSON, written by hand.

The lines of the jobs that ended together lie together, the newest last.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import attrs

from trioq.core.board import Board
from trioq.core.formats import lenient, note
from trioq.core.formats.note import Noted
from trioq.core.job import Record, Uid

_quoted = json.encoder.encode_basestring_ascii


#: A reason has so many characters at most.
REASON_MAX = 200

#: Of what a handler has said last, so many bytes; more only if that is all data.
NOTED_MAX = 4096


@attrs.frozen
class Summary:
    """A job that is done, or was cancelled."""

    uid: Uid
    name: str = ""
    queue: str = ""
    attempt: int = 0
    took_ms: float = 0.0
    at_ms: int | None = None
    """When it was done: epoch, by its engine's clock."""
    enqueued_ms: int | None = None
    engine: str = ""
    id: str | None = None
    """The caller's, if it had one."""
    trace: str | None = None
    """The ``traceparent`` of its run, if that was traced."""
    state: Literal["done", "cancelled"] = "done"
    reason: str = ""
    """Why it was cancelled, in the words of who did it."""
    by: str = ""
    """Who didn't want it any more."""
    how: str = ""
    """``stopped``: its handler was; ``ignored``: that didn't end in time. Empty: none ran, or
    nobody has said."""
    noted: Noted | None = None
    """What its handler has said last of how far it was, with the end of its log."""

    def as_json(self) -> dict[str, Any]:
        """How it ended, as ``trioq job --json`` shows it."""
        if self.state == "cancelled":
            told: dict[str, Any] = {"at_ms": self.at_ms, "reason": self.reason, "by": self.by}
            if not self.how:
                return told
            told |= {"how": self.how, "attempt": self.attempt, "took_ms": self.took_ms}
            told["engine"] = self.engine
            return told if self.trace is None else told | {"trace": self.trace}
        shown: dict[str, Any] = {
            "attempt": self.attempt,
            "took_ms": self.took_ms,
            "at_ms": self.at_ms,
            "engine": self.engine,
        }
        return shown if self.trace is None else shown | {"trace": self.trace}


def encode(
    record: Record,
    *,
    attempt: int,
    took_s: float,
    at_ms: int,
    engine: str,
    trace: str | None,
    board: Board | None = None,
) -> bytes:
    """As it is stored, from what the engine has at hand when a job succeeds."""
    summary = (
        f'{{"uid":{_quoted(record.uid)},"name":{_quoted(record.name)},'
        f'"queue":{_quoted(record.queue)},"attempt":{attempt:d},"took_ms":{took_s * 1000:.3f},'
        f'"at_ms":{at_ms:d},"enqueued_ms":{record.enqueued_ms:d},"engine":{_quoted(engine)}'
    )
    if record.id is not None:
        summary += f',"id":{_quoted(record.id)}'
    if trace is not None:
        summary += f',"trace":{_quoted(trace)}'
    return (summary + noted(board, attempt)).encode() + b"}"


def noted(board: Board | None, attempt: int) -> str:
    """What a summary has of what its handler has said; empty: nothing."""
    if board is None or board.is_empty:
        return ""
    return f',"noted":{board.note(attempt, NOTED_MAX).decode()}'


def encode_cancelled(
    *, uid: Uid, name: str, queue: str, reason: str, by: str, at_ms: int, id: str | None = None
) -> bytes:
    """The same of a job that was cancelled; a long reason is cut."""
    told = {"uid": uid, "name": name, "queue": queue, "state": "cancelled", "at_ms": at_ms}
    told |= {"reason": reason[:REASON_MAX], "by": by} | ({} if id is None else {"id": id})
    return json.dumps(told, separators=(",", ":")).encode("ascii")


def encode_stopped(
    record: Record,
    asked: bytes,
    *,
    how: str,
    attempt: int,
    took_s: float,
    at_ms: int,
    engine: str,
    trace: str | None,
    board: Board | None = None,
) -> bytes:
    """The same of one whose handler ran when it was cancelled.

    Args:
      asked: What who wanted that has written.
    """
    told: dict[str, Any] = {"uid": record.uid, "name": record.name, "queue": record.queue}
    told |= lenient.members(asked) or {}
    told |= {"state": "cancelled", "how": how, "attempt": attempt, "engine": engine}
    told |= {"took_ms": round(took_s * 1000, 3), "at_ms": at_ms}
    if trace is not None:
        told["trace"] = trace
    summary = json.dumps(told, separators=(",", ":"))
    return f"{summary[:-1]}{noted(board, attempt)}}}".encode()


def decode_all(stored: bytes) -> list[Summary]:
    """Those of jobs that ended together, the newest first.

    What can't be read is left out, and so is how many had ended by then.
    """
    lines = map(decode, reversed(stored.split(b"\n")))
    return [read for read in lines if read is not None]


def decode(encoded: bytes | None) -> Summary | None:
    """What can be read of it, whoever wrote it; None: not even whose it is."""
    told = lenient.members(encoded)
    if told is None or not isinstance(told.get("uid"), str):
        return None
    return Summary(
        uid=told["uid"],
        name=lenient.text(told.get("name")),
        queue=lenient.text(told.get("queue")),
        attempt=lenient.count(told.get("attempt")),
        took_ms=lenient.seconds(told.get("took_ms")),
        at_ms=lenient.time_ms(told.get("at_ms")),
        enqueued_ms=lenient.time_ms(told.get("enqueued_ms")),
        engine=lenient.text(told.get("engine")),
        id=lenient.optional_text(told.get("id")),
        trace=lenient.optional_text(told.get("trace")),
        state="cancelled" if told.get("state") == "cancelled" else "done",
        reason=lenient.text(told.get("reason")),
        by=lenient.text(told.get("by")),
        how=lenient.text(told.get("how")),
        noted=note.read(told.get("noted")),
    )
