"""``trioq peek`` and ``job``: single jobs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from trioq.cli.afar import with_api
from trioq.cli.common import (
    ID,
    Opened,
    fail,
    note,
    opened,
    show_json,
    with_config,
    with_json,
    with_queue,
)
from trioq.cli.follow import follow as show_changes
from trioq.cli.screen import ago, cut, lasting, moment, numbers, plain, show_table, texts
from trioq.client import shapes
from trioq.core.config import Config, WorkerConfig
from trioq.core.formats import history
from trioq.core.limits import shown_take
from trioq.store.inspect import (
    Door,
    Explanation,
    JobView,
    QueueStats,
    limits_in_words,
    told_of_paused,
)

#: Names of parked jobs that are told of beside what is next.
DOORS = 5


@click.command()
@with_config
@with_api
@with_queue
@click.option("-n", "count", type=click.IntRange(min=1), default=10, show_default=True, metavar="N")
@with_json
def peek(config: str, queue: str, count: int, as_json: bool) -> None:
    """Show the jobs of QUEUE that would be claimed next, the first one first."""
    with opened(config) as there:
        found = there.admin.peek(there.known_queue(queue), count)
        counted = there.admin.stats()
        behind = [door for door in there.admin.doors(counted) if door.queue == queue]
        rooms, paused = there.admin.rooms(queue), counted.pauses.takes
        others = [room for room in rooms if room.take not in paused]
        limits = limits_in_words(others, there.admin.now_ms())
        keys = [(jobs, why) for jobs, why, _ in told_of_paused(rooms, paused)]
    for line in _besides(queue, counted.queues.get(queue), behind, limits, keys):
        note(line)
    if as_json:
        show_json([view.as_json() for view in found])
    elif found:
        columns = [
            *numbers(""),
            *texts("id", "job", "queued"),
            *numbers("failed"),
            *texts("payload"),
        ]
        show_table(columns, [(i, *_row(view)) for i, view in enumerate(found, 1)])
    else:
        click.echo(f"nothing is ready in {queue}")


def _besides(
    queue: str,
    counted: QueueStats | None,
    behind: Sequence[Door],
    limits: str,
    keys: Sequence[tuple[int, str]],
) -> Iterator[str]:
    """Why what is listed isn't all there is to come, or doesn't come.

    Args:
      limits: Which the jobs wait for that wait for limits.
      keys: How many wait for the resume of a value of a key, and for which.
    """
    if counted is None:
        return
    if counted.paused:
        yield f"{queue} is paused: nobody claims from it until trioq resume {shlex.quote(queue)}"
    elif not counted.served and counted.waiting:
        yield f"no engine serves {queue}"
    limited = counted.limited
    for jobs, why in keys:
        yield plain(f"{jobs:,} more {'waits' if jobs == 1 else 'wait'}: {why}")
        limited -= jobs
    if limited > 0:
        wait = "waits for a limit" if limited == 1 else "wait for limits"
        yield plain(f"{limited:,} more {wait}: {limits or 'trioq limits tells which'}")
    if counted.scheduled:
        yield f"{counted.scheduled:,} more are scheduled for later"
    for door in behind[:DOORS]:
        yield plain(f"{door.parked:,} × {door.name} are parked: {door.reasons}")
    if more := behind[DOORS:]:
        jobs = sum(door.parked for door in more)
        yield f"{jobs:,} more are parked, of {len(more):,} other names"


def _row(view: JobView) -> tuple[object, ...]:
    told = view.as_json()
    return (
        told["id"],
        told["name"] or "?",
        ago(told["enqueued_ms"]),
        failures(view),
        payload(view),
    )


@click.command()
@with_config
@with_api
@click.argument("id", type=ID)
@click.option("--follow", "-f", is_flag=True, help="Show how far it is, until it has ended.")
@with_json
def job(config: str, id: str, follow: bool, as_json: bool) -> None:
    """Tell the whole story of the job ID: where it is, its payload, and every attempt.

    ID is the caller's own id, or the uid that enqueue printed. With --follow: its progress, and
    the lines that its handler logs, until it has ended or Ctrl-C; the exit code is then 0 if the
    job is done, and else 1. With --json each change is a line.
    """
    if follow:
        with opened(config) as there:
            if (found := there.admin.job(id)) is None:
                fail(_no_job(there, id))
            show_changes(there.admin.follow(found.uid, found.callers_id), as_json=as_json)
        return
    with opened(config) as there:
        told = shapes.story(there.admin, id)
        if told is None:
            fail(_no_job(there, id))
        more = [*door_facts(told.door, there.config)] if told.door else []
        if told.take is not None:
            more = [
                ("waits for", shown_take(told.take)),
                *_limited_facts(there.admin.explain(told.view.uid)),
            ]
    if as_json:
        show_json(told.as_json())
    else:
        show_story(told.view, more)


#: What became of the handler of a job that was cancelled.
HOW = {"stopped": "was stopped", "ignored": "didn't end in time, and was left to itself"}

# -- a story -----------------------------------------------------------------------------------


def _no_job(there: Opened, id: str) -> str:
    told = there.admin.explain(id)
    if told.state == "not enqueued":
        return f"no job {id!r} yet: {told.reasons[0].says}"
    return f"no job {id!r}: {unknown(there.config.worker)}"


def unknown(worker: WorkerConfig) -> str:
    """Why nobody may know of a job that there was."""
    kept = f"the last {worker.keep_done:,} that were done or cancelled are remembered"
    if not worker.keep_done:
        kept = "of those that were done nothing is remembered, as keep_done is 0"
    return (
        f"there never was one, or it has ended: {kept}, a caller's own id for"
        f" {lasting(worker.id_retention_s)} after its job's end, and a result for as long as it"
        " was to be kept"
    )


def door_facts(door: Door, config: Config) -> Iterator[tuple[str, str]]:
    """What a parked job waits for, as far as it is known."""
    others = f"with {door.parked - 1:,} others, " if door.parked > 1 else ""
    yield "parked", f"{others}none let through since {moment(door.since_ms)}"
    yield "because", door.reasons
    if "paused" in door.why:
        yield "until", f"trioq resume {shlex.quote(door.queue)}"
    elif "name_paused" in door.why:
        yield "until", f"trioq resume --job {shlex.quote(door.name)}"
    elif "unknown_name" in door.why:
        after_s = config.worker.unknown_name_after_s
        yield "until", f"an engine knows it, or dead after {lasting(after_s)} to twice that"
    elif "unfit_payload" in door.why:
        yield "until", "an engine has another version of it, or dead after about a minute"
    elif "no_engine" in door.why or "draining" in door.why:
        yield "until", "an engine that serves the queue starts"
    elif "breaker" in door.why:
        tried = "those that are tried succeed"
        if door.until_ms is not None:
            tried = f"one that is tried succeeds: the next at {moment(door.until_ms)}"
        yield "until", tried


def _limited_facts(told: Explanation) -> Iterator[tuple[str, str]]:
    """What a job that waits for a limit waits for, if it still does."""
    for reason in told.reasons:
        if reason.why in ("limited", "paused"):
            yield "because", reason.says


def show_story(view: JobView, more: Iterable[tuple[str, str]] = ()) -> None:
    """Print all that is known of a job."""
    for line in story(view, more):
        click.echo(line)


def story(view: JobView, more: Iterable[tuple[str, str]] = ()) -> Iterator[str]:
    """All that is known of a job, line by line, as it may be printed.

    Args:
      more: Facts that aren't the job's own.
    """
    told = view.as_json()
    for label, value in (*_facts(view, told), *more):
        yield f"{label:<10} {plain(value)}"
    if isinstance(view.payload, str):
        yield ""
        yield f"{'payload' if view.record else 'record'}, which can't be read"
        yield from _indented(view.payload)
    elif view.payload is not None:
        yield from ("", "payload")
        yield from _indented(json.dumps(view.payload, indent=2, ensure_ascii=False))
    yield from _history(view)
    yield from _noted(view)


def _facts(view: JobView, told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "id", told["id"]
    yield "uid", view.uid
    yield "job", str(told["name"] or "unknown")
    yield "queue", str(told["queue"] or "unknown")
    yield "state", view.state + _where(view)
    if told["enqueued_ms"]:
        yield "enqueued", moment(told["enqueued_ms"])
    if view.due_ms:
        yield "due", moment(view.due_ms)
    if view.died_ms:
        yield "died", moment(view.died_ms)
    if view.reason:
        yield "reason", view.reason
    if asked := view.asked:
        yield "asked", f"to end, {moment(asked.at_ms)}" + (f", by {asked.by}" if asked.by else "")
        if asked.reason:
            yield "reason", asked.reason
    if view.reaps:
        yield "crashes", f"was suspected {view.reaps} times when an engine died"
    if ended := view.summary:
        where = f" on {ended.engine}" if ended.engine else ""
        yield "ended", f"{moment(ended.at_ms)}{where}"
        if ended.by:
            yield "by", ended.by
        if ended.how:
            yield "handler", HOW.get(ended.how, ended.how)
        if ended.engine:
            yield "took", f"{ended.took_ms} ms in attempt {ended.attempt}"
        if ended.trace is not None:
            yield "trace", ended.trace


def _where(view: JobView) -> str:
    if view.engine:
        return f" on {view.engine}"
    if view.has_result:
        return ", and its result is kept"
    return ", and gone: nothing but its id is remembered" if is_gone(view) else ""


def is_gone(view: JobView) -> bool:
    """Whether only the id of the job is left: it was purged, or its summary was."""
    return view.record is None and view.payload is None and view.summary is None


def _noted(view: JobView) -> Iterator[str]:
    """How far it is, or was, as its handler has said; and its log, if that isn't in its history."""
    noted = view.noted
    if noted is None:
        return
    if (said := noted.progress) is not None:
        yield from ("", f"attempt {noted.attempt} was at {said.fraction:.0%} {moment(said.at_ms)}")
        if said.text:
            yield from _indented(said.text)
        if said.data is not None:
            yield from _indented(json.dumps(said.data, indent=2, ensure_ascii=False))
    last = view.attempts[-1] if view.attempts else None
    if noted.log and not (isinstance(last, history.Attempt) and last.number == noted.attempt):
        yield from ("", f"log of attempt {noted.attempt}")
        yield from _indented("\n".join(noted.log))


def _history(view: JobView) -> Iterator[str]:
    """Each attempt, and between them where the job was revived."""
    before: history.Line | None = None
    for line in view.story:
        if before is not None and history.starts_new_life(before, line):
            yield from _end(before)
        yield ""
        yield from _attempt(line)
        before = line
    if before is not None and view.state != "dead":
        yield from _end(before)


def _end(line: history.Line) -> Iterator[str]:
    """The end of a life that wasn't the job's last; nothing where it didn't end."""
    if isinstance(line, history.Attempt) and line.dead is not None:
        yield ""
        yield f"dead ({plain(line.dead)}), and revived"


def _attempt(line: history.Line) -> Iterator[str]:
    if isinstance(line, history.Omitted):
        yield f"… {line.count} attempts left out …"
        return
    when = moment(line.at_ms) if line.at_ms else "at some time"
    where = f" on {plain(line.engine)}" if line.engine else ""
    yield f"attempt {line.number} failed {when}{where}" if line.number else f"died {when}{where}"
    if line.trace is not None:
        yield f"  trace {plain(line.trace)}"
    said, trace = f"{line.error.type}: {line.error.message}", line.error.traceback.rstrip()
    if not trace.endswith(said):
        yield from _indented(said)
    if trace:
        yield from _indented(trace)
    if line.log:
        yield "  log"
        for each in line.log:
            yield f"    {plain(each)}"


def _indented(text: str) -> Iterator[str]:
    for line in plain(text, lines=True).split("\n"):
        yield f"  {line}"


def failures(view: JobView) -> int:
    """How many attempts have failed."""
    return history.failures(view.attempts)


def payload(view: JobView) -> str:
    """A payload in one line."""
    shown = view.payload
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    return cut(text)
