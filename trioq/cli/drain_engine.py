"""``trioq drain``: one engine ends when what it runs has ended."""

from __future__ import annotations

import click

from trioq.cli import WRONG_USE
from trioq.cli.afar import with_api
from trioq.cli.common import already_done, fail, first, opened, show_json, with_config, with_json
from trioq.cli.screen import plain
from trioq.core.config.rules import did_you_mean


@click.command()
@with_config
@with_api
@click.argument("engine")
@click.option("--reason", default="", metavar="TEXT", help="Why, for its log.")
@with_json
def drain(*, config: str, engine: str, reason: str, as_json: bool) -> None:
    """Have ENGINE drain, by its id or its name: it claims no more, finishes what it runs within its
    grace period, and ends.

    It hears of that within seconds. One of a supervisor's processes is replaced by a fresh one.
    """
    with opened(config) as there:
        if there.admin.drain_engine(engine, reason) is None:
            known = [each.name for each in there.admin.stats().engines]
            hint = did_you_mean(engine, known) or (f"; there are {first(known)}" if known else "")
            fail(plain(f"no engine {engine!r} lives{hint}"), WRONG_USE)
    with already_done():
        if as_json:
            show_json({"engine": engine, "asked": True})
        else:
            click.echo(plain(f"{engine} was asked to drain"))
