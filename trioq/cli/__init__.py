"""``trioq``: the command line.

Commands are imported when they are used, so that ``trioq --help`` is quick.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from trioq.cli.configured import show_optional, with_configuration

#: Command → the module and attribute it lives in, and what ``--help`` says of it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("trioq.cli.init:init", "Write a project: a configuration, handlers, tests."),
    "dev": ("trioq.cli.dev:dev", "Run an engine that runs what you change."),
    "serve": ("trioq.cli.serve:serve", "Run an engine: claim and run jobs, and scan for files."),
    "scale": ("trioq.cli.scale:scale", "Change how many processes a running serve has."),
    "enqueue": ("trioq.cli.enqueue:enqueue", "Queue one job, or one for each line of a file."),
    "run": ("trioq.cli.run:run", "Call a handler, here and now, for who writes it."),
    "shell": ("trioq.cli.shell:shell", "Open a Python console with a client at hand."),
    "stats": ("trioq.cli.stats:stats", "Show how many jobs are where."),
    "engines": ("trioq.cli.stats:engines", "List the engines that live."),
    "drain": ("trioq.cli.drain_engine:drain", "Have one engine finish what it runs, and end."),
    "peek": ("trioq.cli.jobs:peek", "Show the jobs that would be claimed next."),
    "jobs": ("trioq.cli.list_jobs:jobs", "List jobs by their state, and what they wait for."),
    "job": ("trioq.cli.jobs:job", "Tell the whole story of a job."),
    "explain": ("trioq.cli.explain:explain", "Say why a job, or a queue, doesn't run."),
    "result": ("trioq.cli.results:result", "Print what a job's handler returned."),
    "cancel": ("trioq.cli.cancel:cancel", "Have jobs end: those that wait, and those that run."),
    "hasten": ("trioq.cli.hasten:hasten", "Have jobs that wait for their time be due now."),
    "dead": ("trioq.cli.dead:dead", "List, revive, purge and export dead jobs."),
    "pause": (
        "trioq.cli.pause:pause",
        "Stop claiming from a queue, or running a job.",
    ),
    "resume": ("trioq.cli.pause:resume", "Claim from a queue, or run a job, again."),
    "breakers": (
        "trioq.cli.breakers:breakers",
        "List the breakers that aren't closed, or reset one.",
    ),
    "purge": ("trioq.cli.queues:purge", "Forget the jobs that wait in a queue."),
    "limits": ("trioq.cli.limits:limits", "List what is limited, and change it."),
    "schedules": (
        "trioq.cli.schedules:schedules",
        "List what makes jobs by the clock, run it, pause it.",
    ),
    "web": ("trioq.cli.web:web", "Show the page, with its API, in a browser."),
    "top": ("trioq.cli.top:top", "Watch queues, engines and failures live."),
    "bench": ("trioq.cli.bench:bench", "Measure throughput and latency."),
    "doctor": ("trioq.cli.doctor:doctor", "Look for what is wrong, and say what to do."),
    "acl": ("trioq.cli.doctor:acl", "Print the permissions that trioq needs."),
    "config": ("trioq.cli.config:config", "Check, show and describe configurations."),
}

#: Exit codes besides 0.
FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


class Group(click.Group):
    """A group that knows which command was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from trioq.core.config.rules import nearest

        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            close = nearest(name, known)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close!r}?" if close else ""))
        found, command, rest = super().resolve_command(ctx, args)
        if command is None or isinstance(command, click.Group) or ctx.resilient_parsing:
            return found, command, rest
        show_optional(command)
        return found, command, with_configuration(command, rest)


class Listing(Group):
    """A group that lists where no command is named, but a configuration, or nothing."""

    otherwise = "list"
    """What it does then."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_own = args and (args[0] in ctx.help_option_names or not args[0].startswith("-"))
        return super().parse_args(ctx, args if is_own else [self.otherwise, *args])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.commands[self.otherwise]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            meant = self.commands[self.otherwise]
            return self.otherwise, meant, with_configuration(meant, args)
        return super().resolve_command(ctx, args)


class Trioq(Group):
    """All commands, each imported when it is asked for, and how they end."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; what goes wrong ends as one line each, without a traceback."""
        extra |= {"prog_name": "trioq", "standalone_mode": False}
        try:
            code = super().main(*args, **extra)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(WRONG_USE if isinstance(error, click.UsageError) else error.exit_code)
        except OSError as error:
            silence()
            if not isinstance(error, BrokenPipeError):  # a reader that went away, like head
                click.echo(f"trioq: {error}", err=True)
            sys.exit(FAILED)
        except Exception as error:
            from trioq.errors import ConfigError, TrioqError
            from trioq.extras import not_installed
            from trioq.lines import flush

            if isinstance(error, ModuleNotFoundError):
                error = not_installed("this command", error) or error
            if not isinstance(error, TrioqError):
                raise
            flush()  # what led to it comes first
            is_config = isinstance(error, ConfigError)
            for line in error.faults if isinstance(error, ConfigError) else [str(error)]:
                click.echo(f"trioq: {line}", err=True)
            sys.exit(WRONG_USE if is_config else FAILED)
        sys.exit(code if isinstance(code, int) else 0)


def silence() -> None:
    """Nobody can read any more: what is still buffered must not complain at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@click.group(cls=Trioq, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trioq", prog_name="trioq")
def cli() -> None:
    """A structured-concurrency job queue on trio and Redis or Valkey.

    CONFIG is a TOML file; every key can be set from the environment, too:
    TRIOQ_REDIS__PASSWORD=… The exit code is 0 when it is done, 1 when it failed, 2 for wrong
    use or a wrong configuration.
    """


def _prepare_streams() -> None:
    """Have a stream where a shell closed one, as ``2>&-`` does; else a socket takes its place.

    And what a stream can't spell is written as an escape: a job may be called anything.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def heed_children() -> bool:
    """Undo it if SIGCHLD is ignored: no program's exit status could be known then.

    A parent may have left it so, and so may a handler's module.

    Returns:
      Whether it was.
    """
    if not hasattr(signal, "SIGCHLD"):  # Windows
        return False
    is_ignored = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    if is_ignored:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return is_ignored


def main() -> None:
    """The command line's entry point."""
    _prepare_streams()
    heed_children()
    code: object = 1  # a traceback's
    try:
        cli()
    except SystemExit as ended:
        code = ended.code
        raise
    finally:
        # At its end the interpreter looks for garbage among all that was imported, for longer
        # than most commands run. The end of the process frees it as well.
        gc.freeze()
        if leaving := sys.modules.get("trioq.cli.leaving"):  # only where an engine has run
            leaving.look_after(code)
