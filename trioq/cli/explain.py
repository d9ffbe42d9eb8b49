"""``trioq explain``: why a job, or a queue, doesn't run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from trioq.cli.afar import with_api
from trioq.cli.common import ID, fail, opened, show_json, with_config, with_json
from trioq.cli.jobs import DOORS, unknown
from trioq.cli.screen import plain
from trioq.client import shapes
from trioq.store.inspect import Door, Explanation, QueueStats, Reason


@click.command()
@with_config
@with_api
@click.argument("id", type=ID, required=False)
@click.option("--queue", metavar="QUEUE", help="Explain a queue as a whole.")
@with_json
def explain(config: str, id: str | None, queue: str | None, as_json: bool) -> None:
    """Say why the job ID doesn't run now, or why QUEUE doesn't move.

    ID is the caller's own id, or the uid that enqueue printed. Each reason is a line: what has to
    pass first comes first. Nothing is changed.
    """
    if (id is None) == (queue is None):
        raise click.UsageError("either ID or --queue QUEUE, to explain a job or a queue")
    with opened(config) as there:
        if id is not None:
            _show_job(there.admin.explain(id), unknown(there.config.worker), as_json)
            return
        name = there.known_queue(queue or "")
        reasons, counted, doors = there.admin.explain_queue(name)
    there_is = counted.queues.get(name)
    if as_json:
        show_json(shapes.queue(name, there_is, reasons, doors))
        return
    for line in _of_queue(name, there_is, reasons, doors):
        click.echo(plain(line))


def _show_job(told: Explanation, unknown: str, as_json: bool) -> None:
    if told.state == "unknown":
        fail(f"no job {told.id!r}: {unknown}")
    if as_json:
        show_json(told.as_json())
        return
    if told.state == "not enqueued":
        click.echo(plain(f"{told.id} is not enqueued yet"))
    else:
        what = f"{told.name} in {told.queue}" if told.name else "a job that can't be read"
        click.echo(plain(f"{told.id}, {what}, is {told.state}"))
    for reason in told.reasons:
        click.echo(plain(f"  {reason.says}"))


def _of_queue(
    name: str, there: QueueStats | None, reasons: Sequence[Reason], doors: Sequence[Door]
) -> Iterator[str]:
    if there is None:
        yield f"{name}: nothing is in it"
    else:
        counts = {state: getattr(there, state) for state in shapes.STATES}
        yield f"{name}: " + ", ".join(f"{count:,} {state}" for state, count in counts.items())
    for reason in reasons:
        yield f"  {reason.says}"
    for door in doors[:DOORS]:
        yield f"  {door.parked:,} × {door.name} are parked: {door.reasons}"
    if more := doors[DOORS:]:
        jobs = sum(door.parked for door in more)
        yield f"  {jobs:,} more are parked, of {len(more):,} other names"
    if not reasons and not doors:
        yield "  nothing is known to stop it"
