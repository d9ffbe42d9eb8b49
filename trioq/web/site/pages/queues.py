"""``/queues``, and one queue: what waits where, why, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from starlette.requests import Request
from starlette.responses import Response

from trioq.client.admin import Admin
from trioq.core.config import Config
from trioq.core.config.sections import QueueConfig
from trioq.core.formats.pause import Pause
from trioq.store import inspect
from trioq.store.inspect import QueueStats, Stats
from trioq.web.site.page import Page
from trioq.web.site.paging import Paged
from trioq.web.site.site import site_of

#: What a queue is that nobody has configured.
UNKNOWN = QueueConfig("")


@attrs.frozen
class Row:
    """A queue in the list."""

    name: str
    stats: QueueStats
    configured: QueueConfig | None
    oldest_ms: int | None
    """For how long its next job has been wanted; None: none is ready."""
    paused: Pause | None


def rows(
    config: Config, stats: Stats, oldest_ms: Mapping[str, int], names: Sequence[str]
) -> list[Row]:
    """These queues, in this order."""
    configured = {each.name: each for each in config.queues}
    return [
        Row(
            name,
            stats.queues[name],
            configured.get(name),
            oldest_ms.get(name),
            stats.pauses.queues.get(name),
        )
        for name in names
    ]


async def all_queues(request: Request) -> Response:
    """The list, a hundred at a time; the configured ones come first."""
    config: Config = request.state.config
    text = request.query_params.get("q", "")[:200].strip()

    def look(admin: Admin) -> tuple[Stats, list[Row], Paged[str]]:
        stats = admin.stats()
        names = [name for name in stats.queues if text.casefold() in name.casefold()]
        paged = Paged.of(names, request.query_params.get("from"))
        oldest = inspect.oldest_ready_ms(admin.store, paged.shown)
        return stats, rows(config, stats, oldest, paged.shown), paged

    stats, found, paged = await request.state.desk.ask(look)
    return site_of(request).render(
        request, "queues.html", title="Queues", stats=stats, rows=found, paged=paged, text=text,
        weighs=any(each.weight is not None for each in config.queues),
    )  # fmt: skip


PAGES = [Page("/queues", all_queues, "Queues")]
