"""What is done to queues."""

from __future__ import annotations

from typing import Any

import attrs

from trioq.client.admin import Admin
from trioq.web.operations.operation import Operation
from trioq.web.who.roles import Role, User


@attrs.frozen(kw_only=True)
class PauseQueue:
    """Which, for how long and why."""

    queue: str
    note: str = ""
    lasts_s: float | None = None
    """None: until somebody resumes it."""


def _pause(admin: Admin, what: PauseQueue, user: User) -> dict[str, Any]:
    changed = admin.pause(what.queue, note=what.note, lasts=what.lasts_s, by=user.name)
    return {
        "queue": what.queue,
        "changed": changed,
        "done": f"{what.queue} is paused" if changed else f"{what.queue} was paused before",
    }


PAUSE_QUEUE = Operation(
    name="queues.pause",
    role=Role.operate,
    does="Stop claiming from a queue. What runs runs on.",
    takes=PauseQueue,
    run=_pause,
)
