"""One thing that can be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import attrs

from trioq.client.admin import Admin
from trioq.client.sync import SyncClient
from trioq.core.config import Config
from trioq.web.desk import Desk
from trioq.web.who.roles import Role, User


@attrs.frozen
class Acting:
    """Somebody who acts on a namespace, and what with."""

    user: User
    admin: Admin
    client: SyncClient
    config: Config
    server: str = ""
    """Which one, as people are told."""

    @classmethod
    def at(cls, desk: Desk, admin: Admin, user: User) -> Self:
        """Whoever stands at a desk."""
        return cls(user, admin, desk.client, desk.config, desk.description)


@attrs.frozen
class Operation:
    """A row of the table.

    Forms and the API send the fields of ``takes``; what doesn't fit is a :class:`Problem` (422)
    with all faults at once. Who may not is refused with 403 before anything is looked at.
    """

    name: str
    """Where, a dot, and what: ``queues.pause``."""
    role: Role
    does: str
    """In a sentence, for the API's document and the page that asks whether one is sure."""
    takes: type
    """A frozen attrs class; its fields are ``Annotated`` with what each is."""
    run: Callable[[Acting, Any], dict[str, Any]]
    """In a thread. Returns what is told, as JSON; ``done`` is a sentence for people.

    Raises: Problem, TrioqError, ValueError, TypeError: what was wrong."""
    is_grave: bool = False
    """Whether people are asked if they are sure."""
