"""``/queues``, and one queue: what waits where, why, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response

from trioq.client.admin import Admin
from trioq.core.config import Config
from trioq.core.config.rules import did_you_mean
from trioq.core.config.sections import QueueConfig
from trioq.core.formats.pause import Pause
from trioq.store import inspect
from trioq.store.inspect import QueueStats, Stats
from trioq.web.problems import Problem
from trioq.web.site.live import streamed
from trioq.web.site.page import Page
from trioq.web.site.paging import Paged
from trioq.web.site.site import of_path, site_of

#: Reasons, doors, rooms and engines that are told of one by one; jobs that come next.
LISTED, NEXT = 20, 10

#: A queue that is nobody's any more.
EMPTY = QueueStats(0, 0, 0, 0, 0, paused=False, served=False)


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
            stats.queues.get(name, EMPTY),
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
        live=streamed("queues", q=text, **{"from": request.query_params.get("from", "")}),
    )  # fmt: skip


async def one_queue(request: Request) -> Response:
    """A queue: what is in it, why its jobs don't run, and which come next."""
    config: Config = request.state.config
    name = of_path(request.path_params["queue"])

    def look(admin: Admin) -> dict[str, Any]:
        if name not in (known := admin.queue_names()):
            hint = did_you_mean(name[:64], known)
            raise Problem(404, "No such queue", f"there is no queue {name[:64]!r}{hint}")
        reasons, stats, doors = admin.explain_queue(name)
        oldest = inspect.oldest_ready_ms(admin.store, [name])
        # That it is paused, by whom and why, stands above them.
        unsaid = {"none", "paused"} if name in stats.pauses.queues else {"none"}
        return {
            "row": rows(config, stats, oldest, [name])[0],
            "reasons": [each for each in reasons if each.why not in unsaid][:LISTED],
            "doors": doors[:LISTED],
            "lanes": inspect.lanes(admin.store, name)[:LISTED],
            "rooms": sorted(admin.rooms(name), key=lambda room: -room.jobs)[:LISTED],
            "next_jobs": admin.peek(name, NEXT),
            "engines": [each for each in stats.engines if name in each.info.queues][:LISTED],
        }

    told = await request.state.desk.ask(look)
    return site_of(request).render(
        request, "queue.html", title=name, live=streamed("queue", queue=name), **told
    )


PAGES = [Page("/queues", all_queues, "Queues"), Page("/queues/{queue:all}", one_queue)]
