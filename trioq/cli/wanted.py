"""What ``trioq serve`` was asked for, and how its children are asked for the same."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from trioq.cli.some_queues import QUEUES
from trioq.core.config import Config
from trioq.core.config.served import served
from trioq.processes.interpreter import python
from trioq.processes.membership import Membership
from trioq.settings import load


@attrs.frozen
class Wanted:
    """What ``trioq serve`` was asked for, or somebody's command that does the same."""

    path: str
    """The configuration."""
    role: str
    """``all``, ``producer`` or ``worker``."""
    processes: int | str | None
    """None: as configured."""
    horizon_s: float | None
    """End when all is done that is due within so long; None: not by itself."""
    queues: tuple[str, ...] | None = None
    """Those that are claimed from; None: all."""
    again: tuple[str, ...] = ()
    """The command that starts a child, where that isn't ``trioq serve`` with the path."""
    read: Callable[[], Config] | None = None
    """Reads the configuration again, where it isn't all in that file."""

    def argv(self, member: Membership, leads: bool) -> list[str]:
        """How to start a child."""
        options = ["--role", self.role if leads else "worker"]
        if leads and self.horizon_s is not None:
            options += ["--drain", "--drain-horizon", str(self.horizon_s)]
        if self.queues is not None:
            options += ["--queues", ",".join(self.queues)]
        options += ["--child", member.word]
        if self.again:
            return [*self.again, *options]
        return [*python(), "-m", "trioq", "serve", *options, "--", self.path]

    def reread(self) -> Config:
        """The configuration as it is now.

        Raises:
          ConfigError: It is wrong, or has the wanted queues no more.
        """
        made = load(self.path) if self.read is None else self.read()
        served(made, self.queues, QUEUES)
        return made
