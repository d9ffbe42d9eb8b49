"""``make pictures``: the page as it is, in ``docs/pictures/``, of a system with life in it."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser import shop
from tests.browser.conftest import ARGS, WIDE
from tests.browser.life import ROOT, Life, living
from trioq.core.formats import minutes

PICTURES = ROOT / "docs" / "pictures"

PHONE = ViewportSize(width=390, height=844)

#: Receipts, and how often so many are enqueued: so that forty or more are done per second.
MANY, EVERY_S = 12, 0.25


def main() -> None:
    """Make them all."""
    PICTURES.mkdir(exist_ok=True)
    over = threading.Event()
    with tempfile.TemporaryDirectory() as directory, living(Path(directory)) as life:
        _past(life)
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


def _past(life: Life) -> None:
    """An hour that has gone by: a lively one, with some trouble that is over."""
    store = life.server.store("shop")
    this, counters = store.now_ms() // 60_000, dict(life.admin.stats().counters)
    for ago in range(61):
        done = round(2700 + 500 * math.sin(ago / 9) + 230 * math.sin(ago * 1.7))
        trouble = 4 * max(0, 9 - abs(ago - 32)) ** 2
        late_ms = 700 + 45 * trouble + 40 * (ago * 7 % 11)
        record = minutes.encode(this - ago, counters, oldest_ms=late_ms, waiting=trouble, running=2)
        place = minutes.place(this - ago)
        store.lane.call("SETRANGE", store.keys.fixed("minutes"), place, record)
        grown = {"enqueued": done + ago * 5 % 60, "done": done, "retried": trouble}
        counters |= {name: counters.get(name, 0) - more for name, more in grown.items()}
    store.lane.close()


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
    page.reload()  # engines have told by now
    expect(page.locator("#pulse")).to_have_text("live")
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
