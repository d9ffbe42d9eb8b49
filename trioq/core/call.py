"""A job to be: what a registered function's ``call`` makes, and a client enqueues."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen
class Call:
    """A handler's name and the arguments of one run, to be enqueued."""

    name: str
    payload: dict[str, Any]
    queue: str | None = None
    """The handler's own; None: the configuration's default."""
