"""``trioq breakers``: those that aren't closed, and closing one by hand."""

from __future__ import annotations

from collections.abc import Collection

import click

from trioq.cli import WRONG_USE
from trioq.cli.afar import with_api
from trioq.cli.common import already_done, fail, opened, show_json, with_config, with_json
from trioq.cli.screen import ago, free_texts, numbers, plain, show_table, texts
from trioq.client.known import why_no_breaker
from trioq.store.inspect import BreakerView


@click.command()
@with_config
@with_api
@click.argument("action", required=False, type=click.Choice(["reset"]))
@click.argument("name", required=False)
@with_json
def breakers(config: str, action: str | None, name: str | None, as_json: bool) -> None:
    """List the breakers that aren't closed, and those that all engines share.

    With `reset NAME` the breakers of that name are closed, in all engines within a beat, whatever
    was found: NAME is a handler's, or what several depend on.
    """
    if (action is None) != (name is None):
        raise click.UsageError("Say which: reset NAME.")
    with opened(config) as there:
        found = there.admin.breakers()
        if name is not None:
            engines = there.admin.stats().engines
            if why := why_no_breaker(name, found, engines, there.config.breakers):
                fail(why, WRONG_USE)
            there.admin.reset_breaker(name)
    if name is None:
        _show(found, as_json)
        return
    shut = [each for each in found if each.name == name and each.state != "closed"]
    with already_done():
        if as_json:
            show_json({"name": name, "were": [each.as_json() for each in shut]})
            return
        beat_s = there.config.worker.heartbeat_interval_s
        was = "" if shut else ", as it was, as far as is known"
        click.echo(plain(f"{name} is closed, in all engines within {beat_s:g} s{was}"))


def _show(found: Collection[BreakerView], as_json: bool) -> None:
    if as_json:
        show_json([each.as_json() for each in found])
    elif not found:
        click.echo("all breakers are closed")
    else:
        show_breakers(found)


def show_breakers(found: Collection[BreakerView]) -> None:
    """Print a table of them."""
    columns = [
        *texts("breaker", "of", "state", "since", "probe"), *numbers("failures", "runs"),
        *free_texts("probes"),
    ]  # fmt: skip
    show_table(
        columns,
        [
            (
                each.name,
                "all engines" if each.engine is None else each.engine,
                each.state.replace("_", "-"),
                ago(each.since_ms),
                ago(each.until_ms),
                each.failures,
                each.runs,
                ", ".join(f"{uid} on {engine}" for uid, engine in each.probes.items()),
            )
            for each in found
        ],
    )
