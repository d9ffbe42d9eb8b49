"""``/``: how it goes, what needs somebody, and who works."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from starlette.requests import Request
from starlette.responses import Response

from trioq.client.admin import Admin
from trioq.core.formats.minutes import Minute
from trioq.doctor import attention
from trioq.web.site import look as looks
from trioq.web.site.live import look_for
from trioq.web.site.page import Page
from trioq.web.site.pictures import Picture, picture
from trioq.web.site.site import site_of

#: What can be chosen: hours of history, and minutes that make one point of a picture.
SPANS = {"1": (1, 1), "24": (24, 5)}


@attrs.frozen
class Drawn:
    """One of the pictures."""

    title: str
    what: str
    """For who doesn't see it."""
    tone: str
    picture: Picture
    unit: str


def drawn(minutes: Sequence[Minute], hours: int, each: int, now_ms: int) -> list[Drawn]:
    """Done, failing and enqueued per second, and the age of the oldest job, over the last hours.

    Args:
      minutes: What is known; a minute of which nothing is, is a gap.
      hours: How far back.
      each: Minutes that make a point.
      now_ms: Now.
    """
    last = now_ms // 60_000  # this minute isn't over
    known = {minute.at_ms // 60_000: minute for minute in minutes}
    starts = range(last - hours * 60, last, each)
    slots = [[known[at] for at in range(s, s + each) if at in known] for s in starts]

    def rate(*names: str) -> list[float | None]:
        return [
            sum(getattr(one, name) for one in slot for name in names) / 60 / len(slot)
            if slot
            else None
            for slot in slots
        ]

    oldest: list[float | None] = [
        max((one.oldest_ms or 0 for one in slot), default=0) / 1000 if slot else None
        for slot in slots
    ]
    return [
        Drawn("Done", "jobs done per second", "good", picture(rate("done"), 0.1), "/s"),
        Drawn("Enqueued", "jobs enqueued per second", "", picture(rate("enqueued"), 0.1), "/s"),
        Drawn("Failing", "attempts failed per second", "bad", picture(rate("failed"), 0.1), "/s"),
        Drawn("Oldest ready", "its age in seconds", "warn", picture(oldest, 1.0), "s"),
    ]


async def overview(request: Request) -> Response:
    """The first page."""
    hours, each = SPANS.get(span := request.query_params.get("hours", "1"), SPANS["1"])
    desk = request.state.desk
    seen = await look_for(request)
    now = seen.overview

    def history(admin: Admin) -> Sequence[Minute]:
        return admin.minutes(hours)

    minutes = await desk.ask(history)
    return site_of(request).render(
        request,
        "overview.html",
        title="Overview",
        live="overview",
        figures=looks.figures(seen),
        found=attention(request.state.config, now.stats, now.doors, now.schedules),
        engines=now.engines[:20],
        engines_count=len(now.engines),
        failures=looks.alike(now.failures, looks.FAILURES),
        pictures=drawn(minutes, hours, each, now.now_ms) if minutes else [],
        span=span if span in SPANS else "1",
        described=desk.description,
    )


PAGES = [Page("/", overview, "Overview")]
