"""Each page in a real browser: nothing fails, everybody can read it, on any screen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Tab
from tests.browser.life import Life
from trioq.web.site.pages import PAGES

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.direct]

#: A phone, and both sides of where pages are laid out in another way.
WIDTHS = (360, 720, 721, 860, 861, 1100, 1101, 1200)

#: What is looked at of each page, with a path that leads there.
SHOWN: dict[str, tuple[str, Callable[[Life], str]]] = {
    "overview": ("/", lambda life: "/"),
    "queues": ("/queues", lambda life: "/queues"),
    "queue": ("/queues/{queue:all}", lambda life: "/queues/low"),
    "paused queue": ("/queues/{queue:all}", lambda life: "/queues/archive"),
    "jobs": ("/jobs", lambda life: "/jobs"),
    "jobs that are dead": ("/jobs", lambda life: "/jobs?state=dead&q=name:mail"),
    "a wrong query": ("/jobs", lambda life: "/jobs?q=nmae:mail"),
    "running job": ("/jobs/{job:all}", lambda life: "/jobs/report-november"),
    "late job": ("/jobs/{job:all}", lambda life: "/jobs/receipt-7000"),
    "dead job": ("/jobs/{job:all}", lambda life: f"/jobs/{life.dead('thumbnail')[0]}"),
    "dead": ("/dead", lambda life: "/dead"),
    "group": ("/dead/group", lambda life: "/dead/group?name=thumbnail"),
    "engines": ("/engines", lambda life: "/engines"),
    "engine": ("/engines/{engine:all}", lambda life: f"/engines/{life.engine('report')}"),
    "limits": ("/limits", lambda life: "/limits"),
    "schedules": ("/schedules", lambda life: "/schedules"),
    "schedule": ("/schedules/{name:all}", lambda life: "/schedules/nightly"),
    "doctor": ("/doctor", lambda life: "/doctor"),
    "sure": ("/sure", lambda life: "/sure?do=queues.purge&queue=archive&next=/queues"),
}  # fmt: skip

#: Pages that aren't looked at here, and why.
ELSEWHERE = {
    "/login": "is there where there are users: test_using.py",
    "/logout": "has no page",
    "/do/{operation}": "has no page",
    "/breakers": "leads to /limits",
    "/dead/export": "is a file",
}


def test_each_page_is_looked_at() -> None:
    paths = {page.path for page in PAGES if not page.path.startswith("/live/")}
    assert paths == {path for path, _ in SHOWN.values()} | set(ELSEWHERE)


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_works_and_all_can_read_it(tab: Tab, life: Life, name: str) -> None:
    page = tab.open(SHOWN[name][1](life))
    assert page.locator("h1").count() == 1
    is_accessible(page)
    page.emulate_media(color_scheme="dark")
    is_accessible(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        _fits(page)


def is_accessible(page: Page) -> None:
    """axe finds nothing that keeps somebody from using it."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    told = [
        f"{each['impact']}: {each['id']}: {each['help']}: {node['html']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert told == []


def _fits(page: Page) -> None:
    """Nothing is beyond the right edge of the screen, so that one has to push the page about; also
    where it is a while ago."""
    wide, screen = page.evaluate(
        """() => {
          const times = document.querySelectorAll("time[data-ago]");
          for (const each of times) each.textContent = "99 min ago";
          return [document.documentElement.scrollWidth, innerWidth];
        }"""
    )
    assert wide <= screen
