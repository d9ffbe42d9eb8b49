"""``/schedules``, and one of them: when it comes, and what became of its last ticks."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from starlette.requests import Request
from starlette.responses import Response

from trioq.client.admin import Admin
from trioq.core.formats.schedule import payload_of
from trioq.core.schedules.when import Cron
from trioq.store import inspect
from trioq.store.inspect import ScheduleView
from trioq.web.masks import masked, sensitive_of
from trioq.web.problems import Problem
from trioq.web.site.page import Page
from trioq.web.site.paging import Paged
from trioq.web.site.site import of_path, site_of

#: Ticks that come, and that are told of.
NEXT = 5

#: Who says that there is a schedule.
OWNERS = {"config": "the configuration", "app": "an app", "runtime": "a client"}

#: The colours of what became of ticks.
BECAME = {"fired": "good", "overlap": "warn", "missed": "warn", "paused": "warn"}


@attrs.frozen
class Tick:
    """One that comes."""

    at_ms: int
    local: str
    """By the clocks of its zone; empty: those are UTC."""


def following(view: ScheduleView) -> list[Tick]:
    """The next ticks of a schedule."""
    zone = None if view.schedule is None else view.schedule.when
    found = []
    for at_ms in view.following(NEXT):
        local = ""
        if isinstance(zone, Cron) and zone.zone.key != "UTC":
            at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone.zone)
            local = f"{at:%a %Y-%m-%d %H:%M:%S} {zone.zone.key}"
        found.append(Tick(at_ms, local))
    return found


async def all_schedules(request: Request) -> Response:
    """The list, by name."""
    text = request.query_params.get("q", "")[:200].strip()

    def look(admin: Admin) -> tuple[list[ScheduleView], Paged[str]]:
        names = inspect.schedule_names(admin.store)
        wanted = [name for name in names if text.casefold() in name.casefold()]
        paged = Paged.of(wanted, request.query_params.get("from"))
        return inspect.schedules(admin.store, paged.shown), paged

    views, paged = await request.state.desk.ask(look)
    return site_of(request).render(
        request, "schedules.html", title="Schedules", views=views, paged=paged, text=text,
        owners=OWNERS, became=BECAME,
    )  # fmt: skip


async def one_schedule(request: Request) -> Response:
    """A schedule, the next five times, and the last twenty."""
    name = of_path(request.path_params["name"])

    def look(admin: Admin) -> list[ScheduleView]:
        return inspect.schedules(admin.store, [name])

    found = await request.state.desk.ask(look)
    if not found:
        raise Problem(404, "No such schedule", f"there is no schedule {name[:100]!r}")
    (view,) = found
    its = view.schedule
    payload = None if its is None else masked(payload_of(its), sensitive_of(request.state.config))
    return site_of(request).render(
        request, "schedule.html", title=name, view=view, its=its, payload=payload,
        following=following(view), owners=OWNERS, became=BECAME,
    )  # fmt: skip


PAGES = [
    Page("/schedules", all_schedules, "Schedules"),
    Page("/schedules/{name:all}", one_schedule),
]
