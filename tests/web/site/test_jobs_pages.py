"""Jobs, one of them, and the dead: what is shown, what is hidden, what can be done, by whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import attrs
import pytest
import trio

from tests.scene import Scene
from tests.support import new_job
from tests.web.site.conftest import Browser, Html, shown_to
from trioq.core.config import WebConfig
from trioq.core.formats import note
from trioq.core.formats.history import Attempt, encode
from trioq.core.outcome import Error
from trioq.store.inspect import find
from trioq.store.redis import RedisStore
from trioq.web.desk import Desk
from trioq.web.site.pages import job as job_page
from trioq.web.site.story import story
from trioq.web.who.roles import Role, User

HOSTILE = "<script>alert(1)</script>\"'>&\u202e\x07 ../../etc"


@pytest.fixture
def scene(store: RedisStore) -> Scene:
    return Scene.on(store)


@pytest.fixture
def masking(desk: Desk) -> Browser:
    """Somebody who may do everything, where a password is nobody's to see."""
    web = WebConfig(sensitive=("password",))
    hiding = Desk(attrs.evolve(desk.config, web=web), desk._connector)
    return Browser(shown_to(hiding, User("ana", Role.admin)))


def died(scene: Scene, message: str) -> str:
    """A job whose history says of what it died, as engines write it."""
    (uid,) = scene.dead(new_job("low", "convert"))
    failed = Attempt(1, Error("ValueError", message, "Traceback …"), "e", 1000, dead="failures")
    scene.store.lane.call("HSET", scene.store.keys.fixed("history"), uid, encode(failed))
    return uid


def at(id: str) -> str:
    return f"/jobs/{quote(id, safe='')}"


def links(html: Html) -> set[str]:
    return {str(each.attributes["href"]) for each in html.all("a")}


def forms_of(html: Html) -> set[str]:
    """The operations of a page's buttons; what is asked first, too."""
    posted = {str(each.attributes["action"]) for each in html.all("form", method="post")}
    asked = {each.attributes["value"] for each in html.all("input", name="do")}
    return {path.removeprefix("/do/") for path in posted} | {str(name) for name in asked}


# -- the list ----------------------------------------------------------------------------------


def test_with_nothing_there_the_pages_say_so(browser: Browser) -> None:
    assert "No job waits or runs." in browser.get("/jobs").text
    assert "Nobody is dead." in browser.get("/dead").text
    assert "No such job is dead." in browser.get("/dead/group?name=x").text
    assert "there is no job 'x'" in browser.get("/jobs/x", status=404).text


def test_jobs_are_listed_by_state_and_each_is_a_link(browser: Browser, scene: Scene) -> None:
    (dead,) = scene.dead(new_job("low", "convert"))
    (ready,) = scene.enqueue(new_job("low", "noop"))
    (later,) = scene.enqueue(new_job("high", "noop", delay_ms=100_000, id="later"))
    living = browser.get("/jobs")
    assert {at(ready), at(later)} <= links(living)
    assert at(dead) not in links(living)
    assert at(dead) in links(browser.get("/jobs?state=dead"))
    scheduled = browser.get("/jobs?state=scheduled")
    assert at(later) in links(scheduled)
    assert at(ready) not in links(scheduled)
    assert "/jobs?state=dead" in links(living)


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("name:convert", {"a"}),
        ("name:c*", {"a"}),
        ("queue:high", {"c"}),
        ("id:b", {"b"}),
        ("-name:convert", {"b", "c"}),
        ("pear", {"b"}),
        ("name:noop queue:low", {"b"}),
        ("name:nothing", set()),
    ],
)
def test_a_query_finds_what_is_meant(
    browser: Browser, scene: Scene, query: str, meant: set[str]
) -> None:
    jobs = {
        "a": new_job("low", "convert", id="a", payload=b'{"fruit":"apple"}'),
        "b": new_job("low", "noop", id="b", payload=b'{"fruit":"pear"}'),
        "c": new_job("high", "noop", id="c"),
    }
    uids = dict(zip(jobs, scene.enqueue(*jobs.values()), strict=True))
    found = links(browser.get(f"/jobs?q={quote(query)}"))
    assert {id for id, uid in uids.items() if at(uid) in found} == meant


def test_what_is_wrong_with_a_query_is_told_and_its_text_stays(browser: Browser) -> None:
    html = browser.get("/jobs?q=" + quote('nmae:"x" foo:y'))
    assert '"nmae:" is no qualifier; did you mean "name"?' in html.text
    assert '"foo:" is no qualifier' in html.text
    assert html.all("input", name="q")[0].attributes["value"] == 'nmae:"x" foo:y'


def test_a_masked_value_is_not_found_by_what_it_is(masking: Browser, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", payload=b'{"password":"hunter2","user":"ada"}'))
    assert at(uid) in links(masking.get("/jobs?q=ada"))
    assert at(uid) not in links(masking.get("/jobs?q=hunter2"))


# -- a job -------------------------------------------------------------------------------------


def test_a_job_that_waits_tells_why_and_can_be_cancelled(browser: Browser, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "noop", payload=b'{"rows":7}', id="a/b <c>"))
    html = browser.get(at("a/b <c>"))
    assert html.text.count("a/b <c>") >= 2
    assert "Why it doesn't run now" in html.text
    assert '"rows": 7' in html.text
    assert "jobs.cancel" in forms_of(html)
    answer = browser.post("/do/jobs.cancel", job=uid, reason="no more", next=at(uid))
    assert answer.status_code == 303
    html = browser.get(at(uid))
    assert "Cancelled" in html.text
    assert "no more" in html.text
    assert "jobs.cancel" not in forms_of(html)


def test_a_dead_job_tells_its_story_and_can_be_revived(browser: Browser, scene: Scene) -> None:
    uid = died(scene, "no file b.png")
    html = browser.get(at(uid))
    assert "Attempt 1 failed" in html.text
    assert "no file b.png" in html.text
    assert {"dead.revive", "dead.purge"} <= forms_of(html)
    browser.post("/do/dead.revive", job=uid, next=at(uid))
    html = browser.get(at(uid))
    assert "Revived" in html.text
    assert "dead.revive" not in forms_of(html)


def test_what_a_handler_says_is_shown_and_bounded(browser: Browser, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    said = note.encode(1, (0.42, "row <42>", b'{"n":42}', 0), 500, ["one <b>", "x" * 1000])
    scene.store.lane.call("HSET", scene.store.keys.fixed("notes"), uid, said)
    html = browser.get(at(uid))
    assert "42 %" in html.text
    assert "row <42>" in html.text
    assert "one <b>" in html.text
    assert len(html.text) < 120_000


def test_who_may_only_look_is_shown_no_button(as_: Callable[..., Browser], scene: Scene) -> None:
    (dead,) = scene.dead(new_job("low"))
    (ready,) = scene.enqueue(new_job("low"))
    reader = as_(Role.read)
    for path in (at(dead), at(ready), "/dead", "/dead/group", "/jobs"):
        assert not forms_of(reader.get(path)), path
    assert reader.post("/do/dead.revive", job=dead).status_code == 403
    operator = as_(Role.operate)
    assert forms_of(operator.get("/dead")) == {"dead.revive"}


def test_masked_fields_are_in_no_page(masking: Browser, scene: Scene) -> None:
    payload = b'{"user":"ada","login":{"Password":"hunter2"}}'
    (dead,) = scene.dead(new_job("low", payload=payload))
    (ready,) = scene.enqueue(new_job("low", payload=payload))
    for path in (at(dead), at(ready), "/dead", "/jobs", "/jobs?state=dead", "/dead/group"):
        answer = masking.ask("GET", path)
        assert "hunter2" not in answer.text, path
    assert "•••" in masking.get(at(dead)).text
    exported = masking.ask("GET", "/dead/export").text
    assert "hunter2" not in exported
    assert "ada" in exported


def test_a_payload_is_edited_and_what_is_masked_stays(masking: Browser, scene: Scene) -> None:
    (dead,) = scene.dead(new_job("low", payload=b'{"user":"ada","password":"hunter2"}'))
    html = masking.get(at(dead))
    assert "dead.edit" in forms_of(html)
    asked = quote(json.dumps({"user": "bob", "password": "•••"}))
    sure = masking.get(f"/sure?do=dead.edit&job={dead}&payload={asked}&next={at(dead)}")
    assert "hunter2" not in sure.text
    fields = {str(e.attributes["name"]): str(e.attributes["value"]) for e in sure.all("input")}
    answer = masking.post("/do/dead.edit", **fields)
    assert answer.headers["location"] == at(dead)
    view = find(scene.store, dead)
    assert view is not None
    assert (view.state, view.payload) == ("ready", {"user": "bob", "password": "hunter2"})


# -- the dead ----------------------------------------------------------------------------------


def test_the_dead_are_grouped_and_a_group_is_revived(browser: Browser, scene: Scene) -> None:
    files = [scene.dead(new_job("low", "convert"), message=f"no file {n}")[0] for n in range(3)]
    (full,) = scene.dead(new_job("low", "convert"), message="disk full")
    html = browser.get("/dead")
    group = next(
        a.attributes["href"] for a in html.all("a") if "print=" in str(a.attributes["href"])
    )
    assert group is not None
    assert "4 jobs are dead" in html.text
    listed = links(browser.get(group))
    assert {at(uid) for uid in files} <= listed
    assert at(full) not in listed
    fields = dict(pair.split("=") for pair in group.partition("?")[2].split("&"))
    answer = browser.post("/do/dead.revive", next="/dead", **fields)
    assert answer.status_code == 303
    assert "revived 3" in browser.get("/dead").text
    assert links(browser.get("/dead")) >= {at(full)}


def test_long_lists_go_on_where_they_stopped(browser: Browser, scene: Scene) -> None:
    scene.many_dead(120)
    met, path, pages = set[str](), "/dead/group", 0
    while path:
        html = browser.get(path)
        met |= {href for href in links(html) if href.startswith("/jobs/")}
        path, pages = (
            next((str(a.attributes["href"]) for a in html.all("a", rel="next")), ""),
            (pages + 1),
        )
    assert (len(met), pages) == (120, 3)
    browser.get("/dead/group?after=nonsense", status=422)


def test_a_list_of_jobs_goes_on_page_by_page(browser: Browser, scene: Scene) -> None:
    uids = scene.enqueue(*(new_job("low", "noop" if n % 3 else "other") for n in range(130)))
    for query, count in (("", 130), ("name:other", 44)):
        met, path, pages = list[str](), f"/jobs?q={query}", 0
        while path:
            html = browser.get(path)
            met += [href for href in links(html) if href.startswith("/jobs/")]
            path = next((str(a.attributes["href"]) for a in html.all("a", rel="next")), "")
            pages += 1
        assert (len(met), len(set(met))) == (count, count)
        assert pages == -(-count // 50) + (count % 50 == 0)
    assert {at(uid) for uid in uids} >= set(met)
    browser.get("/jobs?after=nonsense", status=422)


def test_an_export_has_a_line_for_each(browser: Browser, scene: Scene) -> None:
    scene.many_dead(230)
    answer = browser.ask("GET", "/dead/export")
    assert answer.headers["content-disposition"].startswith("attachment")
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert len({each["uid"] for each in told}) == 230
    assert len(told) == 230


def test_whatever_comes_from_jobs_is_text(browser: Browser, scene: Scene) -> None:
    payload = json.dumps({"x": HOSTILE, HOSTILE: [HOSTILE]}).encode()
    (dead,) = scene.dead(
        new_job("low", HOSTILE.replace("\x07", ""), payload=payload, id=HOSTILE), message=HOSTILE
    )
    (ready,) = scene.enqueue(new_job("low", "noop", payload=payload, id=f"{HOSTILE}2"))
    scene.store.lane.call("HSET", scene.store.keys.fixed("reasons"), dead, HOSTILE)
    for path in (at(dead), at(HOSTILE), at(ready), "/jobs", "/jobs?state=dead", "/dead",
                 "/dead/group", f"/jobs?q={quote(HOSTILE)}"):  # fmt: skip
        answer = browser.ask("GET", path)
        assert "<script>alert" not in answer.text, path
        assert "\u202e" not in browser.get(path).text, path


def test_a_job_of_a_megabyte_is_a_page_of_some_kilobytes(browser: Browser, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", payload=b'{"x":"%s"}' % (b"y" * 900_000)))
    answer = browser.ask("GET", at(uid))
    assert answer.status_code == 200
    assert len(answer.content) < 100_000


def test_what_cannot_be_read_is_shown_as_it_is(browser: Browser, scene: Scene) -> None:
    (uid,) = scene.dead(new_job("low"))
    scene.store.lane.call("HSET", scene.store.keys.fixed("jobs"), uid, b"\xff{<b>")
    for path in (at(uid), "/dead", "/dead/group", "/jobs?state=dead"):
        browser.get(path)


# -- what moves --------------------------------------------------------------------------------


def test_an_open_page_is_told_what_changes_and_when_what_it_lists_does(
    desk: Desk, scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    (uid,) = scene.enqueue(new_job("low"))

    async def told(stream: object) -> dict[str, object]:
        while True:
            said = await anext(stream)  # type: ignore[call-overload]
            data = [line[6:] for line in said.decode().splitlines() if line.startswith("data: ")]
            if data:
                found: dict[str, object] = json.loads(data[0])
                return found

    async def look() -> None:
        stream = job_page.events(desk, uid)
        first = await told(stream)
        assert first["text"] == {"job/state": "ready"}
        scene.driver.step(1)
        second = await told(stream)
        assert second["text"] == {"job/state": "running"}
        assert second["shape"] != first["shape"]
        await stream.aclose()  # type: ignore[attr-defined]

    trio.run(look, clock=autojump_clock)


def test_a_story_is_told_in_order(scene: Scene) -> None:
    uid = died(scene, "once")
    scene.store.revive("s", 1, [(uid, "low")])
    view = find(scene.store, uid)
    assert view is not None
    kinds = [moment.kind for moment in story(view)]
    assert kinds == ["enqueued", "failed", "died", "revived", "waits"]
