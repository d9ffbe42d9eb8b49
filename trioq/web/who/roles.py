"""What somebody may do: look, act on jobs and queues, or also lose them for good."""

from __future__ import annotations

from enum import IntEnum

import attrs


class Role(IntEnum):
    """Each may do what those before it may."""

    read = 1
    """Look at everything that isn't masked."""
    operate = 2
    """What can be undone, or has a job run: pause, resume, revive, cancel, hasten, reset."""
    admin = 3
    """What loses jobs or changes rules: purge, edit, limits, drain an engine."""


@attrs.frozen
class User:
    """Somebody who asks."""

    name: str
    role: Role

    def may(self, needed: Role) -> bool:
        """Whether the role is enough."""
        return self.role >= needed
