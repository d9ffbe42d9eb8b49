"""One browser and one living system for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import attrs
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.life import Life, living
from tests.support import PATIENCE_S

#: A sandbox needs what containers haven't; the rest keeps it quiet and quick.
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=PATIENCE_S * 1000)

WIDE = ViewportSize(width=1200, height=900)


@pytest.fixture(scope="package")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The system."""
    with living(tmp_path_factory.mktemp("life")) as life:
        yield life


# For these tests alone: as long as Playwright is there, a loop of asyncio runs in this thread.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGS, handle_sigint=False
        )
        yield browser
        browser.close()


@attrs.define
class Tab:
    """Somebody looks at pages, and nothing may go wrong with them."""

    browser: Browser
    life: Life
    scripts: bool = True
    faults: list[str] = attrs.field(factory=list)
    page: Page = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        context = self.browser.new_context(
            viewport=WIDE, java_script_enabled=self.scripts, reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        self.page = page = context.new_page()
        page.on("console", lambda said: self._fault(said.type in ("error", "warning"), said.text))
        page.on("pageerror", lambda error: self._fault(True, str(error)))
        page.on("response", lambda got: self._fault(got.status >= 400, f"{got.status} {got.url}"))

    def _fault(self, is_one: bool, told: str) -> None:
        if is_one:
            self.faults.append(f"{self.page.url}: {told}")

    def open(self, path: str) -> Page:
        """Go there."""
        self.page.goto(self.life.url + path)
        return self.page

    def until_live(self) -> None:
        """Wait until the page is told what moves."""
        expect(self.page.locator("#pulse")).to_have_text("live")

    def press(self, label: str) -> str:
        """Press the button, and say what came of it."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=label, exact=True).first.click()
        told = self.page.locator("p.flash")
        return told.inner_text() if told.count() else ""

    def close(self) -> None:
        self.page.context.close()


@pytest.fixture
def tab(chromium: Browser, life: Life) -> Iterator[Tab]:
    """Of somebody whose browser runs scripts."""
    yield from _used(Tab(chromium, life))


@pytest.fixture
def plain_tab(chromium: Browser, life: Life) -> Iterator[Tab]:
    """Of somebody whose browser runs none."""
    yield from _used(Tab(chromium, life, scripts=False))


def _used(tab: Tab) -> Iterator[Tab]:
    yield tab
    tab.close()
    assert tab.faults == []
