"""``/doctor``: what is wrong with the server, the engines, the jobs and the keys.

What is counted anyhow is told at once. The whole examination watches engines for a few heartbeats:
the script fetches it when the page is there, and without it a link does.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from trioq.doctor import attention
from trioq.web.site.live import look_for
from trioq.web.site.page import Page
from trioq.web.site.site import site_of

#: Findings of one page.
MOST = 200

#: The gravest first.
ORDER = ("fault", "warning", "ok")


async def doctor(request: Request) -> Response:
    """What he finds."""
    whole = request.query_params.get("look") == "all"
    if whole:
        found = await request.state.desk.findings()
    else:
        now = (await look_for(request)).overview
        found = attention(request.state.config, now.stats, now.doors, now.schedules)
    found = sorted(found, key=lambda each: ORDER.index(each.verdict))
    counts = {verdict: sum(each.verdict == verdict for each in found) for verdict in ORDER}
    return site_of(request).render(
        request, "doctor.html", title="Doctor", found=found[:MOST], whole=whole, counts=counts,
        left_out=max(0, len(found) - MOST),
    )  # fmt: skip


PAGES = [Page("/doctor", doctor, "Doctor")]
