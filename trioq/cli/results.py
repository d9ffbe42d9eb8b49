"""``trioq result``, and what others tell of a job's end."""

from __future__ import annotations

from typing import Any

import attrs
import click

from trioq.cli import FAILED
from trioq.cli.bulk import interrupted
from trioq.cli.common import (
    ID,
    Opened,
    duration,
    fail,
    note,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.jobs import unknown
from trioq.cli.screen import plain
from trioq.client.handle import SyncHandle
from trioq.client.jobs import Drafts
from trioq.client.sync import SyncClient
from trioq.errors import JobCancelled, JobDied, JobUnknown, NoResult, WaitTimeout
from trioq.observe.tracing import Tracing


@attrs.frozen
class Result:
    """What is known of a job's end."""

    state: str
    """``done``, ``dead``, ``cancelled``, ``unknown``; ``live``: it hasn't ended."""
    result: Any = None
    error: Exception | None = None
    """Why there is no result; None: there is one, which may be None as well."""

    def as_json(self) -> dict[str, object]:
        """What the commands print of it with ``--json``, besides which job it is."""
        error = self.error
        told: dict[str, object] | None = None
        if error is not None:
            told = {"kind": type(error).__name__, "message": str(error)}
        if isinstance(error, JobDied):
            told = {"kind": "JobDied", "message": error.message, "type": error.type}
            told |= {"reason": error.reason, "traceback": error.traceback}
        return {"state": self.state, "result": self.result, "error": told}


def result_of(handle: SyncHandle, wait_s: float) -> Result:
    """Wait for a job's end, and tell how it was; Ctrl-C ends the command, and not the job."""
    try:
        end = handle.wait(wait_s)
    except WaitTimeout as error:
        return Result("live", error=error)
    except KeyboardInterrupt:
        interrupted(f"{handle.uid} goes on; trioq result tells what it returns")
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


def client_of(there: Opened, tracing: Tracing | None = None) -> SyncClient:
    """A client on the connections of a command."""
    drafts = Drafts(there.config, knows_queues=True)
    return SyncClient(there.connector, drafts, tracing or Tracing.open(there.config))


def tell(id: str, told: Result) -> None:
    """Print a result, or say why there is none, which ends the command with a failure."""
    if told.error is not None:
        note(f"{plain(id)}: {plain(str(told.error))}")
        raise click.exceptions.Exit(FAILED)
    show_json(told.result)


@click.command()
@with_config
@click.argument("id", type=ID)
@duration("--wait", "How long to wait for its end. [default: only look]")
@with_json
def result(config: str, id: str, wait: float | None, as_json: bool) -> None:
    """Print what the handler of the job ID returned, as JSON.

    The exit code is 1 where there is none: the job hasn't ended, it is dead, it was cancelled,
    or its result wasn't to be kept, or was for long enough.
    """
    with opened(config) as there:
        try:
            handle = client_of(there).handle(id)
        except JobUnknown as error:
            if as_json:
                show_json({"id": id, "uid": None} | Result("unknown", error=error).as_json())
                raise click.exceptions.Exit(FAILED) from None
            fail(f"no job {id!r}: {unknown(there.config.worker)}")
        told = result_of(handle, wait or 0)
    if not as_json:
        tell(id, told)
        return
    show_json({"id": handle.id or handle.uid, "uid": handle.uid} | told.as_json())
    if told.error is not None:
        raise click.exceptions.Exit(FAILED)
