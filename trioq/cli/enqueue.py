"""``trioq enqueue``: one job, or one for each line of a file."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import attrs
import click

from trioq.cli import FAILED, WRONG_USE
from trioq.cli.bulk import Stop, bar, interrupted
from trioq.cli.common import (
    Opened,
    already_done,
    duration,
    fail,
    moment,
    note,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.handler_names import Known, known_here, known_to_engines
from trioq.cli.patience import Patience
from trioq.cli.payloads import Line, encoded, open_lines, read_lines
from trioq.cli.results import client_of, result_of, tell
from trioq.cli.same import said, settled, with_same
from trioq.client.handle import SyncHandle
from trioq.client.jobs import CALLED_S, Drafts
from trioq.client.many import batches
from trioq.core import arguments
from trioq.core.calls import IdKeep, NewJob
from trioq.core.config import Config
from trioq.core.config.rules import did_you_mean
from trioq.core.fair import Asked
from trioq.core.flow import Plan
from trioq.core.id_from import id_from
from trioq.core.job import NO_HEADERS, Headers, Options
from trioq.core.same import PLAINLY, Same
from trioq.cwd import why_missing
from trioq.errors import PayloadRejected, QueueUnknown, TrioqError
from trioq.observe.tracing import Tracing
from trioq.settings import load


def _fair_key(ctx: click.Context, param: click.Parameter, text: str | None) -> str | int | None:
    """A whole number or a text in quotes, as JSON; or else the text itself."""
    try:
        key = json.loads(text or "")
    except (ValueError, RecursionError):
        return text
    return key if type(key) in (str, int) else text


@click.command()
@with_config
@click.argument("name")
@click.argument("payload", metavar="[PAYLOAD_JSON]", required=False)
@click.option("--queue", metavar="QUEUE", help="Default: the handler's, else default_queue.")
@duration("--delay", "Ready after this time: 90, 500ms, 5m.")
@moment("--at", "Ready at this moment: 2030-01-31T12:00:00Z. One that has passed is now.")
@moment("--deadline", "Not done by then, it is cancelled: 10m from now, or 2030-01-31T12:00:00Z.")
@moment("--expires", "Not begun by then, it is cancelled: likewise.")
@click.option("--id", metavar="ID", help="Your own id: a second job with it isn't queued.")
@with_same
@click.option(
    "--from",
    "source",
    type=click.Path(allow_dash=True),
    help="One payload object on each line of this file; - is stdin.",
)
@click.option(
    "--fair-key",
    metavar="KEY",
    callback=_fair_key,
    help="Whose turn it is: a whole number, or a text. Default: what its queue goes by.",
)
@click.option("--weight", type=float, metavar="NUMBER",
              help="How many turns its key has where another has one: 0.01 to 100.")  # fmt: skip
@duration("--result", "Keep what its handler returns for this time.")
@duration("--full-timeout", "Wait so long for room, where the queue is full and one waits.")
@duration("--wait", "Wait for its end so long, and print what its handler returned.")
@with_json
def enqueue(
    *,
    config: str,
    name: str,
    payload: str | None,
    queue: str | None,
    delay: float | None,
    at: int | None,
    deadline: int | None,
    expires: int | None,
    id: str | None,
    same: Same,
    source: str | None,
    fair_key: str | int | None,
    weight: float | None,
    result: float | None,
    full_timeout: float | None,
    wait: float | None,
    as_json: bool,
) -> None:
    """Queue a job of the handler NAME, with a JSON object as its payload.

    With --from there is one job for each line. All lines are checked before the first one is
    queued, and every fault is told with its line's number.
    """
    _one_of("--from", source, {"PAYLOAD_JSON": payload, "--id": id, "--wait": wait})
    _one_of("--at", at, {"--delay": delay})
    if source is not None and same is not PLAINLY:
        raise click.UsageError("--from goes without what is to happen to a job that has the id.")
    made = load(config)
    known = known_here(made)
    if wait is not None and result is None:
        result = wait + CALLED_S
    options = Options(result_s=result, deadline_ms=deadline, expires_ms=expires)
    into = queue or known.queue(name) or made.default_queue
    plan = known.plan(made, name, into)
    if weight is not None and fair_key is None and plan.fair is None:
        raise click.UsageError(f"--weight needs a --fair-key: {into} isn't fair.")
    patience_s = math.inf if full_timeout is None else full_timeout
    try:
        asked = arguments.fair(fair_key, weight)
        wanted = _Wanted(
            made, name, into, delay or 0.0, at or 0, options, plan, asked, patience_s,
            known.id_from(name), same, queue is not None,
        )  # fmt: skip
        if result is not None:
            arguments.keep("--result", result)
        content = encoded(payload or "{}", made.max_payload_bytes)
        if source is None and id is None:
            id = wanted.made_id(content)
        wanted.delay_s, wanted.keep = settled(same, id, delay or 0.0, at)
        wanted.job(content, id)
    except (PayloadRejected, QueueUnknown) as error:
        fail(str(error), WRONG_USE)
    if source is None:
        with opened(config, starts=True) as there:
            _warn(there, known, wanted)
            handle = _send_one(there, wanted, content, id, same)
            if wait is not None:
                _wait(wanted, handle, wait, as_json)
                return
        _show(wanted, handle, as_json)
        return
    _send_lines(config, wanted, known, source, as_json)


def _one_of(option: str, value: object, others: Mapping[str, object]) -> None:
    """Refuse what contradicts an option, if that is given."""
    for other, its in others.items():
        if value is not None and its is not None:
            raise click.UsageError(f"{option} and {other} can't be used together.")


@attrs.define
class _Wanted:
    """What all jobs of this command have in common."""

    config: Config
    name: str
    queue: str
    delay_s: float
    at_ms: int
    options: Options
    plan: Plan
    asked: Asked
    full_timeout_s: float
    id_from: tuple[str, ...]
    same: Same = PLAINLY
    is_placed: bool = True
    """Whether somebody has named the queue."""
    keep: IdKeep | None = None

    def job(self, payload: bytes, id: str | None = None, trace: Headers = NO_HEADERS) -> NewJob:
        """Raises PayloadRejected or QueueUnknown where there can't be such a job."""
        if self.queue not in self.config.queue_names:
            names = self.config.queue_names
            hint = did_you_mean(self.queue, names) or f"; there are {', '.join(names)}"
            raise QueueUnknown(f"no queue {self.queue!r} is configured{hint}")
        fields = json.loads(payload) if self.plan.reads else {}
        return Drafts(self.config, knows_queues=True).job(
            self.name, payload, queue=self.queue, delay_s=self.delay_s, at_ms=self.at_ms,
            id=id, keep=self.keep, options=self.options, trace=trace,
            takes=(*self.plan.takes(fields), *self.same.takes(id)),
            fair=self.plan.turn(fields, self.asked),
        )  # fmt: skip

    def made_id(self, payload: bytes) -> str | None:
        """The id of a job that is given none; raises PayloadRejected where it lacks something."""
        if not self.id_from:
            return None
        return id_from(self.name, self.id_from, json.loads(payload))

    def fault(self, payload: bytes) -> str:
        """Why a payload makes no id; empty: it makes one, or none is wanted."""
        try:
            self.made_id(payload)
        except PayloadRejected as error:
            return str(error)
        return ""


def _warn(there: Opened, known: Known, wanted: _Wanted) -> None:
    # Asked in any case: a server that isn't there is told at once, and not after the time that
    # an enqueue is worth waiting for.
    engines = known_to_engines(there.admin.store)
    if warning := known.warning(wanted.name, engines):
        note(f"warning: {warning}: it waits for an engine that knows the name")
    elif known.problem and wanted.name not in known.handlers and not wanted.is_placed:
        note(f"warning: {known.problem}: it isn't known which queue {wanted.name!r} says")


def _send_one(
    there: Opened, wanted: _Wanted, content: bytes, id: str | None, same: Same
) -> SyncHandle:
    tracing = Tracing.open(wanted.config)
    with tracing.sending(wanted.name) as sending:
        job = wanted.job(content, id, sending.headers)
        handle = client_of(there, tracing).send_one(
            job,
            same,
            full_timeout_s=wanted.full_timeout_s,
            waiting=Patience(lambda: "nothing was queued").waiting,
        )
        sending.sent([handle.uid], {job.queue})
    return handle


def _show(wanted: _Wanted, handle: SyncHandle, as_json: bool) -> None:
    with already_done():
        if as_json:
            show_json(_as_json(wanted, handle))
        else:
            click.echo(said(handle, wanted.queue))


def _wait(wanted: _Wanted, handle: SyncHandle, wait_s: float, as_json: bool) -> None:
    """Print what its handler returned; ends the command with a failure where there is nothing."""
    if not as_json:
        note(said(handle, wanted.queue))
    told = result_of(handle, wait_s)
    if not as_json:
        tell(handle.id or handle.uid, told)
        return
    show_json(_as_json(wanted, handle) | told.as_json())
    if told.error is not None:
        raise click.exceptions.Exit(FAILED)


def _as_json(wanted: _Wanted, handle: SyncHandle) -> dict[str, object]:
    return {
        "id": handle.id or handle.uid,
        "uid": handle.uid,
        "name": wanted.name,
        "queue": wanted.queue,
        "queued": handle.is_new,
        "existing": handle.existing,
        "happened": handle.happened,
    }


# -- lines -------------------------------------------------------------------------------------


def _send_lines(config: str, wanted: _Wanted, known: Known, source: str, as_json: bool) -> None:
    try:
        with open_lines(source) as file:
            end, count = _checked(file, source, wanted)
            with opened(config, starts=True) as there:
                _warn(there, known, wanted)
                existing = _Sending(there, wanted, file, source, end, count).run()
    except BrokenPipeError:
        raise  # that is about what is printed
    except OSError as error:
        fail(f"{source}: {why_missing(Path(source)) or error.strerror or error}")
    with already_done():
        told = {"name": wanted.name, "queue": wanted.queue, "queued": count - existing}
        if as_json:
            show_json(told | {"existing": existing})
        else:
            others = f"; {existing:,} have their ids already" if existing else ""
            click.echo(f"queued {count - existing:,} {wanted.name} in {wanted.queue}{others}")


def _checked(file: IO[bytes], source: str, wanted: _Wanted) -> tuple[int, int]:
    """Where the file ends and how many payloads it has; ends the command if one is faulty."""
    end = count = faults = 0
    size = file.seek(0, os.SEEK_END)
    with bar(size, f"checking {source}", unit="bytes") as advance:
        for line in read_lines(file, wanted.config.max_payload_bytes, size):
            if fault := line.fault or wanted.fault(line.payload):
                note(f"{source}: line {line.number}: {fault}")
            faults += bool(fault)
            count += 1
            advance(line.end - end)
            end = line.end
    if faults:
        fail(f"{faults:,} of {count:,} lines can't be queued; nothing was queued", WRONG_USE)
    return size, count


@attrs.define
class _Sending:
    """The second time through a file whose lines are all good."""

    there: Opened
    wanted: _Wanted
    file: IO[bytes]
    source: str
    end: int
    count: int
    _sent: int = attrs.field(default=0, init=False)
    _existing: int = attrs.field(default=0, init=False)
    _reached: int = attrs.field(default=0, init=False)
    """The number of the last line that is queued."""

    def run(self) -> int:
        """Queue them; ends the command if it is interrupted or fails, saying how far it came.

        Returns:
          How many weren't queued, as another job has their id.
        """
        tracing = Tracing.open(self.wanted.config)
        client = client_of(self.there, tracing)
        numbers: deque[int] = deque()
        with (
            Stop() as stop,
            bar(self.count, f"queueing {self.source}") as advance,
            tracing.sending(None) as sending,
        ):
            patience = Patience(self._how_far, stop)
            try:
                for batch in batches(self._jobs(numbers, sending.headers)):
                    handles = client.send(
                        batch,
                        full_timeout_s=self.wanted.full_timeout_s,
                        waiting=patience.waiting,
                    )
                    self._existing += sum(not handle.is_new for handle in handles)
                    self._sent += len(batch)
                    self._reached = [numbers.popleft() for _ in batch][-1]
                    advance(len(batch))
                    if stop.wanted:
                        break
            except TrioqError:
                note(f"{self._how_far()} before this:")
                raise
        if stop.wanted and self._sent < self.count:
            interrupted(self._how_far())
        return self._existing

    def _jobs(self, numbers: deque[int], trace: Headers) -> Iterator[NewJob]:
        for line in read_lines(self.file, self.wanted.config.max_payload_bytes, self.end):
            self._check(line)
            numbers.append(line.number)
            yield self.wanted.job(line.payload, self.wanted.made_id(line.payload), trace)

    def _check(self, line: Line) -> None:
        if line.fault or line.end > self.end:
            note(f"{self._how_far()} before this:")
            why = f" ({line.fault})" if line.fault else ""
            fail(f"{self.source}: line {line.number}: the file was changed while it was read{why}")

    def _how_far(self) -> str:
        if not self._sent:
            return "nothing was queued"
        return (
            f"{self._sent:,} of {self.count:,} queued, all up to line {self._reached} of "
            f"{self.source}"
        )
