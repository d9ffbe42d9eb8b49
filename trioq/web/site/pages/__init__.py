"""All pages, in the order of the navigation; one module for each part."""

from __future__ import annotations

from trioq.web.site import actions
from trioq.web.site.page import Page
from trioq.web.site.pages import login, queues

PAGES: tuple[Page, ...] = (
    *queues.PAGES,
    *actions.PAGES,
    *login.PAGES,
)
