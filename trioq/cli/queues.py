"""``trioq purge``: whole queues."""

from __future__ import annotations

from collections.abc import Iterator

import click

from trioq.cli.afar import with_api
from trioq.cli.bulk import Pace, confirm, through, with_dry_run, with_rate, with_yes
from trioq.cli.common import (
    Opened,
    already_done,
    first,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.screen import numbers, show_table, texts

#: Queues of which is told one by one.
SHOWN = 50


@click.command()
@with_config
@with_api
@click.argument("queue", required=False)
@click.option("--all", "all_", is_flag=True, help="All queues.")
@with_dry_run
@with_rate
@with_yes
@with_json
def purge(
    *,
    config: str,
    queue: str | None,
    all_: bool,
    dry_run: bool,
    rate: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Forget the jobs that wait in QUEUE: ready, scheduled and parked ones.

    Running jobs run on, and dead ones stay: `trioq dead purge` is for them.
    """
    if (queue is None) == (not all_):
        raise click.UsageError("Say which: a QUEUE, or --all.")
    with opened(config) as there:
        found = there.admin.stats().queues
        names = list(found) if queue is None else [there.known_queue(queue)]
        waiting = {name: found[name].waiting if name in found else 0 for name in names}
        total = sum(waiting.values())
        purged = dict.fromkeys(waiting, 0)
        if total and not dry_run:
            where = f"{first([n for n, count in waiting.items() if count])} of {_where(there)}"
            confirm(f"Forget {total:,} waiting job(s) in {where} for good?", yes=yes)
            pace = Pace(rate)

            def pages() -> Iterator[int]:
                for name in waiting:
                    for count in there.admin.purge(name, page=pace.page):
                        purged[name] += count
                        yield count

            through(pages(), pace, total=total, done_word="purged")
    with already_done():
        if as_json:
            show_json({"waiting": waiting, "purged": purged, "dry_run": dry_run})
            return
        shown = waiting if dry_run else purged
        word = "would be purged" if dry_run else "purged"
        show_table([*texts("queue"), *numbers(word)], list(shown.items())[:SHOWN])
        if len(shown) > SHOWN:
            rest = sum(list(shown.values())[SHOWN:])
            click.echo(f"and {len(shown) - SHOWN:,} more queues: {rest:,} {word}")


def _where(there: Opened) -> str:
    return f"{there.config.namespace} ({there.description})"
