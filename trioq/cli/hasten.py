"""``trioq hasten``: what waits for its time is due now."""

from __future__ import annotations

import click

from trioq.cli import FAILED
from trioq.cli.afar import with_api
from trioq.cli.common import ID, already_done, note, opened, show_json, with_config, with_json
from trioq.cli.screen import plain


@click.command()
@with_config
@with_api
@click.argument("ids", metavar="ID...", type=ID, nargs=-1, required=True)
@with_json
def hasten(*, config: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Have jobs that wait for a retry, or for their time, be due now.

    Their failed attempts count as before. The exit code is 1 if one of them doesn't wait for a
    time: it is told what it does instead.
    """
    results = dict[str, str]()
    with opened(config) as there:
        for id in dict.fromkeys(ids):
            results[id] = there.admin.hasten(id)
    with already_done():
        if as_json:
            show_json([{"id": id, "result": result} for id, result in results.items()])
        for id, result in results.items() if not as_json else ():
            if result == "hastened":
                click.echo(plain(f"{id} is due now"))
            else:
                state = "there is no such job" if result == "unknown" else f"it is {result}"
                note(plain(f"{id} isn't hastened: {state}"))
    if set(results.values()) != {"hastened"}:
        raise click.exceptions.Exit(FAILED)
