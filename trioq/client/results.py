"""How a job has ended, and what it returned, as programs are told it in JSON."""

from __future__ import annotations

from typing import Any

import attrs

from trioq.client.handle import SyncHandle
from trioq.client.sync import SyncClient
from trioq.errors import JobCancelled, JobDied, JobUnknown, NoResult, WaitTimeout


@attrs.frozen
class Result:
    """What is known of a job's end."""

    state: str
    """``done``, ``dead``, ``cancelled``, ``unknown``; ``live``: it hasn't ended."""
    result: Any = None
    error: Exception | None = None
    """Why there is no result; None: there is one, which may be None as well."""

    def as_json(self) -> dict[str, Any]:
        """What is told of it, besides which job it is."""
        error = self.error
        told: dict[str, object] | None = None
        if error is not None:
            told = {"kind": type(error).__name__, "message": str(error)}
        if isinstance(error, JobDied):
            told = {"kind": "JobDied", "message": error.message, "type": error.type}
            told |= {"reason": error.reason, "traceback": error.traceback}
        return {"state": self.state, "result": self.result, "error": told}


def result_of(handle: SyncHandle, wait_s: float) -> Result:
    """Wait for a job's end, at most so many seconds, and tell how it was."""
    try:
        end = handle.wait(wait_s)
    except WaitTimeout as error:
        return Result("live", error=error)
    # Where only the state is remembered, whoever looked for it knows that.
    state = handle.existing or end.state if end.state == "unknown" else end.state
    state = "unknown" if state == "live" else state
    try:
        return Result(state, end.result())
    except JobCancelled as error:
        # The reason may be known where the end isn't kept for who asks for the result.
        where = handle.status() if not error.reason else None
        return Result(state, error=JobCancelled(where.reason, where.by) if where else error)
    except NoResult as error:
        return Result(state, error=error)


def result_json(client: SyncClient, id: str, wait_s: float) -> dict[str, Any]:
    """``trioq result --json``; of a job that nobody knows, too.

    Args:
      client: Whom to ask.
      id: The job's, or its uid.
      wait_s: Seconds to wait for its end.
    """
    try:
        handle = client.handle(id)
    except JobUnknown as error:
        return {"id": id, "uid": None} | Result("unknown", error=error).as_json()
    told = result_of(handle, wait_s)
    return {"id": handle.id or handle.uid, "uid": handle.uid} | told.as_json()
