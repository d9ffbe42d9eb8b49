"""All pages, in the order of the navigation; one module for each part."""

from __future__ import annotations

from trioq.web.site import actions, live
from trioq.web.site.page import Page
from trioq.web.site.pages import (
    dead,
    doctor,
    engines,
    job,
    jobs,
    limits,
    login,
    overview,
    queues,
    schedules,
)

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *queues.PAGES,
    *jobs.PAGES,
    *job.PAGES,
    *dead.PAGES,
    *engines.PAGES,
    *limits.PAGES,
    *schedules.PAGES,
    *doctor.PAGES,
    *actions.PAGES,
    *live.PAGES,
    *login.PAGES,
)
