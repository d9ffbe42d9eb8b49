"""``/engines``, and one of them: what it runs, and how far that is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from trioq.web.problems import Problem
from trioq.web.site.live import look_for, streamed
from trioq.web.site.look import FAILURES, RUNS, alike
from trioq.web.site.page import Page
from trioq.web.site.paging import Paged
from trioq.web.site.site import of_path, site_of


async def all_engines(request: Request) -> Response:
    """Those that are registered."""
    seen = await look_for(request)
    paged = Paged.of(seen.overview.engines, request.query_params.get("from"))
    return site_of(request).render(
        request, "engines.html", title="Engines", live="engines",
        stats=seen.overview.stats, engines=paged.shown, paged=paged, text="",
    )  # fmt: skip


async def one_engine(request: Request) -> Response:
    """An engine, by its id or its name."""
    name = of_path(request.path_params["engine"])
    seen = await look_for(request)
    there = {each.id: each for each in seen.overview.engines}
    named = {each.name: each for each in seen.overview.engines}
    if (one := there.get(name) or named.get(name)) is None:
        raise Problem(404, "No such engine", f"no engine {name[:100]!r} is registered: it has left")
    (counted,) = (each for each in seen.overview.stats.engines if each.id == one.id)
    return site_of(request).render(
        request, "engine.html", title=one.name, live=streamed("engine", engine=one.id),
        engine=one, info=counted.info, runs=one.runs[:RUNS], failures=alike(one.failures, FAILURES),
    )  # fmt: skip


PAGES = [Page("/engines", all_engines, "Engines"), Page("/engines/{engine:all}", one_engine)]
