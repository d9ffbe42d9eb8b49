"""What all pages have in common: the frame, static files, forms, the question, problems."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.scene import Scene
from tests.support import new_job
from tests.web.site.conftest import Browser, checked
from trioq.store.redis import RedisStore
from trioq.web.desk import Desk
from trioq.web.operations import OPERATIONS, fields_of
from trioq.web.site import forms
from trioq.web.site.paging import Paged
from trioq.web.who.roles import Role


def test_what_a_page_loads_is_there_and_may_be_kept_for_good(browser: Browser) -> None:
    html = browser.get("/queues")
    loaded = [e.attributes["src"] for e in html.all("script") + html.all("img")]
    loaded += [e.attributes["href"] for e in html.all("link")]
    assert len(loaded) == 4
    for path in loaded:
        answer = browser.ask("GET", str(path))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].split(";")[0] in (
            "text/css", "text/javascript", "image/svg+xml",
        )  # fmt: skip
    assert browser.ask("GET", "/static/old/site.css").headers["cache-control"] == "no-cache"
    browser.get("/static/old/../site.py", status=404)


def test_under_a_mount_every_link_and_form_leads_below_it(as_: Callable[..., Browser]) -> None:
    browser = as_(root="/ops/jobs")
    html = browser.get("/queues")
    for each in html.elements:
        for name in ("href", "src", "action"):
            if (leads := each.attributes.get(name)) is not None:
                assert leads.startswith(("/ops/jobs/", "#")), leads
    answer = browser.post("/do/queues.pause", queue="low", next="/queues?q=l%20o")
    assert answer.headers["location"] == "/ops/jobs/queues?q=l%20o"


def test_a_click_is_done_and_what_came_of_it_is_told_once(browser: Browser, desk: Desk) -> None:
    answer = browser.post("/do/queues.pause", queue="low", note="<b>why", next="/queues")
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues")
    assert "low is paused" in browser.get("/queues").text
    html = browser.get("/queues")
    assert "low is paused" not in html.text
    assert "<b>why" in html.text


def test_the_script_is_answered_in_json(browser: Browser) -> None:
    json = {"accept": "application/json"}
    done = browser.ask("POST", "/do/queues.pause", data={"queue": "low"}, headers=json)
    assert done.json()["done"] == "low is paused"
    wrong = browser.ask("POST", "/do/queues.pause", data={"queue": "lw"}, headers=json)
    assert wrong.status_code == 404
    assert wrong.headers["content-type"] == "application/problem+json"


def test_what_cant_be_is_told_where_one_was(browser: Browser) -> None:
    answer = browser.post("/do/queues.pause", queue="lw", next="/queues")
    assert answer.status_code == 303
    assert "there is no queue 'lw'" in browser.get("/queues").text


def test_who_may_not_is_shown_no_button_and_refused(as_: Callable[..., Browser]) -> None:
    browser = as_(Role.read)
    assert not browser.get("/queues").all("form", method="post")
    html = checked(browser.post("/do/queues.pause", queue="low"))
    assert "takes the role operate" in html.text
    browser.get("/sure?do=queues.purge&queue=low", status=403)


def test_what_is_grave_is_asked_first(browser: Browser, store: RedisStore) -> None:
    Scene.on(store).enqueue(new_job("low"))
    html = browser.get("/sure?do=queues.purge&queue=low&next=/queues")
    (form,) = html.all("form", method="post")
    fields = {str(e.attributes["name"]): str(e.attributes["value"]) for e in html.all("input")}
    assert form.attributes["action"] == "/do/queues.purge"
    assert fields == {"queue": "low", "next": "/queues"}
    browser.post(str(form.attributes["action"]), **fields)
    assert "1 of low forgotten" in browser.get("/queues").text
    browser.get("/sure?do=queues.explode", status=404)


@pytest.mark.parametrize(
    "wanted", ["//evil.example/", "/\\evil.example", "https://evil.example", "", "x", "/a\nb", " /"]
)
def test_one_never_goes_on_to_somebody_else(wanted: str, browser: Browser) -> None:
    assert forms.next_of(wanted) == "/"
    answer = browser.post("/do/queues.pause", queue="low", next=wanted)
    assert answer.headers["location"] == "/"
    html = browser.get(f"/sure?do=queues.purge&queue=low&next={quote(wanted)}")
    assert "evil" not in str([e.attributes for e in html.elements])


def test_a_form_is_a_form(browser: Browser) -> None:
    answer = browser.ask("POST", "/do/queues.pause", json={"queue": "low"})
    assert answer.status_code == 415
    many = "&".join(f"f{n}=1" for n in range(2000))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = browser.ask("POST", "/do/queues.pause", content=many, headers=kind)
    assert answer.status_code == 422


def test_a_flash_that_somebody_else_wrote_is_a_text(browser: Browser) -> None:
    browser.cookies.set(forms.COOKIE, quote("done:<script>alert(1)</script>" + "x" * 900))
    html = browser.get("/queues")
    assert "<script>alert(1)" in html.text
    browser.cookies.set(forms.COOKIE, "%ff%00;nonsense")
    browser.get("/queues")


def test_long_lists_come_in_parts() -> None:
    some = [*range(250)]
    first = Paged.of(some, None)
    assert (first.before, first.shown[0], first.after) == (None, 0, 100)
    last = Paged.of(some, "200")
    assert (last.before, len(last.shown), last.after) == (100, 50, None)
    for odd in ("-1", "x", "999", "٣", "9" * 30):
        assert Paged.of(some, odd).start == 0


def test_each_operation_a_form_can_do_has_fields_that_forms_can_say() -> None:
    for row in OPERATIONS.values():
        assert not {"next", "do"} & fields_of(row.takes).keys()
