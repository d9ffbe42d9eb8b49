"""One line for each thing that somebody wanted to do, done or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from trioq.web.who.roles import User

#: What is told of: which things were meant. What jobs are given isn't: it may be anybody's secret.
TOLD = (
    "queue", "name", "limit", "key", "job", "jobs", "schedule", "engine", "error", "fingerprint",
    "older_than_s", "all", "lasts_s", "reason", "note",
)  # fmt: skip
#: A text has so many characters at most.
MOST = 200


def audit(user: User, operation: str, fields: Mapping[str, Any], outcome: str) -> None:
    """Write it to the log."""
    on = {name: str(fields[name])[:MOST] for name in TOLD if fields.get(name) not in (None, "")}
    log = structlog.get_logger("trioq.web")
    log.info(
        "acted", user=user.name, role=user.role.name, operation=operation, on=on, outcome=outcome
    )
