"""``trioq schedules``: what makes jobs by the clock, and what became of its last ticks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from trioq.cli import WRONG_USE, Listing
from trioq.cli.afar import with_api
from trioq.cli.common import (
    Opened,
    already_done,
    as_seconds,
    fail,
    first,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.screen import ago, free_texts, moment, numbers, plain, show_table, texts
from trioq.client.jobs import Drafts
from trioq.client.sync_schedules import SyncSchedules
from trioq.core.config.rules import did_you_mean
from trioq.core.duration import exactly, roughly
from trioq.core.formats.pause import NOTE_MAX
from trioq.errors import PayloadRejected, QueueFull, QueueUnknown
from trioq.store.inspect import ScheduleView, TickView, late_in_words, schedule_in_words

if TYPE_CHECKING:
    from trioq.client.remote.schedules import RemoteSchedules

with_name = click.argument("name")

OWNERS = {"config": "configuration", "app": "app", "runtime": "client"}


class Schedules(Listing):
    """``trioq schedules CONFIG`` lists; with a word before it, that is done."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Also behind the configuration, as `trioq schedules CONFIG show NAME`.
        if args[0] not in self.commands and len(args) > 1 and args[1] in self.commands:
            args = [args[1], args[0], *args[2:]]
        if args[0] not in self.commands:
            words = [each for each in args if not each.startswith("-")]
            for word in words[:2] if len(words) > 1 else ():
                if close := did_you_mean(word, self.commands):
                    ctx.fail(f"No such command {word!r}{close}")
        return super().resolve_command(ctx, args)


@click.group(cls=Schedules, subcommand_metavar="CONFIG [list|show|next|run|pause|resume] [NAME]")
def schedules() -> None:
    """List what makes jobs by the clock; look into one, run it now, pause or resume it.

    `trioq schedules CONFIG` lists them.
    """


@schedules.command("list")
@with_config
@with_api
@with_json
def list_(config: str, as_json: bool) -> None:
    """List schedules: when each comes, next and last, and who says that there is this."""
    with opened(config) as there:
        found, now_ms = _client(there).list(), there.admin.now_ms()
    if as_json:
        show_json([view.as_json() for view in found])
    elif not found:
        click.echo("there are no schedules")
    else:
        columns = [*texts("schedule", "next", "last", "became", "of"), *free_texts("when")]
        show_table(columns, [_row(view, now_ms) for view in found])
        for view in found:
            for line in _remarks(view, now_ms):
                click.echo(plain(line))


@schedules.command()
@with_config
@with_api
@with_name
@with_json
def show(config: str, name: str, as_json: bool) -> None:
    """Show the schedule NAME, and what became of its last 20 ticks."""
    with opened(config) as there:
        view, now_ms = _known(there, name), there.admin.now_ms()
    if as_json:
        show_json(view.as_json())
        return
    for what, said in _told(view, now_ms):
        click.echo(plain(f"{what:<9} {said}"))
    for line in _remarks(view, now_ms):
        click.echo(plain(line))
    if view.ticks:
        columns = [*texts("tick", "became"), *numbers("late"), *texts("job")]
        show_table(columns, [_tick(tick) for tick in reversed(view.ticks)])


@schedules.command("next")
@with_config
@with_api
@with_name
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True,
              help="How many.")  # fmt: skip
@with_json
def next_(config: str, name: str, count: int, as_json: bool) -> None:
    """Print the next ticks of the schedule NAME, by the clocks of its zone."""
    with opened(config) as there:
        view, now_ms = _known(there, name), there.admin.now_ms()
    ticks = view.following(count)
    if as_json:
        show_json(ticks)
        return
    for at_ms in ticks:
        click.echo(plain(_at(view, at_ms)))
    if not ticks:
        click.echo(plain(f"{name} doesn't come any more"))
    for line in _remarks(view, now_ms):
        click.echo(plain(line))


@schedules.command()
@with_config
@with_api
@with_name
@with_json
def run(config: str, name: str, as_json: bool) -> None:
    """Enqueue now what a tick of the schedule NAME would; its ticks come as before."""
    with opened(config) as there:
        view = _known(there, name)
        try:
            handle = _client(there).run(view.name)
        except (ValueError, PayloadRejected, QueueUnknown, QueueFull) as error:
            fail(str(error))
    with already_done():
        if as_json:
            show_json({"schedule": name, "uid": handle.uid, "queue": handle.queue})
        else:
            click.echo(plain(f"{handle.uid} is in {handle.queue}"))


@schedules.command()
@with_config
@with_api
@with_name
@click.option("--for", "lasts", metavar="DURATION", callback=as_seconds,
              help="How long, by the server's clock. Default: until it is resumed.")  # fmt: skip
@click.option("--note", "why", metavar="TEXT", default="", help="Why, for whoever wonders.")
@with_json
def pause(config: str, name: str, lasts: float | None, why: str, as_json: bool) -> None:
    """Have the ticks of the schedule NAME bring no jobs; they are told as paused."""
    if len(why) > NOTE_MAX:
        raise click.UsageError(f"The note has {len(why):,} characters: {NOTE_MAX} at most.")
    if lasts is not None and lasts <= 0:
        raise click.UsageError("--for 0 is no time: say one above 0.")
    with opened(config) as there:
        _known(there, name)
        changed = _client(there).pause(name, lasts=lasts, note=why)
    _say(name, "paused", changed, as_json)


@schedules.command()
@with_config
@with_api
@with_name
@with_json
def resume(config: str, name: str, as_json: bool) -> None:
    """Have the ticks of the schedule NAME bring jobs again."""
    with opened(config) as there:
        _known(there, name)
        changed = _client(there).resume(name)
    _say(name, "resumed", changed, as_json)


def _client(there: Opened) -> SyncSchedules | RemoteSchedules:
    """What programs have, for the command line."""
    if (remote := there.remote) is not None:
        from trioq.client.remote.schedules import RemoteSchedules

        return RemoteSchedules(remote)
    from trioq.client.sync import SyncClient
    from trioq.client.sync_sender import SyncSender  # only where something is asked
    from trioq.observe.tracing import Tracing

    drafts = Drafts(there.config, True)
    client = SyncClient(there.connector, drafts, Tracing.open(there.config))
    return SyncSchedules(drafts, SyncSender(lambda: there.admin.store), client.enqueue)


def _known(there: Opened, name: str) -> ScheduleView:
    found = {view.name: view for view in _client(there).list()}
    if name not in found:
        told = did_you_mean(name, found) or f"; there are {first(sorted(found))}"
        fail(f"no schedule {name!r}" + (told if found else ": there are none"), WRONG_USE)
    return found[name]


def _say(name: str, state: str, changed: bool, as_json: bool) -> None:
    with already_done():
        if as_json:
            show_json({"schedule": name, "paused": state == "paused", "changed": changed})
        else:
            click.echo(plain(f"{name} is {state}" + ("" if changed else ", as it was")))


def _row(view: ScheduleView, now_ms: int) -> tuple[object, ...]:
    last = view.ticks[-1] if view.ticks else None
    comes = ago(view.next_ms, now_ms) if view.state in ("", "unlisted") else view.state
    return (
        view.name, comes, ago(last.at_ms, now_ms) if last else "", _became(last),
        OWNERS.get(view.owner, ""), view.when,
    )  # fmt: skip


def _became(tick: TickView | None) -> str:
    if tick is None:
        return ""
    late = f", {roughly(tick.late_ms / 1000)} late" if tick.late_ms >= 1000 else ""
    return tick.outcome + late


def _told(view: ScheduleView, now_ms: int) -> list[tuple[str, str]]:
    said = [("schedule", view.name), ("when", view.when)]
    if (its := view.schedule) is not None:
        payload = json.dumps(json.loads(its.payload), ensure_ascii=False)
        said += [
            ("job", f"{its.job} in {its.queue}, given {payload}"),
            ("misfire", f"{its.misfire}, if later than {exactly(its.grace_ms)}"),
            ("overlap", its.overlap),
        ]
        if its.jitter_ms:
            said.append(("jitter", f"up to {exactly(its.jitter_ms)}"))
        said.append(("of", OWNERS[its.owner] + (f" {view.app}" if view.app else "")))
    if view.next_ms is not None:
        said.append(("next", f"{_at(view, view.next_ms)} ({ago(view.next_ms, now_ms)})"))
    if view.runs:
        said.append(("runs", ", ".join(view.runs)))
    return said


def _remarks(view: ScheduleView, now_ms: int) -> list[str]:
    """What keeps it from ticks, or will."""
    told = []
    if view.next_ms is not None and (late := late_in_words(view.name, view.next_ms, now_ms)):
        told.append(late)
    if view.paused is not None:
        told.append(schedule_in_words(view.name, view.paused))
    if view.retired_ms is not None:
        told.append(
            f"{view.name} is retired since {moment(view.retired_ms)}: no deployment lists it;"
            " it makes no ticks"
        )
    elif (at_ms := view.retires_ms()) is not None:
        told.append(
            f"{view.name}: the newest deployment doesn't list it; it is retired {ago(at_ms)}"
        )
    return told


def _tick(tick: TickView) -> tuple[Any, ...]:
    at = datetime.fromtimestamp(tick.at_ms / 1000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC", tick.outcome, roughly(tick.late_ms / 1000), tick.uid


def _at(view: ScheduleView, at_ms: int) -> str:
    """By the clocks of its zone."""
    zone = getattr(view.schedule and view.schedule.when, "zone", UTC)
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    return f"{at:%a %Y-%m-%d %H:%M:%S} {at.tzname()}"
