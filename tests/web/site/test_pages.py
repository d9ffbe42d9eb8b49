"""Each page: on nothing, on much, with hostile names, under a mount, while Redis is away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.cli.conftest import write_config
from tests.scene import Scene
from tests.support import Server, new_job
from tests.web.site.conftest import Browser, shown_to
from trioq.core.fair import FairKey
from trioq.core.formats import engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.formats.snapshot import Failure, Run, Shut, Snapshot
from trioq.core.limits import LimitSettings
from trioq.settings import load
from trioq.store import inspect
from trioq.store.connect import open_store
from trioq.store.redis import RedisStore
from trioq.web.desk import Desk
from trioq.web.operations import OPERATIONS, fields_of
from trioq.web.site.site import in_path, of_path
from trioq.web.who.roles import Role, User

PAGES = (
    "/", "/?hours=24", "/queues", "/queues/low", "/engines", "/limits", "/schedules", "/doctor",
)  # fmt: skip

#: What somebody else may call something.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a/b/../c?d=e#f&g=%2e",
    "two\nlines\r\n\tand a tab",
    "\u202edesrever\u202c \u200fmark",
    "..",
    "x" * 5000,
    "{{ 7777 * 7777 }}{% raw %}",
)


@pytest.mark.parametrize("path", [*PAGES, "/doctor?look=all"])
def test_a_page_of_nothing_says_so(browser: Browser, path: str) -> None:
    html = browser.get(path)
    assert html.all("a", href="/queues")
    assert len(html.text) < 20_000


def fill(store: RedisStore, desk: Desk, names: tuple[str, ...]) -> list[str]:
    """A namespace with some of everything, of which strangers have chosen the names."""
    scene = Scene.on(store)
    scene.dead(new_job("low"), message="<b>no such file</b>")
    for name in names:
        scene.enqueue(new_job(name[:200], name=name[:100]))
    paths = []
    call, keys = store.lane.call, store.keys
    for n, name in enumerate(names):
        id = f"{n}{name[:60]}"
        info = EngineInfo(name=name, queues=(name[:200],), names=(name,), workers=4, http=name)
        call("HSET", keys.fixed("engines"), id, engine_info.encode(info))
        run = Run("0" * 31 + str(n), name, name, 1, 1, 0.5, name)
        failure = Failure(1, "0" * 31 + str(n), name, name, 1, name, name)
        shut = Shut(name, (name,), "open", 1, 2, 3, 4)
        inspect.tell(store, id, Snapshot(1, 1, running=(run,), failures=(failure,), shut=(shut,)))
        paths += [f"/queues/{quote(in_path(name[:200]))}", f"/engines/{quote(in_path(id))}"]
        desk.client.schedules.put(f"s{n}", "noop", {"text": name}, cron="0 3 * * *")
        paths.append(f"/schedules/s{n}")
    store.set_limits({"each": LimitSettings(concurrency=2, keyed=True)}, 1)
    return paths


@pytest.fixture
def strangers(store: RedisStore, desk: Desk) -> list[str]:
    """The paths of what has hostile names."""
    return fill(store, desk, HOSTILE)


def test_whatever_something_is_called_it_is_a_text(browser: Browser, strangers: list[str]) -> None:
    for path in (*PAGES, *strangers):
        html = browser.get(path)
        assert len(html.all("script")) == 1, path
        assert not [e for e in html.all("img") if e.attributes["src"] == "x"]
        assert "60481729" not in html.text
        assert "\u202e" not in html.text
        assert len(html.text) < 60_000
        for link in html.all("a"):
            assert str(link.attributes["href"]).startswith(("/", "#"))


def test_forms_say_what_their_operations_take(
    browser: Browser, strangers: list[str], store: RedisStore
) -> None:
    Scene.on(store).enqueue(new_job("low", payload=b'"' + b"x" * 1_000_000 + b'"'))
    browser.post("/do/queues.pause", queue="low")
    browser.post("/do/schedules.pause", schedule="s1")
    browser.post("/do/limits.pause", limit="each", key='"<a>"')
    seen = set()
    for path in (*PAGES, *strangers):
        for form in browser.get(path).forms():
            action = str(form.element.attributes["action"])
            if action.startswith("/do/"):
                name = action.removeprefix("/do/")
            elif action == "/sure":
                name = form.fields["do"]
            else:
                assert form.element.attributes["method"] == "get"
                continue
            seen.add(name)
            takes = fields_of(OPERATIONS[name].takes)
            assert form.fields.keys() - {"do", "next"} <= takes.keys()
            assert {n for n, field in takes.items() if field.required} <= form.fields.keys()
            assert OPERATIONS[name].is_grave == (action == "/sure")
            assert not OPERATIONS[name].is_grave or form.element.attributes["method"] == "get"
    assert seen >= {
        "queues.pause", "queues.resume", "queues.purge", "limits.resume", "limits.set",
        "schedules.pause", "schedules.resume", "schedules.run",
    }  # fmt: skip


def test_links_of_strange_names_lead_to_their_pages(browser: Browser, strangers: list[str]) -> None:
    for listing in ("/queues", "/engines"):
        for link in browser.get(listing).all("a"):
            path = str(link.attributes["href"])
            if path.startswith(f"{listing}/"):
                browser.get(path)


def test_a_queue_shows_whose_turns_come_next(browser: Browser, store: RedisStore) -> None:
    scene = Scene.on(store)
    for key, weight, jobs in (("acme", 2.0, 3), ("<b>", 1.0, 1)):
        fair = FairKey(json.dumps(key), weight)
        scene.enqueue(*(new_job("low", fair=fair) for _ in range(jobs)))
    assert [(each.key, each.weight, each.jobs) for each in inspect.lanes(store, "low")] == [
        ("acme", 2, 3), ("<b>", 1, 1),
    ]  # fmt: skip
    assert len(inspect.lanes(store, "low", count=2)) <= 2
    assert inspect.lanes(store, "high") == []
    text = browser.get("/queues/low").text
    assert "of the next 4" in text
    assert "acme" in text
    assert "<b>" in text


def test_what_isnt_there_is_told_as_a_page(browser: Browser) -> None:
    for path in ("/queues/nobody", "/engines/nobody", "/schedules/nobody", "/nowhere"):
        html = browser.get(path, status=404)
        assert html.all("a", href="/")


def test_pages_are_alike_under_a_mount(as_: Callable[..., Browser], strangers: list[str]) -> None:
    browser = as_(root="/ops")
    for path in (*PAGES, *strangers):
        for each in browser.get(path).elements:
            for name in ("href", "src", "action"):
                leads = each.attributes.get(name)
                assert leads is None or leads.startswith(("/ops/", "#"))
            assert (each.attributes.get("data-stream") or "/ops/").startswith("/ops/")


def test_a_name_comes_back_from_its_path() -> None:
    for name in (*HOSTILE, ".", "a/./b", "%2E", "%2E%2E/..", "", "/"):
        assert of_path(in_path(name)) == name
        assert not {".", ".."} & {*in_path(name).split("/")}


def test_while_redis_is_away_a_page_says_that(tmp_path: Path, own_server: Server) -> None:
    config = load(write_config(tmp_path, own_server))
    with open_store(config) as connector:
        browser = Browser(shown_to(Desk(config, connector), User("ana", Role.read)))
        browser.get("/queues")
        own_server.kill()
        for path in PAGES:
            html = browser.get(path, status=503)
            assert "Redis can't be reached" in html.text
            assert html.all("a", href=path)
        assert "fault" in browser.get("/doctor?look=all").text
        assert browser.ask("GET", "/static/x/site.css").status_code == 200


def test_a_page_asks_redis_a_bounded_number_of_times(
    browser: Browser, store: RedisStore, desk: Desk, server: Server
) -> None:
    def commands(path: str) -> int:
        before = int(server.call("INFO", "stats").split(b"total_commands_processed:")[1].split()[0])
        browser.get(path)
        after = int(server.call("INFO", "stats").split(b"total_commands_processed:")[1].split()[0])
        return after - before

    fill(store, desk, tuple(f"n{i}" for i in range(3)))
    few = {path: commands(path) for path in PAGES}
    scene = Scene.on(store)
    scene.many_dead(3000)
    scene.enqueue(*(new_job("low") for _ in range(500)))
    for path, count in few.items():
        assert commands(path) <= count + 110, path
