"""What the pages tell, whoever makes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from prometheus_client import CollectorRegistry


@attrs.frozen
class Pages:
    """What is told when somebody asks."""

    registry: Callable[[], Awaitable[CollectorRegistry]]
    """The metrics."""
    readiness: Callable[[], Awaitable[tuple[bool, dict[str, Any]]]]
    """Whether jobs would run, and as JSON why or why not."""
