"""``trioq serve``: an engine in this process, or several of them in processes of their own.

What an engine needs is imported where one runs: a supervisor is a small process.
"""

from __future__ import annotations

import attrs
import click

from trioq.cli.number import Number
from trioq.cli.some_queues import QUEUES, with_queues
from trioq.cli.wanted import Wanted
from trioq.core.config import Config, ServeConfig
from trioq.core.config.keys import entries
from trioq.core.config.kinds import Kind
from trioq.core.config.served import served
from trioq.core.valid import LONGEST_S
from trioq.errors import ConfigError
from trioq.processes.cores import usable_cores
from trioq.processes.membership import Membership
from trioq.settings import load


def processes_of(text: str) -> int | str:
    """How many processes, as the configuration has it.

    Raises:
      ValueError: What would be right.
    """
    kind = entries(ServeConfig)["processes"].kind
    assert isinstance(kind, Kind)
    count = kind.parse(kind.from_text(text))
    for _, problem in kind.problems(count, text):
        raise ValueError(problem)
    made: int | str = count
    return made


def _processes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    try:
        return None if value is None else processes_of(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def member_of(word: str) -> Membership:
    """Whose child this process is, by what its supervisor says.

    Raises:
      ValueError: It's no supervisor's word.
    """
    return Membership.of_word(word)


def _child(ctx: click.Context, param: click.Parameter, value: str | None) -> Membership | None:
    try:
        return None if value is None else member_of(value)
    except ValueError:
        raise click.BadParameter("only a supervisor starts a child.") from None


@click.command()
@click.argument("config", type=click.Path())
@click.option("--role", type=click.Choice(["all", "producer", "worker"]), default="all")
@with_queues
@click.option(
    "--processes", metavar="N|auto", callback=_processes, help="Engines, in processes of their own."
)
@click.option("--drain", is_flag=True, help="Scan once, run all there is, and end.")
@click.option(
    "--drain-horizon",
    type=Number(min=0, max=LONGEST_S),
    default=60.0,
    show_default=True,
    help="Seconds: jobs that can't start before don't hold the end back.",
)
@click.option("--child", hidden=True, callback=_child)
def serve(
    config: str,
    *,
    role: str,
    queues: tuple[str, ...] | None,
    processes: int | str | None,
    drain: bool,
    drain_horizon: float,
    child: Membership | None,
) -> int:
    """Run an engine: claim and run jobs, and scan for files.

    SIGTERM or Ctrl-C lets running jobs finish within the grace period; a second one cuts
    that short. The exit code is then 0.

    With several processes, SIGHUP replaces each by a fresh one, SIGUSR1 adds one, SIGUSR2
    takes one away.
    """
    horizon_s = drain_horizon if drain else None
    wanted = Wanted(config, role, processes, horizon_s, queues)
    return start(_loaded(config), wanted, child)


def start(made: Config, wanted: Wanted, child: Membership | None) -> int:
    """An engine in this process, or a supervisor.

    Args:
      child: This process is one of a supervisor.

    Returns:
      The exit code.
    """
    if wanted.role == "producer" and wanted.queues is not None:
        raise ConfigError([f"{QUEUES}: --role producer claims from none"])
    served(made, wanted.queues, QUEUES)
    # More than one producer would find the same files.
    if child is None and wanted.role != "producer" and is_supervised(made, wanted.processes):
        from trioq.cli.supervise import supervise

        return supervise(made, wanted)
    from trioq.cli.engine import Asked, run_engine

    asked = Asked(
        path=wanted.path, role=wanted.role, horizon_s=wanted.horizon_s, membership=child,
        queues=wanted.queues,
    )  # fmt: skip
    run_engine(made, asked)
    return 0


def _loaded(path: str) -> Config:
    """The configuration; with what is wrong of it comes what is wrong of the app."""
    try:
        return load(path)
    except ConfigError:
        from trioq.registry import app_faults

        return load(path, also=app_faults)


def is_supervised(made: Config, asked: int | str | None) -> bool:
    """Whether somebody has to keep them running, or to replace the only one some day.

    With ``auto`` also where there is one core: what is deployed behaves alike on every machine.
    """
    asked = made.serve.processes if asked is None else asked
    return asked != 1 or attrs.evolve(made.serve, processes=1) != ServeConfig()


def count_of(made: Config, asked: int | str | None = None) -> int:
    """How many processes there are to be.

    Args:
      asked: What the command line says; None: nothing.
    """
    count = made.serve.processes if asked is None else asked
    return usable_cores() if isinstance(count, str) else count
