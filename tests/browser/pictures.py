"""``make pictures``: the page as it is, in ``docs/pictures/``, of a system with life in it."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser import shop
from tests.browser.conftest import ARGS, WIDE
from tests.browser.life import ROOT, Life, living

PICTURES = ROOT / "docs" / "pictures"

PHONE = ViewportSize(width=390, height=844)

#: Receipts, and how often so many are enqueued: so that forty or more are done per second.
MANY, EVERY_S = 12, 0.25


def main() -> None:
    """Make them all."""
    PICTURES.mkdir(exist_ok=True)
    over = threading.Event()
    with tempfile.TemporaryDirectory() as directory, living(Path(directory)) as life:
        busy = threading.Thread(target=_shops, args=(life, over))
        busy.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=ARGS
                )
                _take(browser, life)
                browser.close()
        finally:
            over.set()
            busy.join()


def _shops(life: Life, over: threading.Event) -> None:
    order = 0
    while not over.wait(EVERY_S):
        life.client.enqueue_many([shop.receipt.call(order + n) for n in range(MANY)])
        order += MANY


def _take(browser: Browser, life: Life) -> None:
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
    page = context.new_page()
    page.goto(life.url)
    expect(page.locator("[data-live='rate/done']")).to_have_text(re.compile("^4."))
    _shoot(page, "overview")
    page.emulate_media(color_scheme="dark")
    _shoot(page, "overview-dark")
    page.emulate_media(color_scheme="light")
    page.goto(f"{life.url}/jobs/report-november")
    expect(page.locator("#pulse")).to_have_text("live")
    _shoot(page, "job")
    page.goto(f"{life.url}/dead")
    _shoot(page, "dead")
    page.set_viewport_size(PHONE)
    page.goto(f"{life.url}/queues")
    expect(page.locator("#pulse")).to_have_text("live")
    _shoot(page, "phone")
    context.close()


def _shoot(page: Page, name: str) -> None:
    # Where the server's socket lies says nothing to who looks at a picture.
    page.evaluate(
        """() => {
          for (const each of document.querySelectorAll(".head p"))
            if (each.textContent.startsWith("unix:")) each.textContent = "redis://localhost:6379/0";
        }"""
    )
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
