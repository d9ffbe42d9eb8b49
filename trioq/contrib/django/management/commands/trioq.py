"""``manage.py trioq``: an engine that runs the tasks and handlers of this project."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections

from trioq import ConfigError, TrioqError
from trioq.cli.serve import member_of, processes_of, start
from trioq.cli.some_queues import queues_in
from trioq.cli.wanted import Wanted
from trioq.contrib.django import conf

#: Exit codes of ``trioq``.
FAILED, WRONG_USE = 1, 2


class Command(BaseCommand):  # type: ignore[misc]
    """Options are those of ``trioq serve``."""

    help = (
        "Run an engine: claim and run jobs. Ctrl-C or SIGTERM lets running jobs finish within the"
        " grace period; a second one cuts that short."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Those of ``trioq serve``."""
        parser.add_argument("--role", choices=["all", "producer", "worker"], default="all")
        parser.add_argument("--queues", metavar="A,B", help="Claim from these alone.")
        parser.add_argument(
            "--processes", metavar="N|auto", help="Engines, in processes of their own."
        )
        parser.add_argument(
            "--drain", action="store_true", help="Run all there is, and end."
        )  # fmt: skip
        parser.add_argument(
            "--drain-horizon", type=float, default=60.0, metavar="SECONDS",
            help="Jobs that can't start before don't hold the end back. Default: 60.",
        )  # fmt: skip
        parser.add_argument("--child", help=SUPPRESS)

    def handle(self, *_: Any, **said: Any) -> None:
        """Run until told to stop.

        Raises:
          CommandError: What is wrong, in a line each.
        """
        member = None if said["child"] is None else member_of(said["child"])
        if member is None:
            self._tell_migrations()
        try:
            made = conf.made().config
            wanted = Wanted(
                str(made.path or conf.base()),
                said["role"],
                None if said["processes"] is None else _processes(said["processes"]),
                said["drain_horizon"] if said["drain"] else None,
                None if said["queues"] is None else queues_in(said["queues"]),
                again=(*again(), *_passed_on(said)),
                read=lambda: conf.read().config,
            )
            connections.close_all()  # an engine forks for programs that handlers start
            code = start(made, wanted, member)
        except (ConfigError, ImproperlyConfigured) as error:
            lines = error.faults if isinstance(error, ConfigError) else [str(error)]
            raise CommandError("\n".join(lines), returncode=WRONG_USE) from None
        except (TrioqError, OSError) as error:
            raise CommandError(str(error), returncode=FAILED) from None
        if code:
            sys.exit(code)

    def _tell_migrations(self) -> None:
        """Say which are pending; engines run all the same, as ``runserver`` does."""
        try:
            self.check_migrations()
        except (DatabaseError, ImproperlyConfigured) as error:
            self.stderr.write(self.style.NOTICE(f"The database can't be asked: {error}"))


def again() -> tuple[str, ...]:
    """How this program is started again."""
    program = Path(sys.argv[0])
    if program.suffix == ".py" and program.name != "__main__.py" and program.is_file():
        return (sys.executable, str(program), "trioq")
    # Its own directory comes first where a module is run.
    return (sys.executable, "-m", "django", "trioq", "--pythonpath", os.getcwd())


def _passed_on(said: dict[str, Any]) -> tuple[str, ...]:
    """What its children need, too."""
    words = ["--skip-checks"]
    for name in ("settings", "pythonpath"):
        if said.get(name):
            words += [f"--{name}", str(said[name])]
    return tuple(words)


def _processes(text: str) -> int | str:
    try:
        return processes_of(text)
    except ValueError as error:
        raise CommandError(f"--processes: {error}", returncode=WRONG_USE) from None
