"""What people do with the pages: with the mouse, with the keyboard alone, without scripts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

import trioq
from tests.browser import shop
from tests.browser.conftest import Tab
from tests.browser.life import Life, url_in
from tests.browser.test_pages import is_accessible
from tests.support import trioq_started, wait_until
from trioq.web.who.passwords import hash_password

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.direct]


# -- without the mouse, without scripts --------------------------------------------------------


def test_the_first_key_leads_past_the_navigation_and_all_can_be_reached(tab: Tab) -> None:
    page = tab.open("/queues")
    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set[str]()
    while (what := _next(page)) not in reached and what:
        reached.add(what)
    assert {"high", "mail", "low", "archive"} <= {what.partition(":")[2] for what in reached}


def test_a_queue_is_paused_and_resumed_by_keys_alone(tab: Tab, life: Life) -> None:
    page = tab.open("/queues/mail")
    page.locator("summary", has_text="Pause").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("the mail server is out")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert life.admin.pauses().queues["mail"].note == "the mail server is out"
    page.get_by_role("button", name="Resume").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "mail" not in life.admin.pauses().queues


def test_without_scripts_one_can_look_and_act(plain_tab: Tab, life: Life) -> None:
    page = plain_tab.open("/")
    for link in ("Queues", "Engines", "Limits", "Schedules", "Doctor"):
        page.get_by_role("navigation").get_by_role("link", name=link, exact=True).click()
        assert page.locator("h1").inner_text().startswith(link)
    page = plain_tab.open("/queues/high")
    page.locator("summary", has_text="Pause").click()
    page.get_by_role("textbox", name="Why").fill("a look")
    assert plain_tab.press("Pause")
    assert life.admin.pauses().queues["high"].note == "a look"
    assert "a look" in page.locator("main").inner_text()
    assert plain_tab.press("Resume")
    assert "high" not in life.admin.pauses().queues


# -- what moves --------------------------------------------------------------------------------


def test_figures_move_without_a_reload(tab: Tab, life: Life) -> None:
    page = tab.open("/queues/archive")
    tab.until_live()
    ready = page.locator("[data-live='queue/archive/ready']")
    before = int(ready.inner_text())
    life.client.enqueue("receipt", {"order": 1}, queue="archive")
    expect(ready).to_have_text(str(before + 1))


def test_an_open_page_of_a_job_shows_that_it_ends(tab: Tab, life: Life) -> None:
    handle = life.client.enqueue(shop.report.call("2026-09"))
    wait_until(lambda: life.job(handle.uid).noted)
    page = tab.open(f"/jobs/{handle.uid}")
    assert "page 4 of 10" in page.get_by_role("region", name="What its handler says").inner_text()
    handle.cancel()
    expect(page.locator("h1 + p")).to_have_text("cancelled")


# -- what can be done --------------------------------------------------------------------------


def test_what_is_grave_asks_first_and_can_be_left(tab: Tab, life: Life) -> None:
    life.client.enqueue_many([trioq.Call("receipt", {"order": n}, "archive") for n in range(5)])
    before = life.admin.waiting("archive")
    page = tab.open("/queues/archive")
    page.get_by_role("button", name="Purge").click()
    page.get_by_role("link", name="No, go back").click()
    assert life.admin.waiting("archive") == before
    page.get_by_role("button", name="Purge").click()
    page.get_by_role("button", name="Yes, purge").click()
    page.get_by_text(f"{before} done: that was all").wait_for()
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url("**/queues/archive")
    assert life.admin.waiting("archive") == 0


def test_a_breaker_is_reset(tab: Tab, life: Life) -> None:
    page = tab.open("/limits")
    assert page.locator("[data-part=breakers]").get_by_text("open", exact=True).count() == 1
    assert "carrier" in tab.press("Reset")
    wait_until(lambda: not any(each.state == "open" for each in life.admin.breakers()))


def test_a_limit_is_changed_and_one_of_its_values_paused(tab: Tab, life: Life) -> None:
    page = tab.open("/limits")
    limits = page.locator("main")
    limits.get_by_role("button", name="Pause", exact=True).click()
    assert life.admin.pauses().takes
    tab.press("Resume")
    assert not life.admin.pauses().takes
    limits.locator("summary", has_text="Change it").click()
    limits.get_by_label("Running at a time").fill("2")
    with page.expect_navigation():
        limits.get_by_role("button", name="Change").click()
    tab.press("Yes, set")
    changed = life.admin.limit("payments")
    assert changed is not None
    assert changed.concurrency == 2
    wait_until(lambda: len(life.running("charge")) == 2)


def test_a_schedule_is_paused_resumed_and_run_now(tab: Tab, life: Life) -> None:
    page = tab.open("/schedules/digest")
    page.locator("summary", has_text="Pause").click()
    assert tab.press("Pause")
    assert "Paused" in page.locator("main").inner_text()
    assert tab.press("Resume")
    uid = tab.press("Run now").split()[0]
    wait_until(lambda: life.job(uid).state == "done")


def test_jobs_are_found_by_a_query_and_one_that_runs_is_cancelled(tab: Tab, life: Life) -> None:
    life.client.enqueue(shop.report.call("2026-10"), id="report-october")
    wait_until(lambda: life.job("report-october").noted)
    page = tab.open("/jobs")
    page.get_by_role("searchbox").fill("name:report id:report-oct*")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="report-october").click()
    page.get_by_text("page 4 of 10").wait_for()
    page.locator("summary", has_text="Cancel").click()
    page.get_by_label("Why").fill("it is late")
    assert tab.press("Have it end")
    wait_until(lambda: life.job("report-october").state == "cancelled")


def test_a_dead_job_is_revived_a_group_of_them_too_or_purged(tab: Tab, life: Life) -> None:
    first, *others = life.dead("mail")
    page = tab.open(f"/jobs/{first}")
    page.locator("summary", has_text="Traceback").click()
    assert "refuses" in page.get_by_role("region", name="The traceback").inner_text()
    tab.press("Revive")
    wait_until(lambda: _has_died(life, first, 2))
    page = tab.open("/dead")
    row = page.locator("[data-part=groups] tr", has_text="mail")
    row.get_by_role("button", name="Revive").click()
    page.get_by_text("3 done: that was all").wait_for()
    wait_until(lambda: _has_died(life, first, 3) and _has_died(life, others[0], 2))
    page = tab.open("/dead")
    row = page.locator("[data-part=groups] tr", has_text="mail")
    row.get_by_role("button", name="Purge").click()
    page.get_by_role("button", name="Yes, purge").click()
    page.get_by_text("3 done: that was all").wait_for()
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url("**/dead")
    assert life.dead("mail") == []


def test_a_dead_job_gets_another_payload_and_one_that_is_late_runs_now(
    tab: Tab, life: Life
) -> None:
    uid = life.dead("thumbnail")[0]
    page = tab.open(f"/jobs/{uid}")
    page.locator("summary", has_text="Edit it").click()
    page.get_by_label("The payload").fill('{"path": "/photos/other.jpg"}')
    with page.expect_navigation():
        page.get_by_role("button", name="Revive it with this").click()
    assert "/photos/other.jpg" in page.locator("main").inner_text()
    tab.press("Yes, edit")
    wait_until(lambda: _has_died(life, uid, 2))
    assert life.job(uid).payload == {"path": "/photos/other.jpg"}
    tab.open("/jobs/receipt-7000")
    tab.press("Run now")
    wait_until(lambda: life.job("receipt-7000").state == "done")


def _has_died(life: Life, uid: str, times: int) -> bool:
    view = life.job(uid)
    return (view.state, len(view.attempts)) == ("dead", times)


# -- who one is --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(life: Life, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same system's page, for somebody with a password."""
    config = tmp_path_factory.mktemp("guarded") / "jobqueue.toml"
    users = f'[web.users.ada]\nrole = "read"\npassword = "{hash_password("a horse")}"\n'
    config.write_text(f"{life.config.read_text()}\n{users}")
    log = config.with_suffix(".log")
    with log.open("w") as stream:
        process = trioq_started(
            "web", config, "--bind", "127.0.0.1:0", stderr=stream, stdout=subprocess.DEVNULL
        )
    yield wait_until(lambda: url_in(log))
    process.kill()
    process.wait()


def test_one_logs_in_may_what_the_role_allows_and_logs_out(
    chromium: Browser, life: Life, guarded: str
) -> None:
    tab = Tab(chromium, life)
    page = tab.page
    page.goto(f"{guarded}/queues?q=low")
    assert page.locator("h1").inner_text() == "Log in"
    is_accessible(page)
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("a house")
    page.keyboard.press("Enter")
    assert "name or password are wrong" in page.get_by_role("alert").inner_text()
    assert [fault for fault in tab.faults if "403" not in fault] == []
    page.keyboard.type("a horse")  # it is where one is asked for it
    page.keyboard.press("Enter")
    page.wait_for_url("**/queues?q=low")
    assert page.get_by_role("button", name="Pause").count() == 0
    with page.expect_navigation():
        page.get_by_role("button", name="Log out").click()
    page.goto(f"{guarded}/queues")
    assert page.locator("h1").inner_text() == "Log in"
    tab.close()


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


def _next(page: Page) -> str:
    """What the next press of Tab leads to; empty: out of the page."""
    page.keyboard.press("Tab")
    return str(
        page.evaluate(
            """() => {
              const it = document.activeElement;
              if (it === document.body) return "";
              const all = [...document.querySelectorAll("*")];
              return all.indexOf(it) + ":" + it.textContent.trim();
            }"""
        )
    )
