"""All of them, by name."""

from __future__ import annotations

from collections.abc import Mapping

from trioq.web.operations import dead, engines, jobs, limits, pauses, queues, schedules
from trioq.web.operations.operation import Operation

#: Where each room's rows stand.
ROOMS = (pauses, queues, limits, jobs, dead, engines, schedules)

#: Name → operation.
OPERATIONS: Mapping[str, Operation] = {row.name: row for room in ROOMS for row in room.OPERATIONS}
