"""What is told in the log of who came, and who wasn't let in."""

from __future__ import annotations

from typing import Any

import structlog

#: A text has so many characters at most.
MOST = 200


def log(event: str, **told: str) -> None:
    """A line, in the manner of those about what was done."""
    fields: dict[str, Any] = {name: value[:MOST] for name, value in told.items()}
    structlog.get_logger("trioq.web").info(event, **fields)
