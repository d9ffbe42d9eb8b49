"""``trioq scale``: how many processes a running ``trioq serve`` is to have."""

from __future__ import annotations

from pathlib import Path

import click

from trioq.cli.common import show_json, with_config, with_json
from trioq.processes import control
from trioq.settings import load


@click.command()
@with_config
@click.argument("processes", type=click.IntRange(1, 1000))
@click.option("--pid", type=int, help="Which `trioq serve`, where several have this CONFIG.")
@with_json
def scale(config: str, processes: int, pid: int | None, as_json: bool) -> None:
    """Have a running `trioq serve` keep so many processes, until it ends.

    It must run on this machine with several processes, as this user. New ones start one
    after the other; the youngest ones drain.
    """
    load(config)  # what is wrong with it is said first
    told = control.tell(Path(config), pid, {"processes": processes})
    if as_json:
        show_json(told)
    else:
        click.echo(f"{told['processes']} processes are wanted; there were {told['were']}")
