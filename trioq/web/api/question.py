"""One thing that can be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from trioq.web.desk import Desk
from trioq.web.operations import Acting
from trioq.web.who.roles import User


@attrs.frozen
class Question:
    """A row of the table. Whoever may look may ask."""

    path: str
    """Below ``/api/v1``; what stands in braces is a field, which may have slashes."""
    does: str
    """In a sentence, for the document."""
    takes: type
    """A frozen attrs class; its fields are ``Annotated`` with what each is."""
    shape: str
    """What is answered: a name in :data:`.shapes.SHAPES`, with ``[]`` if it is a list."""
    answer: Callable[[Acting, Any], Any] | None = None
    """In a thread. Raises Problem, ValueError."""
    at_desk: Callable[[Desk, User, Any], Awaitable[Any]] | None = None
    """Instead of that, where it takes time, in which others are to have their turns."""


@attrs.frozen(kw_only=True)
class Nothing:
    """No parameters."""
