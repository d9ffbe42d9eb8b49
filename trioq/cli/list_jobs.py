"""``trioq jobs``: which jobs are where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import click

from trioq.cli.afar import with_api
from trioq.cli.common import complete_queues, note, opened, show_json, with_config, with_json
from trioq.cli.jobs import failures
from trioq.cli.screen import ago, free_texts, numbers, show_table, texts
from trioq.client import shapes
from trioq.core.limits import shown_take
from trioq.store.inspect import JobFilter, Listed, Listing
from trioq.store.inspect.listing import LIVING
from trioq.store.inspect.shelves import ENDED, State

#: At most so many are listed: for whole queues there are stats, and dead export.
MOST = 10_000


@click.command()
@with_config
@with_api
@click.option(
    "--state",
    "states",
    type=click.Choice(get_args(State)),
    multiple=True,
    help="Only jobs in this state; may be given several times. Default: all that wait or run.",
)
@click.option(
    "--queue", metavar="QUEUE", help="Only of this queue.", shell_complete=complete_queues
)
@click.option("--name", metavar="NAME", help="Only of this handler.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1, max=MOST),
    default=50,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option("--newest", is_flag=True, help="From the other end: those that came last.")
@with_json
def jobs(
    *,
    config: str,
    states: tuple[State, ...],
    queue: str | None,
    name: str | None,
    count: int,
    newest: bool,
    as_json: bool,
) -> None:
    """List jobs by their state, and what each waits for.

    One state after the other, and queue by queue: those that are next come first, of the ones that
    have ended those that did first. Nothing is changed.
    """
    wanted_states = tuple(dict.fromkeys(states)) or LIVING
    with opened(config) as there:
        if queue is not None and not {*wanted_states} <= {*ENDED}:
            there.known_queue(queue)
        wanted = JobFilter(name=name, queue=queue)
        found = there.admin.jobs(wanted_states, wanted, count=count, newest_first=newest)
    if as_json:
        show_json(shapes.listing(found))
        return
    if found.jobs:
        columns = [*texts("id", "job", "queue", "state", "queued"), *numbers("failed")]
        show_table([*columns, *free_texts("")], map(_row, found.jobs))
    else:
        is_what = "is " + " or ".join(states) if states else "waits or runs"
        click.echo(f"no job {is_what}")
    _tell_more(found, count)


def _tell_more(found: Listing, count: int) -> None:
    if len(found.jobs) == count and found.has_more:
        note(f"there are more than {count:,}: -n lists up to {MOST:,}")
    elif found.has_more:
        note(f"{found.passed_over:,} others were looked at; there may be more")


def _row(each: Listed) -> tuple[object, ...]:
    told = each.view.as_json()
    return (
        told["id"], told["name"] or "?", told["queue"] or "?", told["state"],
        ago(told["enqueued_ms"]), failures(each.view), ", ".join(_about(each)),
    )  # fmt: skip


def _about(each: Listed) -> Iterator[str]:
    """What it waits for, who runs it, or how it ended."""
    view = each.view
    if view.engine is not None:
        yield f"on {view.engine.rpartition('.')[0] or view.engine}"
    if each.take is not None:
        yield f"waits for {shown_take(each.take)}"
    if view.due_ms is not None:
        yield f"due {ago(view.due_ms)}"
    if (door := each.door) is not None:
        yield f"{door.reasons}, none let through since {ago(door.since_ms)}"
        if door.until_ms is not None:
            yield f"one is tried {ago(door.until_ms)}"
    if view.died_ms is not None:
        yield f"died {ago(view.died_ms)}"
    if view.summary is not None:
        yield ago(view.summary.at_ms)
        if view.summary.engine:
            yield f"took {view.summary.took_ms:,.0f} ms"
    if view.reason:
        yield view.reason
