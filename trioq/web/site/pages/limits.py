"""``/limits``: what limits and breakers hold jobs up, and how far."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from trioq.client.admin import Admin
from trioq.core.limits import is_own
from trioq.store.inspect import BreakerView, LimitView
from trioq.web.site.forms import place
from trioq.web.site.page import Page
from trioq.web.site.paging import Paged
from trioq.web.site.site import site_of

#: Values of a limit's key that are paused, of each limit.
PAUSED = 10


async def limits(request: Request) -> Response:
    """All limits, and the breakers that are open or shared."""

    def look(admin: Admin) -> tuple[list[LimitView], list[BreakerView]]:
        return admin.limits(), admin.breakers()

    found, breakers = await request.state.desk.ask(look)
    paged = Paged.of(found, request.query_params.get("from"))
    told: dict[str, Any] = {
        "limits": [(view, is_own(view.name)) for view in paged.shown],
        "breakers": breakers[:100],
        "left_out": max(0, len(breakers) - 100),
        "most_paused": PAUSED,
    }
    return site_of(request).render(
        request, "limits.html", title="Limits and breakers", live="limits", paged=paged, text="",
        **told,
    )  # fmt: skip


async def breakers(request: Request) -> Response:
    """They stand with the limits."""
    return RedirectResponse(place(request.scope.get("root_path", ""), "/limits#breakers"), 303)


PAGES = [Page("/limits", limits, "Limits"), Page("/breakers", breakers)]
