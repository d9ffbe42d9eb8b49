"""``trioq cancel``: jobs that shall end, by their ids or many of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs
import click

from trioq.cli import FAILED
from trioq.cli.afar import with_api
from trioq.cli.bulk import Stop, bar, confirm, interrupted, with_dry_run, with_yes
from trioq.cli.common import (
    ID,
    Opened,
    already_done,
    duration,
    note,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.handler_names import known_here
from trioq.cli.screen import plain
from trioq.client.cancel import WAIT_S, CancelOutcome
from trioq.client.cancelling import Cancelled
from trioq.errors import TrioqError
from trioq.store.inspect import JobFilter

#: Of many that weren't cancelled for the same reason, so many are named.
NAMED = 5

#: The words for those that are cancelled.
SAID: Mapping[CancelOutcome | None, str] = {
    CancelOutcome.was_waiting: "cancelled",
    CancelOutcome.stopped: "stopped",
}
#: And for those that would be.
WOULD: Mapping[CancelOutcome | None, str] = {
    CancelOutcome.was_waiting: "would cancel",
    CancelOutcome.asked: "would stop",
}
WHY_NOT: Mapping[CancelOutcome | None, str] = {
    CancelOutcome.asked: "not cancelled: it runs; it stays asked to end, and won't run again",
    CancelOutcome.ignored: "cancelled, but its handler didn't end when it was told to",
    CancelOutcome.finished_first: "not cancelled: it is done",
    CancelOutcome.died_first: "not cancelled: it is dead already",
    CancelOutcome.unknown: "not cancelled: there is no such job",
    None: "not cancelled: its record can't be read, so nobody knows its queue",
}


@click.command()
@with_config
@with_api
@click.argument("ids", metavar="[ID...]", type=ID, nargs=-1)
@click.option("--name", metavar="NAME", help="All jobs of this handler.")
@click.option("--queue", metavar="QUEUE", help="All jobs of this queue.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for whoever asks.")
@duration("--wait", f"How long to wait for those that run to end.  [default: {WAIT_S:g}s]")
@with_dry_run
@with_yes
@with_json
def cancel(
    *, config: str, ids: tuple[str, ...], name: str | None, queue: str | None, reason: str,
    wait: float | None, dry_run: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Have jobs end, wherever they are: those that wait won't run, those that run are stopped.

    Which ones is said by their IDs, or with --name and --queue, both of which must apply. The
    exit code is 1 if one of them wasn't cancelled.
    """
    if ids and (name or queue):
        raise click.UsageError("IDs can't be combined with --name or --queue.")
    if not (ids or name or queue):
        raise click.UsageError("Say which: IDs, --name or --queue.")
    wanted = JobFilter(ids or None, name, queue)
    done = _Done(keeps=as_json or bool(ids), would=dry_run)
    with opened(config) as there:
        if queue:
            there.known_queue(queue)
        if dry_run:
            done.take(_would(there, wanted))
        else:
            total = len(ids) or _asked_for(there, wanted, yes=yes)
            if not total and name:
                known = there.admin.stats().names
                if warning := known_here(there.config).warning(name, known):
                    note(warning)
            wait_s = WAIT_S if wait is None else wait
            _cancel(there, wanted, reason, wait_s, total=total, done=done)
    with already_done():
        if as_json:
            show_json([done.as_json(each) for each in done.kept])
        elif ids:
            done.tell_each()
        else:
            done.tell_all()
    if done.interrupted:
        interrupted(done.interrupted)
    if not done.is_all_cancelled:
        raise click.exceptions.Exit(FAILED)


def _asked_for(there: Opened, wanted: JobFilter, *, yes: bool) -> int:
    """How many there are, if they may be cancelled; ends the command if not."""
    total = 0
    with bar(there.admin.stats().records, "looking for them") as advance:
        for page in there.admin.living(wanted):
            total += len(page.jobs)
            advance(page.looked_at)
    if total > 1:
        where = f"{there.config.namespace} ({there.description})"
        confirm(f"Cancel {total:,} jobs of {where}?", yes=yes)
    return total


@attrs.define
class _Done:
    """What came of them."""

    keeps: bool
    """Whether each is to be told of, and not only how many there were."""
    would: bool
    """Whether nothing was done: it is what would come of them."""
    kept: list[Cancelled] = attrs.field(factory=list[Cancelled], init=False)
    counts: Counter[CancelOutcome | None] = attrs.field(factory=Counter, init=False)
    named: dict[CancelOutcome | None, list[str]] = attrs.field(factory=dict, init=False)
    interrupted: str = attrs.field(default="", init=False)
    """How far it came by then."""

    def take(self, told: Iterable[Cancelled]) -> None:
        for each in told:
            self.counts[each.outcome] += 1
            if self.keeps:
                self.kept.append(each)
            elif len(names := self.named.setdefault(each.outcome, [])) < NAMED:
                names.append(each.id)

    @property
    def good(self) -> Mapping[CancelOutcome | None, str]:
        """What one wants to come of them, and the word for it."""
        return WOULD if self.would else SAID

    @property
    def is_all_cancelled(self) -> bool:
        return self.counts.keys() <= self.good.keys()

    def as_json(self, told: Cancelled) -> dict[str, object]:
        if self.would and (word := self.good.get(told.outcome)):
            return {"id": told.id, "uid": told.uid, "result": word, "outcome": None}
        return {"id": told.id, "uid": told.uid, "result": told.result, "outcome": told.outcome}

    def tell_each(self) -> None:
        for told in self.kept:
            if word := self.good.get(told.outcome):
                click.echo(f"{word} {plain(told.id)}")
            else:
                note(f"{plain(told.id)}: {WHY_NOT[told.outcome]}")

    def tell_all(self) -> None:
        counted = [f"{word} {self.counts[o]:,}" for o, word in self.good.items() if self.counts[o]]
        nothing = "cancelled 0" if self.counts else "nothing there to be cancelled"
        click.echo(", ".join(counted) or nothing)
        for outcome, names in self.named.items():
            if outcome not in self.good:
                more = self.counts[outcome] - len(names)
                told = ", ".join(names) + (f" and {more:,} more" if more else "")
                note(f"{plain(told)}: {WHY_NOT[outcome]}")


def _would(there: Opened, wanted: JobFilter) -> Iterator[Cancelled]:
    """What would come of them: those that run would be asked."""
    for page in there.admin.living(wanted):
        running = there.admin.running([job.uid for job in page.jobs])
        for job in page.jobs:
            would = CancelOutcome.asked if job.uid in running else CancelOutcome.was_waiting
            yield Cancelled(job.id, job.uid, would if job.record else None)
        yield from (Cancelled.over(id, view) for id, view in page.others.items())


def _cancel(
    there: Opened, wanted: JobFilter, reason: str, wait_s: float, *, total: int, done: _Done
) -> None:
    """Cancel them, and wait for those that run."""
    left: dict[str | None, Cancelled] = {}
    with bar(total, "cancelling") as advance:
        try:
            with Stop() as stop:
                for page in there.admin.cancel_many(wanted, reason):
                    over = [told for told in page if told.outcome is not CancelOutcome.asked]
                    left |= {t.uid: t for t in page if t.outcome is CancelOutcome.asked}
                    done.take(over)
                    advance(len(over))
                    if stop.wanted:
                        break
        except TrioqError:
            note(f"{len(left) + done.counts.total():,} of {total:,} cancelled before this:")
            raise
        if stop.wanted:
            done.interrupted = (
                f"{len(left) + done.counts.total():,} of {total:,} cancelled;"
                " the same command goes on from there"
            )
            done.take(left.values())
            return
        try:
            for told in there.admin.outcomes([*left.values()], wait_s):
                left.pop(told.uid)
                done.take([told])
                advance(1)
        except KeyboardInterrupt:
            done.interrupted = "all of them are asked to end, and won't run again"
            done.take(left.values())
