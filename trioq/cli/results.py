"""``trioq result``, and what others tell of a job's end."""

from __future__ import annotations

from typing import Any

import click

from trioq.cli import FAILED
from trioq.cli.afar import with_api
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
from trioq.client import results
from trioq.client.handle import SyncHandle
from trioq.client.jobs import Drafts
from trioq.client.results import Result
from trioq.client.sync import SyncClient
from trioq.errors import JobDied, JobUnknown
from trioq.observe.tracing import Tracing


def result_of(handle: SyncHandle, wait_s: float) -> Result:
    """Wait for a job's end, and tell how it was; Ctrl-C ends the command, and not the job."""
    try:
        return results.result_of(handle, wait_s)
    except KeyboardInterrupt:
        interrupted(f"{handle.uid} goes on; trioq result tells what it returns")


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
@with_api
@click.argument("id", type=ID)
@duration("--wait", "How long to wait for its end. [default: only look]")
@with_json
def result(config: str, id: str, wait: float | None, as_json: bool) -> None:
    """Print what the handler of the job ID returned, as JSON.

    The exit code is 1 where there is none: the job hasn't ended, it is dead, it was cancelled,
    or its result wasn't to be kept, or was for long enough.
    """
    with opened(config) as there:
        if (remote := there.remote) is not None:
            _from_afar(there, remote.result(id, wait or 0), as_json)
            return
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


def _from_afar(there: Opened, told: dict[str, Any], as_json: bool) -> None:
    """Print what an API has told of a result; ends the command with a failure if there is none."""
    error = told["error"]
    if as_json:
        show_json(told)
    elif told["uid"] is None:
        fail(f"no job {told['id']!r}: {unknown(there.config.worker)}")
    elif error is None:
        show_json(told["result"])
    else:
        says = error["message"]
        if error["kind"] == "JobDied":
            says = str(JobDied(error["reason"], error["type"], says, error["traceback"]))
        note(f"{plain(told['id'])}: {plain(says)}")
    if error is not None:
        raise click.exceptions.Exit(FAILED)
