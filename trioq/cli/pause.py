"""``trioq pause`` and ``resume``: a queue, or the jobs of a name."""

from __future__ import annotations

import click

from trioq.cli import WRONG_USE
from trioq.cli.common import (
    Opened,
    already_done,
    as_seconds,
    complete_queues,
    fail,
    note,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.screen import plain
from trioq.core.config.rules import did_you_mean
from trioq.core.formats.pause import NOTE_MAX

with_queue = click.argument("queue", required=False, shell_complete=complete_queues)
with_job = click.option("--job", metavar="NAME", help="The jobs of this name, in all queues.")


@click.command()
@with_config
@with_queue
@with_job
@click.option("--for", "lasts", metavar="DURATION", callback=as_seconds,
              help="How long, by the server's clock. Default: until it is resumed.")  # fmt: skip
@click.option("--note", "why", metavar="TEXT", default="", help="Why, for whoever wonders.")
@with_json
def pause(
    *, config: str, queue: str | None, job: str | None, lasts: float | None, why: str, as_json: bool
) -> None:
    """Stop claiming from QUEUE, or running the jobs of a name, on all engines.

    Running jobs run on, and it still fills. With neither, show what is paused: by whom, since
    when, why, and until when.
    """
    if len(why) > NOTE_MAX:
        raise click.UsageError(f"The note has {len(why):,} characters: {NOTE_MAX} at most.")
    if lasts is not None and lasts <= 0:
        raise click.UsageError("--for 0 is no time: say one above 0.")
    with opened(config) as there:
        if queue is None and job is None:
            if why or lasts is not None:
                raise click.UsageError("Say which: a QUEUE, or --job NAME.")
            _show(there, as_json)
            return
        what = _meant(there, queue, job)
        changed = there.admin.pause(**what, lasts=lasts, note=why)
    _tell(what, changed, "paused", as_json)


@click.command()
@with_config
@with_queue
@with_job
@with_json
def resume(config: str, queue: str | None, job: str | None, as_json: bool) -> None:
    """Claim from QUEUE, or run the jobs of a name, again."""
    with opened(config) as there:
        what = _meant(there, queue, job)
        changed = there.admin.resume(**what)
    _tell(what, changed, "not paused", as_json)


def _meant(there: Opened, queue: str | None, job: str | None) -> dict[str, str]:
    """What a command is about; ends it if there is no such queue."""
    if (queue is None) == (job is None):
        raise click.UsageError("Say which: a QUEUE, or --job NAME.")
    if job is None:
        return {"queue": there.known_queue(queue or "")}
    if not job:
        fail("no job has an empty name", WRONG_USE)
    known = there.admin.stats().names
    if job not in known:
        # It may be that of engines that are still to come, or of none that lives.
        note(f"no engine knows {job!r} now{did_you_mean(job, known)}")
    return {"job": job}


def _tell(what: dict[str, str], changed: bool, state: str, as_json: bool) -> None:
    with already_done():
        if as_json:
            show_json({**what, "paused": state == "paused", "changed": changed})
        else:
            (name,) = what.values()
            click.echo(plain(f"{name} is {state}") + ("" if changed else ", as it was before"))


def _show(there: Opened, as_json: bool) -> None:
    """What is paused."""
    paused = there.admin.pauses()
    if as_json:
        show_json(paused.as_json())
        return
    for line in paused.in_words() or ["nothing is paused"]:
        click.echo(plain(line))
