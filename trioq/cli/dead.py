"""``trioq dead``: what can be done about jobs that don't run again by themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any, TypeVar

import attrs
import click

from trioq.cli import FAILED, Group
from trioq.cli.afar import with_api
from trioq.cli.bulk import (
    Pace,
    Stop,
    bar,
    confirm,
    interrupted,
    through,
    with_dry_run,
    with_rate,
    with_yes,
)
from trioq.cli.common import (
    ID,
    Opened,
    already_done,
    duration,
    fail,
    note,
    opened,
    show_json,
    show_json_list,
    with_config,
    with_json,
)
from trioq.cli.jobs import failures, is_gone, payload, show_story
from trioq.cli.payloads import encoded
from trioq.cli.screen import ago, cut, free_texts, numbers, plain, show_table, texts
from trioq.core.formats.history import last_error
from trioq.errors import PayloadRejected
from trioq.store.inspect import DeadFilter, JobView
from trioq.store.inspect import Group as DeadGroup

F = TypeVar("F", bound=Callable[..., Any])

#: What people are shown of a long list.
SHOWN = 50

#: Of jobs that were refused, so many are named.
NAMED = 10


def with_filters(command: F) -> F:
    """Options that say which of the dead are meant."""
    older = duration("--older-than", "Only those dead for longer: 90, 5m, 2d.")
    error = click.option(
        "--error", metavar="TEXT", help="Only those with this text in the reason or last error."
    )
    name = click.option("--name", metavar="NAME", help="Only jobs of this handler.")
    group = click.option(
        "--fingerprint", metavar="HEX", help="Only those of a group, as `trioq dead groups` has it."
    )
    return name(error(group(older(command))))


with_ids = click.argument("ids", metavar="[ID...]", type=ID, nargs=-1)
with_all = click.option("--all", "all_", is_flag=True, help="All dead jobs.")


@click.group(cls=Group)
def dead() -> None:
    """List, revive, purge and export dead jobs.

    A job is dead when its attempts ran out, when its error was permanent, or when it has
    killed its engine too often. Its payload, the reason and the errors are kept until it is
    revived or purged.
    """


@dead.command("list")
@with_config
@with_api
@with_filters
@click.option(
    "-n", "count", type=click.IntRange(min=1), metavar="N",
    help=f"At most so many; absent: {SHOWN} for people, all with --json.",
)  # fmt: skip
@with_json
def list_(
    *,
    config: str,
    name: str | None,
    error: str | None,
    fingerprint: str | None,
    older_than: float | None,
    count: int | None,
    as_json: bool,
) -> None:
    """List the dead, the longest dead first, each with its reason and last error."""
    wanted = DeadFilter(None, name, error, older_than, fingerprint)
    with opened(config) as there:
        if as_json:
            listed = islice(there.admin.dead(wanted), count)
            show_json_list(view.as_json() for view in listed)
            return
        shown, total = count or SHOWN, there.admin.stats().dead
        with bar(total, "looking for them") as advance:
            found = list(islice(there.admin.dead(wanted, progress=advance), shown + 1))
        _show_list(found[:shown])
        if len(found) > shown:
            of_how_many = f" of {total:,}" if wanted.is_everything else ""
            click.echo(f"\nthe first {shown}{of_how_many}; -n N shows more")


def _show_list(found: list[JobView]) -> None:
    if not found:
        click.echo("no such job is dead")
        return
    columns = [
        *texts("id", "job", "queue", "died"), *numbers("failed"),
        *texts("reason"), *free_texts("last error", "payload"),
    ]  # fmt: skip
    show_table(columns, map(_row, found))


def _row(view: JobView) -> tuple[object, ...]:
    told = view.as_json()
    last = last_error(view.attempts)
    error = cut(f"{last.type}: {last.message}") if last else ""
    return (
        told["id"], told["name"] or "?", told["queue"] or "?", ago(view.died_ms),
        failures(view), view.reason or "", error, payload(view),
    )  # fmt: skip


@dead.command()
@with_config
@with_api
@with_json
def groups(*, config: str, as_json: bool) -> None:
    """Group the dead by handler and by what they died of, those with the most first.

    The newest thousand are looked at. The fingerprint of a group is what --fingerprint takes.
    """
    with opened(config) as there:
        found = there.admin.groups()
    if as_json:
        show_json(found.as_json())
        return
    if not found.rows:
        click.echo("nobody is dead")
        return
    columns = [
        *numbers("jobs"), *texts("job", "fingerprint", "first", "last"), *free_texts("error")
    ]  # fmt: skip
    show_table(columns, map(_group_row, found.rows))
    if found.looked_at < found.total:
        click.echo(f"\nof the newest {found.looked_at:,}; {found.total:,} are dead")


def _group_row(row: DeadGroup) -> tuple[object, ...]:
    said = f"{row.type}: {row.message}" if row.type else row.message
    return (
        row.count, row.name or "?", row.fingerprint, ago(row.first_ms), ago(row.last_ms), cut(said)
    )  # fmt: skip


@dead.command()
@with_config
@with_api
@click.argument("id", type=ID)
@click.argument("payload", metavar="PAYLOAD_JSON")
@with_json
def edit(*, config: str, id: str, payload: str, as_json: bool) -> None:
    """Give the dead job ID another payload and a new set of attempts, in one write.

    PAYLOAD_JSON is all of it; - is stdin. Its queue, its id and its history stay.
    """
    with opened(config) as there:
        text = sys.stdin.buffer.read() if payload == "-" else payload
        try:
            content = json.loads(encoded(text, there.config.max_payload_bytes))
        except PayloadRejected as error:
            raise click.UsageError(f"PAYLOAD_JSON: {error}.") from None
        most = there.config.max_payload_bytes
        result = there.admin.edit(id, content, max_payload_bytes=most)
    with already_done():
        if as_json:
            show_json({"id": id, "result": result})
        elif result == "revived":
            click.echo(plain(f"revived {id} with another payload"))
    if result != "revived":
        why = {"unknown": "there is no such job", "taken": "a live job has its id",
               "unreadable": "it can't be read"}.get(result, f"it is {result}")  # fmt: skip
        if not as_json:
            note(plain(f"{id} isn't edited: {why}"))
        raise click.exceptions.Exit(FAILED)


@dead.command()
@with_config
@with_api
@click.argument("id", type=ID)
@with_json
def show(config: str, id: str, as_json: bool) -> None:
    """Tell the whole story of one dead job."""
    with opened(config) as there:
        view = there.admin.job(id)
    if view is None:
        fail(f"no job {id!r}")
    if view.state != "dead":
        fail(f"{id!r} isn't dead: it is {view.state}")
    if is_gone(view):
        fail(f"{id!r} was dead and has been purged")
    if as_json:
        show_json(view.as_json())
    else:
        show_story(view)


# -- many at a time ----------------------------------------------------------------------------


@attrs.frozen
class _Selected:
    """The dead jobs that a command is about."""

    wanted: DeadFilter
    total: int
    unreadable: int
    missing: tuple[str, ...]
    """Ids that were asked for and aren't dead."""
    queues: frozenset[str]
    """Where revived jobs would go."""

    def __str__(self) -> str:
        return f"{self.total:,} dead job{'s' if self.total != 1 else ''}"


def _selected(there: Opened, ids: tuple[str, ...], all_: bool, filters: DeadFilter) -> _Selected:
    """Look for them; ends the command where it isn't said which are meant."""
    if ids and (all_ or not filters.is_everything):
        raise click.UsageError("IDs can't be combined with --all or with filters.")
    if not ids and not all_ and filters.is_everything:
        raise click.UsageError("Say which: IDs, --all, or a filter such as --name.")
    uids = there.admin.uids_of(ids)
    wanted = attrs.evolve(filters, uids=tuple(uids.values())) if ids else filters
    found: set[str] = set()
    total = unreadable = 0
    queues: set[str] = set()
    with bar(there.admin.stats().dead, "looking for them") as advance:
        for page in there.admin.dead_pages(wanted):
            total += len(page.jobs)
            unreadable += sum(job.record is None for job in page.jobs)
            queues |= {job.record.queue for job in page.jobs if job.record}
            if ids:
                found |= {job.uid for job in page.jobs}
            advance(page.looked_at)
    missing = tuple(id for id in ids if uids.get(id) not in found)
    return _Selected(wanted, total, unreadable, missing, frozenset(queues))


@dead.command()
@with_config
@with_api
@with_ids
@with_all
@with_filters
@with_dry_run
@with_rate
@with_yes
@with_json
def revive(
    *, config: str, ids: tuple[str, ...], all_: bool, name: str | None, error: str | None,
    fingerprint: str | None, older_than: float | None, dry_run: bool, rate: float | None,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Give dead jobs a new set of attempts, in the queues they came from.

    Which ones is said by their IDs, by filters, or with --all. Their histories go on.
    """
    with opened(config) as there:
        chosen = _selected(there, ids, all_, DeadFilter(None, name, error, older_than, fingerprint))
        able = chosen.total - chosen.unreadable
        if chosen.unreadable:
            note(f"{chosen.unreadable:,} can't be read, so nobody knows their queue: they stay")
        for queue in sorted(chosen.queues - set(there.config.queue_names)):
            note(f"warning: the queue {queue!r} isn't configured; is there an engine for it?")
        revived, refused = 0, list[str]()
        if able and not dry_run:
            # Who names them has chosen already.
            confirm(f"Revive {chosen} of {_where(there)}?", yes=yes or bool(ids))
            pace = Pace(rate)
            pages = there.admin.revive(chosen.wanted, page=pace.page, refused=refused)
            revived = through(pages, pace, total=able, done_word="revived")
    _tell(chosen, able, revived, "revived", dry_run=dry_run, as_json=as_json, refused=refused)


@dead.command()
@with_config
@with_api
@with_ids
@with_all
@with_filters
@with_dry_run
@with_rate
@with_yes
@with_json
def purge(
    *, config: str, ids: tuple[str, ...], all_: bool, name: str | None, error: str | None,
    fingerprint: str | None, older_than: float | None, dry_run: bool, rate: float | None,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Forget dead jobs, with their payloads and errors. `trioq dead export` saves them first.

    Which ones is said by their IDs, by filters, or with --all.
    """
    with opened(config) as there:
        chosen = _selected(there, ids, all_, DeadFilter(None, name, error, older_than, fingerprint))
        purged = 0
        if chosen.total and not dry_run:
            confirm(f"Forget {chosen} of {_where(there)} for good?", yes=yes)
            pace = Pace(rate)
            pages = there.admin.purge_dead(chosen.wanted, page=pace.page)
            purged = through(pages, pace, total=chosen.total, done_word="purged")
    _tell(chosen, chosen.total, purged, "purged", dry_run=dry_run, as_json=as_json)


def _where(there: Opened) -> str:
    return f"{there.config.namespace} ({there.description})"


def _tell(
    chosen: _Selected,
    able: int,
    done: int,
    done_word: str,
    *,
    dry_run: bool,
    as_json: bool,
    refused: Sequence[str] = (),
) -> None:
    """Say what was done; ids that aren't dead, and jobs that were refused, make it a failure."""
    with already_done():
        if as_json:
            result = {
                "selected": chosen.total,
                done_word: done,
                "dry_run": dry_run,
                "not_dead": list(chosen.missing),
            }
            odd = {"unreadable": chosen.unreadable, "refused": list(refused)}
            show_json(result | odd if done_word == "revived" else result)
        elif dry_run:
            click.echo(f"would have {done_word} {able:,}")
        elif able or not chosen.missing:
            click.echo(f"{done_word} {done:,}")
    for id in chosen.missing:
        note(f"{plain(id)} isn't dead")
    for uid in refused[:NAMED]:
        note(f"{uid} stays dead: another job has its id, and waits or runs")
    if more := refused[NAMED:]:
        note(f"and {len(more):,} more stay dead for that")
    if chosen.missing or refused:
        raise click.exceptions.Exit(1)


# -- export ------------------------------------------------------------------------------------


@dead.command()
@with_config
@with_api
@with_filters
@click.option("-o", "--output", type=click.Path(allow_dash=True), default="-", metavar="FILE")
def export(
    *, config: str, name: str | None, error: str | None, fingerprint: str | None,
    older_than: float | None, output: str,
) -> None:  # fmt: skip
    """Write dead jobs with all that is known of them, one JSON object on each line.

    They stay dead. Each line is what `dead show --json` prints.
    """
    wanted = DeadFilter(None, name, error, older_than, fingerprint)
    written = 0
    with opened(config) as there:
        total = there.admin.stats().dead
        try:
            with _writing(output) as file, Stop() as stop, bar(total, "exporting") as advance:
                for view in there.admin.dead(wanted, progress=advance):
                    file.write(json.dumps(view.as_json()) + "\n")
                    written += 1
                    if stop.wanted:
                        break
        except BrokenPipeError:
            raise
        except OSError as problem:
            fail(f"{output}: {problem.strerror or problem}: {written:,} were written")
    if stop.wanted:
        interrupted(f"{written:,} written")
    note(f"{written:,} written" + ("" if output == "-" else f" to {output}"))


@contextmanager
def _writing(output: str) -> Iterator[IO[str]]:
    if output == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    with open(output, "w", encoding="utf-8") as file:
        yield file
