"""``trioq stats`` and ``trioq engines``: how many jobs are where, and who works on them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from trioq.cli.afar import with_api
from trioq.cli.breakers import show_breakers
from trioq.cli.common import Opened, note, opened, show_json, with_config, with_json
from trioq.cli.screen import ago, free_texts, numbers, plain, show_table, texts
from trioq.client import shapes
from trioq.engine import from_config
from trioq.store.inspect import Door, EngineStats, QueueStats, Standing, Stats
from trioq.store.inspect.sample import producers_wait

#: What is counted over all time, in this order, if it ever happened.
COUNTED = ("done", "dead", "cancelled", "enqueued", "retried", "reaped", "strays")


#: Of queues that aren't configured, of doors, of pauses and of keys: so many are shown to people.
QUEUES = 30
DOORS = 20
PAUSES = 20
BREAKERS = 20
KEYS = 200
SCHEDULES = 10


@click.command()
@with_config
@with_api
@click.option("--keys", is_flag=True, help="How large each key is, and what memory it takes.")
@with_json
def stats(config: str, keys: bool, as_json: bool) -> None:
    """Show how many jobs are where, all counted at one moment.

    `done` counts all that ever completed, `dead` those that are dead now.
    """
    with opened(config) as there:
        if keys:
            remote = there.remote
            measured = shapes.keys(there.admin) if remote is None else remote.keys()
            if as_json:
                show_json(measured)
            else:
                _show_keys(measured)
            return
        found = there.admin.stats()
        if as_json:
            show_json(shapes.stats(there.admin, found))
        else:
            _show_stats(there, found)


def _show_stats(there: Opened, found: Stats) -> None:
    click.echo(f"{found.namespace} on {there.description}\n")
    columns = [
        *texts("queue"), *numbers("ready", "scheduled", "parked", "running"), *texts("")
    ]  # fmt: skip
    named, left_out = _shown_queues(found, there.config.queue_names)
    rows = [
        (name, q.ready, q.scheduled, q.parked, q.running, _remarks(q)) for name, q in named.items()
    ]
    show_table(columns, rows)
    if left_out:
        click.echo(f"and {len(left_out):,} more queues, with {_waiting(left_out):,} job(s)")
    rate = None if there.remote else from_config.rate(there.config)
    if rate is not None and producers_wait(there.admin.store, rate):
        click.echo(
            f"\nproducers wait: the limiter allows {rate.per_s:g}/s, and its permits are taken"
        )
    if paused := found.pauses.in_words():
        click.echo("\n" + "\n".join(map(plain, paused[:PAUSES])))
    if len(paused) > PAUSES:
        click.echo(f"and {len(paused) - PAUSES:,} more are paused")
    _show_schedules(there.admin.standing())
    show_doors(there.admin.doors(found))
    if shut := [each for each in there.admin.breakers(found) if each.state != "closed"]:
        click.echo()
        show_breakers(shut[:BREAKERS])
        if len(shut) > BREAKERS:
            click.echo(f"and {len(shut) - BREAKERS:,} more breakers that aren't closed")
    told = found.as_json()
    counted = [f"{told[what]:,} {what}" for what in COUNTED if told[what] or what == "done"]
    click.echo(f"\n{found.running} running, " + ", ".join(counted))
    if found.engines:
        click.echo()
        _show_engines(found.engines, with_queues=True)
    else:
        click.echo("no engine lives")


def _shown_queues(
    found: Stats, configured: Sequence[str]
) -> tuple[dict[str, QueueStats], dict[str, QueueStats]]:
    """The configured queues and, of the others, those with the most jobs; and what is left."""
    others = [name for name in found.queues if name not in configured]
    others.sort(key=lambda name: -found.queues[name].waiting)
    left_out = set(others[QUEUES:])
    return (
        {name: queue for name, queue in found.queues.items() if name not in left_out},
        {name: found.queues[name] for name in left_out},
    )


def _waiting(queues: Mapping[str, QueueStats]) -> int:
    return sum(queue.waiting for queue in queues.values())


def _show_schedules(found: Standing) -> None:
    if found.count:
        faults = found.faults_in_words()
        click.echo("\n" + "\n".join(map(plain, [found.in_words(), *faults[:SCHEDULES]])))
        if len(faults) > SCHEDULES:
            click.echo("and more: trioq schedules lists them")


def show_doors(behind: Sequence[Door]) -> None:
    """Print what parked jobs wait behind; nothing where none are."""
    if not behind:
        return
    click.echo()
    columns = [*texts("queue", "job"), *numbers("parked"), *texts("since"), *free_texts("why")]
    show_table(columns, [(d.queue, d.name, d.parked, ago(d.since_ms), d.reasons)
                         for d in behind[:DOORS]])  # fmt: skip
    if more := behind[DOORS:]:
        jobs = sum(door.parked for door in more)
        click.echo(f"and {len(more):,} more names, with {jobs:,} parked job(s)")


def _remarks(queue: QueueStats) -> str:
    """What is out of the ordinary."""
    remarks = []
    if queue.paused:
        remarks.append("paused")
    if queue.limited:
        remarks.append(f"{queue.limited:,} limited")
    if said := queue.in_line_in_words(time.time_ns() // 1_000_000):
        remarks.append(said)
    if not queue.served and queue.waiting:
        remarks.append("no engine serves it")
    if queue.suspects:
        remarks.append(f"{queue.suspects} suspect")
    return ", ".join(remarks)


@click.command()
@with_config
@with_api
@with_json
def engines(config: str, as_json: bool) -> None:
    """List the engines that are registered now: what they know, and which jobs they hold.

    An engine holds what it runs, and a few small jobs ahead.
    """
    with opened(config) as there:
        if as_json:
            show_json(shapes.engines(there.admin))
            return
        found = there.admin.stats().engines
        held = {engine.id: there.admin.held(engine.id) for engine in found}
    if found:
        _show_engines(found)
        for engine in found:
            known = {"queues": engine.info.queues, "handlers": engine.info.names}
            for what, names in known.items():
                click.echo(f"{plain(engine.name)} {what}: {plain(', '.join(names))}")
        rows = [
            (engine.name, told["id"], told["name"] or "?", told["queue"] or "?")
            for engine in found
            for told in map(shapes.held, held[engine.id])
        ]
        if rows:
            click.echo()
            show_table(texts("engine", "holds", "job", "queue"), rows)
    else:
        click.echo("no engine lives")


def _show_engines(found: tuple[EngineStats, ...], *, with_queues: bool = False) -> None:
    columns = [*texts("engine"), *numbers("pid", "workers", "running"), *texts("started", "http")]
    rows: list[tuple[object, ...]] = [
        (
            e.name,
            e.info.pid or "",
            e.info.workers or "",
            e.running,
            ago(e.info.started_ms),
            e.info.http,
        )
        for e in found
    ]
    if any(e.abandoned for e in found):
        columns += texts("abandoned")
        rows = [(*row, _abandoned(e)) for row, e in zip(rows, found, strict=True)]
    if any(e.info.supervisor for e in found):
        columns += texts("process")
        rows = [(*row, _process(e)) for row, e in zip(rows, found, strict=True)]
    # One of another version may say nothing of them.
    if with_queues and len({frozenset(e.info.queues) for e in found if e.info.queues}) > 1:
        columns += free_texts("serves")
        rows = [(*row, ", ".join(e.info.queues)) for row, e in zip(rows, found, strict=True)]
    show_table(columns, rows)


def _abandoned(engine: EngineStats) -> str:
    """How many of its handlers go on though their jobs are settled."""
    return ", ".join(f"{n} {name}" for name, n in sorted(engine.abandoned.items()))


def _process(engine: EngineStats) -> str:
    """Which one it is of whose processes."""
    info = engine.info
    return f"{info.process} of {info.supervisor}" if info.supervisor else ""


def _show_keys(told: dict[str, Any]) -> None:
    measured, total = told["keys"], told["bytes"]
    columns = [*texts("key", "type"), *numbers("length", "bytes")]
    rows = [
        (s["key"], s["type"].lower(), s["length"], "?" if s["bytes"] is None else s["bytes"])
        for s in measured[:KEYS]
    ]
    show_table(columns, rows)
    if len(measured) > KEYS:
        click.echo(f"and {len(measured) - KEYS:,} smaller ones")
    if total is not None:
        click.echo(f"\n{len(measured)} keys, about {total:,} bytes")
    else:
        note("the user may not ask how large keys are: ACL SETUSER … +memory|usage")
