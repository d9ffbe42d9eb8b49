"""``trioq bench``: how much, and how fast, on this server and this machine.

Three questions with a namespace of their own: what it does with a load (the default), how long
a single job takes on an idle system (``--latency``), and how fast a backlog is worked off
(``--drain``); one for the client alone (``--enqueue``); and one for engines that are there
already (``--engines existing``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trioq.cli import FAILED
from trioq.cli.bench import existing
from trioq.cli.bench.clear import clear
from trioq.cli.bench.figures import Report
from trioq.cli.bench.modes import MODES, Told
from trioq.cli.bench.namespace import on_sigterm, own_namespace
from trioq.cli.bench.options import Wanted, wanted
from trioq.cli.bulk import confirm, with_yes
from trioq.cli.common import (
    FASTEST,
    duration,
    fail,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.number import Number
from trioq.client.sync import connect_sync
from trioq.core.config import Config
from trioq.errors import StoreError
from trioq.settings import load
from trioq.store.checks import explain

#: What a number of engines can be instead.
EXISTING = "existing"

PATIENCE_S = 30.0


class Engines(click.ParamType[int]):
    """How many, or those that are there."""

    name = "N|existing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == EXISTING:
            return 0
        try:
            return click.IntRange(1, 64).convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither a number from 1 to 64 nor {EXISTING!r}.", param, ctx)


@click.command()
@with_config
@click.option("--latency", is_flag=True, help="Single jobs on an idle system.")
@click.option("--drain", is_flag=True, help="A backlog, enqueued before it is run.")
@click.option("--enqueue", is_flag=True, help="The client alone; nothing runs.")
@click.option("-n", "--jobs", type=click.IntRange(min=1), help="How many.")
@click.option("--rate", type=Number(min=0, max=FASTEST), help="Jobs per second; 0: all at once.")
@click.option("--payload", "payload_bytes", type=click.IntRange(0, 1 << 20),
              help="Bytes of each. [default: 200]")  # fmt: skip
@duration("--work", "How long each job takes. [default: 0]")
@click.option("--queue", "queues", multiple=True, help="Where to; several are mixed.")
@click.option("--engines", type=Engines(), default=1, show_default=True,
              help="How many engines run them.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 1000), help="Of each engine.")
@click.option("--job", "name", help="With --engines existing: a job of theirs.")
@click.option("--with", "payload", metavar="JSON", help="The payload of --job.")
@click.option("--seed", type=int, default=1337, show_default=True,
              help="For payloads, queues and pauses.")  # fmt: skip
@duration("--timeout", "Gives up when no job has ended for so long. [default: 30s]")
@click.option("--clear", "clears", is_flag=True,
              help="Forget what killed benchmarks have left behind.")  # fmt: skip
@with_yes
@with_json
def bench(  # noqa: PLR0917  click names them
    config: str,
    engines: int,
    name: str | None,
    payload: str | None,
    work: float | None,
    timeout: float | None,
    clears: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure throughput and latency, in a namespace of its own.

    Enqueues jobs that do nothing, at a rate, waits for exactly these, and reports how they
    fared. The jobs, counters and lists of others aren't touched; server and machine are
    shared with them. Exit code 1 if not all of the jobs were done.

    With --engines existing it enqueues jobs of yours, in your namespace, for the engines
    that run there; they are counted with all others, and it asks before it begins.
    """
    if clears:
        clear(config, yes=yes, as_json=as_json)
        return
    options["mode"] = _mode(options)
    made = load(config)
    if engines and (name or payload):
        raise click.UsageError("--job and --with are for --engines existing.")
    asked = wanted(
        made,
        engines=engines,
        job=None if engines else _job(name, payload, options),
        work_s=work,
        timeout=timeout or PATIENCE_S,
        **options,
    )
    report = (
        _in_own_namespace(config, made, asked) if engines else _existing(config, asked, yes=yes)
    )
    if as_json:
        show_json(report.as_json())
    else:
        report.show(Console())
    if not report.measured.complete:
        sys.exit(FAILED)


def _in_own_namespace(path: str, config: Config, asked: Wanted) -> Report:
    described = config.redis.url
    try:
        with (
            on_sigterm(_interrupt),
            _progress(asked.load.jobs) as told,
            own_namespace(Path(path), config, asked.workers) as bench_,
        ):
            described = bench_.server
            measured = MODES[asked.mode](bench_, asked, told)
    except StoreError as error:
        fail(explain(error, described))
    return Report(f"{asked}; {described}", {**asked.as_json(), "server": described}, measured)


def _existing(path: str, asked: Wanted, *, yes: bool) -> Report:
    job, described = asked.load.job, ""
    assert job is not None
    with opened(path) as there:
        described = there.connector.description
        known = there.admin.stats().names
        if job[0] not in known:
            fail(f"no engine that lives knows {job[0]!r}; they know {', '.join(sorted(known))}")
        where = f"{there.config.namespace} on {described}"
        confirm(f"Run {job[0]} {asked.load.jobs:,} times in {where}?", yes=yes)
        with _progress(asked.load.jobs) as told, connect_sync(there.config) as client:
            measured = existing.run(there.connector, client, asked.load, asked.patience_s, told)
    return Report(f"{asked}; {described}", {**asked.as_json(), "server": described}, measured)


def _mode(options: dict[str, Any]) -> str | None:
    """Which of the questions is asked; their options are taken out."""
    asked = [mode for mode in ("latency", "drain", "enqueue") if options.pop(mode)]
    if len(asked) > 1:
        raise click.UsageError(
            "--latency, --drain and --enqueue ask different things: one of them."
        )
    return asked[0] if asked else None


def _job(
    name: str | None, payload: str | None, options: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Whose job it is, and with what."""
    if name is None:
        raise click.UsageError("--engines existing needs --job: a job that they know.")
    for option in ("payload_bytes", "workers"):
        if options[option] is not None:
            raise click.UsageError(f"--{option.partition('_')[0]} is for engines of its own.")
    if options["mode"] in ("drain", "enqueue"):
        raise click.UsageError(f"--{options['mode']} is for engines of its own.")
    try:
        value = json.loads(payload or "{}")
    except ValueError as error:
        raise click.UsageError(f"--with: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError("--with: a payload is a JSON object.")
    return name, value


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], Told]]:
    """Bars on a terminal; each takes the count so far."""
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:

        def told(what: str) -> Told:
            bar = progress.add_task(what, total=total)
            return lambda count: progress.update(bar, completed=count)

        yield told


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
