"""``/dead``: what died, of what, how often; and what is done about all that died of the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trioq.client.admin import Admin
from trioq.store import inspect
from trioq.store.inspect import DeadFilter, DeadPage, Groups, JobView
from trioq.web.desk import Desk
from trioq.web.masks import masked_job, sensitive_of
from trioq.web.problems import Problem
from trioq.web.site.page import Page
from trioq.web.site.site import site_of

#: Groups that are told of; jobs of a page.
GROUPS, SHOWN = 100, 50

#: A page of an export is so many; between two of them others are served.
EXPORTED, PAUSE_S = 100, 0.01


def wanted_of(request: Request) -> DeadFilter:
    """Which dead jobs a link means."""
    asked = request.query_params
    said = {name: asked[name][:500] for name in ("name", "error", "fingerprint") if asked.get(name)}
    return DeadFilter(**said)  # type: ignore[arg-type]


def fields_of(wanted: DeadFilter) -> dict[str, str]:
    """The same as a form says it; all of them, if nothing is said."""
    said = {"name": wanted.name, "error": wanted.error, "fingerprint": wanted.fingerprint}
    told = {name: value for name, value in said.items() if value is not None}
    return told or {"all": "true"}


async def groups(request: Request) -> Response:
    """The groups, and the newest of the dead."""

    def look(admin: Admin) -> tuple[Groups, list[JobView]]:
        found = admin.groups()
        newest = tuple(inspect.newest_dead(admin.store, 10))
        pages = admin.dead_pages(DeadFilter(uids=newest))
        return found, [view for page in pages for view in admin.dead_views(page.jobs)]

    found, newest = await request.state.desk.ask(look)
    return site_of(request).render(
        request, "dead.html", title="Dead", groups=found, rows=found.rows[:GROUPS], newest=newest
    )


async def group(request: Request) -> Response:
    """The dead of a group, or of any filter: the longest dead first, a page at a time."""
    wanted, after = wanted_of(request), request.query_params.get("after", "")[:200]

    def look(admin: Admin) -> tuple[list[JobView], str, int]:
        return some_of(admin, wanted, after)

    try:
        jobs, following, looked_at = await request.state.desk.ask(look)
    except ValueError as error:
        raise Problem(422, "Wrong fields", f"after: {error}") from None
    return site_of(request).render(
        request, "dead_group.html", title="Dead", jobs=jobs, next=following, wanted=wanted,
        looked_at=looked_at, fields=fields_of(wanted), sample=jobs[-1] if jobs else None,
        after=after,
    )  # fmt: skip


def some_of(
    admin: Admin, wanted: DeadFilter, after: str, looks: int = 20
) -> tuple[list[JobView], str, int]:
    """As many as a page shows, where to go on, and how many were looked at.

    Raises:
      ValueError: No page has such an ``after``.
    """
    found, looked_at = list[JobView](), 0
    for n, page in enumerate(admin.dead_pages(wanted, after=after, size=SHOWN)):
        found += admin.dead_views(page.jobs)
        looked_at, after = looked_at + page.looked_at, page.next
        if len(found) >= SHOWN or n + 1 >= looks:
            return found, after, looked_at
    return found, "", looked_at


async def export(request: Request) -> Response:
    """All of them as lines of JSON, to be kept; as slowly as whoever takes them reads."""
    wanted = wanted_of(request)
    return StreamingResponse(
        lines(request.state.desk, wanted),
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="dead.jsonl"'},
    )


async def lines(desk: Desk, wanted: DeadFilter) -> AsyncIterator[bytes]:
    """A line for each, as ``trioq dead export`` writes it; but what is masked is masked here, so it
    can't be enqueued again from this."""
    sensitive, after = sensitive_of(desk.config), ""
    while True:

        def look(admin: Admin, after: str = after) -> tuple[DeadPage | None, list[JobView]]:
            page = next(iter(admin.dead_pages(wanted, after=after, size=EXPORTED)), None)
            return page, list(admin.dead_views(page.jobs)) if page else []

        page, views = await desk.ask(look)
        for view in views:
            told: dict[str, Any] = masked_job(view.as_json(), sensitive)
            yield json.dumps(told, default=str).encode("ascii") + b"\n"
        if page is None or not page.next or page.next == after:
            return
        after = page.next
        await anyio.sleep(PAUSE_S)


PAGES = [
    Page("/dead", groups, "Dead"),
    Page("/dead/group", group),
    Page("/dead/export", export),
]
