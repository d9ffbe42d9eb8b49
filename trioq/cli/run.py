"""``trioq run``: one attempt of a handler, here and now, for whoever writes it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import attrs
import click
import trio

from trioq.app import App
from trioq.apps import load_app
from trioq.cli import WRONG_USE, heed_children
from trioq.cli.attempted import ANY_BYTES, Told
from trioq.cli.common import ID, complete_queues, fail, opened, show_json, with_config, with_json
from trioq.cli.foreground import Foreground
from trioq.cli.payloads import encoded
from trioq.core.config import Config
from trioq.core.config.rules import meant_or_known
from trioq.core.formats import payload as payloads
from trioq.core.id_from import id_from
from trioq.core.job import NO_OPTIONS, Job, Options, Record, new_uid
from trioq.cwd import why_missing
from trioq.engine import from_config
from trioq.engine.handlers import Handler
from trioq.errors import PayloadRejected
from trioq.lines import flush
from trioq.observe.log_setup import take_over
from trioq.observe.logs import LogLines
from trioq.settings import load


@click.command("run")
@with_config
@click.argument("name", required=False)
@click.argument("payload", metavar="[PAYLOAD_JSON]", required=False)
@click.option("--file", "file", type=click.Path(), help="The payload is in this file.")
@click.option("--copy-of", metavar="ID", type=ID, help="Name and payload of this job, which stays.")
@click.option("--queue", metavar="QUEUE", shell_complete=complete_queues,
              help="What job.queue is. Default: the handler's, else default_queue.")  # fmt: skip
@click.option("--id", metavar="ID", type=ID, help="What job.id is.")
@click.option("--attempt", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="What job.attempt is.")  # fmt: skip
@click.option("--pdb", "debugs", is_flag=True, help="Start the debugger where it fails.")
@with_json
def run(
    config: str,
    *,
    name: str | None,
    payload: str | None,
    file: str | None,
    copy_of: str | None,
    queue: str | None,
    id: str | None,
    attempt: int,
    debugs: bool,
    as_json: bool,
) -> int:
    """Call the handler NAME with a JSON object, here and now, and print what it returns.

    It is called as an engine calls it, with no timeout, and a breakpoint() in it works. No job is
    queued and none is claimed; what the handler itself does is done. PAYLOAD_JSON may be -, for
    stdin. The exit code is 0 if it returned.
    """
    if (name is None) == (copy_of is None):
        raise click.UsageError("Say either the handler's NAME, or --copy-of which job.")
    if sum(each is not None for each in (payload, file, copy_of)) > 1:
        raise click.UsageError("The payload is an argument, in a --file, or that of --copy-of.")
    made = load(config)
    observed = made.observability
    # Before the handlers are imported: they may bring a configuration of their own.
    log = take_over(observed.log_level, observed.log_format, namespace=made.namespace)
    app = load_app(made.app, made.directory) if made.app else App()
    heed_children()
    foreground = Foreground(made, app, LogLines(log), debugs)
    call = _copied(config, copy_of) if copy_of else _Call(name or "", _given(made, payload, file))
    call = attrs.evolve(call, attempt=attempt, queue=queue or call.queue, id=id or call.id)
    if (handler := foreground.handlers.get(call.name)) is None:
        known = sorted(foreground.handlers)
        fail(f"no handler {call.name!r} is known{meant_or_known(call.name, known)}", WRONG_USE)
    if queue is not None and queue not in made.queue_names:
        hint = meant_or_known(queue, made.queue_names)
        fail(f"no queue {queue!r} is configured{hint}", WRONG_USE)
    job, rules = _job(made, handler, call), from_config.rules(made)
    record = call.record(job)
    again, keep = rules.retry_of(handler, record), rules.result_of(handler, record)
    job = attrs.evolve(job, max_attempts=again.max_attempts)
    went = trio.run(foreground.run, job)
    flush()  # what its handler has logged comes first
    told = Told(job, went, again, None if keep is None else keep.max_bytes)
    if as_json:
        show_json(told.as_json())
    else:
        told.show()
    return told.code


# -- what is called ----------------------------------------------------------------------------


@attrs.frozen
class _Call:
    """Which handler, with what."""

    name: str
    payload: bytes
    queue: str | None = None
    id: str | None = None
    options: Options = NO_OPTIONS
    attempt: int = 1

    def record(self, job: Job) -> Record:
        """As it would be stored."""
        return Record(job.uid, self.name, job.queue, self.payload, options=self.options)


def _given(made: Config, text: str | None, file: str | None) -> bytes:
    """The payload; ends the command where there can't be such a one."""
    try:
        return encoded(_read(text, file), made.max_payload_bytes)
    except PayloadRejected as error:
        fail(str(error), WRONG_USE)
    except OSError as error:
        fail(f"{file}: {why_missing(Path(file or '')) or error.strerror or error}", WRONG_USE)


def _read(text: str | None, file: str | None) -> str | bytes:
    if file is not None:
        return Path(file).read_bytes()
    if text != "-":
        return text or "{}"
    if sys.stdin is None:
        raise PayloadRejected("stdin is closed")
    read = sys.stdin.buffer.read()
    _have_terminal()
    return read


def _have_terminal() -> None:
    """Have a debugger ask the terminal, if there is one: stdin has had its end."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return
    os.dup2(terminal, 0)
    os.close(terminal)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  as long as the process


def _copied(config: str, id: str) -> _Call:
    with opened(config) as there:
        view = there.admin.job(id)
    if view is None or view.record is None:
        fail(f"no job {id!r} is known that is still there: nothing is kept of one that has ended")
    record = view.record
    try:
        content = payloads.encode(view.payload, ANY_BYTES)
    except PayloadRejected as error:
        fail(f"{id!r}: its payload can't be read: {error}")
    return _Call(record.name, content, record.queue, record.id, record.options)


def _job(made: Config, handler: Handler, call: _Call) -> Job:
    content, id, uid = payloads.decode(call.payload), call.id, new_uid()
    if id is None and handler.id_from:
        try:
            id = id_from(call.name, handler.id_from, content)
        except PayloadRejected as error:
            fail(str(error), WRONG_USE)
    return Job(
        uid=uid,
        name=call.name,
        queue=call.queue or handler.queue or made.default_queue,
        payload=content,
        attempt=call.attempt,
        id=id,
        token=f"run:{call.attempt}:{uid}",
        enqueued_ms=time.time_ns() // 1_000_000,
    )
