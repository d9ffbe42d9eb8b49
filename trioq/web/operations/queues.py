"""What is done to queues, besides pausing them."""

from __future__ import annotations

from typing import Annotated, Any

import attrs

from trioq.client.admin import PAGE
from trioq.web.operations.bulk import Page, Quota
from trioq.web.operations.operation import Acting, Operation
from trioq.web.operations.pauses import known_queue
from trioq.web.who.roles import Role


@attrs.frozen(kw_only=True)
class PurgeQueue:
    """A queue."""

    queue: Annotated[str, "The name of the queue."]
    page: Page = None


def _purge(acting: Acting, what: PurgeQueue) -> dict[str, Any]:
    quota = Quota(what.page)
    queue = known_queue(acting, what.queue)
    count, more = 0, False
    for purged in acting.admin.purge(queue, page=min(PAGE, what.page or PAGE)):
        count += purged
        if quota.is_over(count):
            more = acting.admin.waiting(queue) > 0
            break
    left = "; there are more" if more else ""
    return {
        "queue": queue,
        "count": count,
        "more": more,
        "done": f"{count:,} of {queue} forgotten{left}",
    }


OPERATIONS = (
    Operation(
        name="queues.purge",
        role=Role.admin,
        does="Forget the jobs that wait in a queue: ready, scheduled and parked ones, for good."
        " What runs runs on, and dead ones stay.",
        takes=PurgeQueue,
        run=_purge,
        is_grave=True,
    ),
)
