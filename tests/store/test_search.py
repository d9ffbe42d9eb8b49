"""Jobs that are looked for, page by page: each once, wherever it lies, and some go meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.scene import Scene
from tests.store.drive import line
from tests.support import Server, new_job
from trioq.core.fair import FairKey
from trioq.core.limits import LimitSettings
from trioq.core.query import Query
from trioq.core.settlements import Ack, Park, RetryAt
from trioq.store.inspect import Found, Listed
from trioq.store.inspect import search as searched
from trioq.store.inspect.listing import LIVING
from trioq.store.inspect.shelves import State

ALL: tuple[State, ...] = (*LIVING, "dead", "done", "cancelled")


@pytest.fixture
def scene(server: Server) -> Scene:
    return Scene.on(server.store())


def told(each: Listed) -> dict[str, tuple[str, ...]]:
    about = each.view.about
    ids = (each.view.uid, each.view.callers_id or "")
    return {"name": (about.name,) if about else (), "key": each.keys, "id": ids,
            "queue": (about.queue,) if about else ()}  # fmt: skip


def search(scene: Scene, text: str = "", states: Sequence[State] = ALL, **more: object) -> Found:
    query = Query.parse(text)
    return searched(
        scene.store,
        query,
        states,
        lambda each: query.matches(told(each)),
        **more,  # type: ignore[arg-type]
    )


def pages(scene: Scene, text: str = "", *, limit: int, newest_first: bool = False) -> list[str]:
    found, after = list[str](), ""
    while True:
        page = search(scene, text, limit=limit, newest_first=newest_first, after=after)
        assert len(page.jobs) <= limit
        found += [each.view.uid for each in page.jobs]
        if not page.next:
            return found
        after = page.next


@pytest.fixture
def everywhere(scene: Scene) -> dict[str, str]:
    """A job in each state, and several in some."""
    (dead,) = scene.dead(new_job("low", "convert"))
    jobs = {name: new_job("low", "noop", id=name) for name in ("done", "retried", "parked", "runs")}
    uids = dict(zip(jobs, scene.enqueue(*jobs.values()), strict=True))
    scene.driver.step(4)
    n = scene.driver.n
    summary = {"uid": uids["done"], "id": "done", "name": "noop", "queue": "low"}
    scene.driver.step(
        0,
        Ack(uids["done"], n, json.dumps(summary).encode()),
        RetryAt(uids["retried"], n, 60_000, 1, line("once")),
        Park(uids["parked"], n, "low", "noop"),
    )
    scene.store.set_limits({"one": LimitSettings(concurrency=1)}, 1)
    more = {
        "high": new_job("high"), "fair": new_job("low", fair=FairKey('"acme"')),
        "later": new_job("high", delay_ms=60_000), "takes": new_job("low", takes=('one:"t"',)),
        **{f"ready {n}": new_job("low", "mail") for n in range(7)},
    }  # fmt: skip
    uids |= dict(zip(more, scene.enqueue(*more.values()), strict=True))
    return uids | {"dead": dead}


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
@pytest.mark.parametrize("newest_first", [False, True])
def test_page_by_page_each_is_met_once(
    scene: Scene, everywhere: dict[str, str], limit: int, newest_first: bool
) -> None:
    met = pages(scene, limit=limit, newest_first=newest_first)
    assert sorted(met) == sorted(everywhere.values())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("name:convert", {"dead"}),
        ("name:MAIL", {f"ready {n}" for n in range(7)}),
        ("queue:high", {"high", "later"}),
        ("queue:h*", {"high", "later"}),
        ("key:acme", {"fair"}),
        ("key:one", {"takes"}),
        ("key:t", {"takes"}),
        ("id:done", {"done"}),
        ("id:done name:other", set()),
        ("id:d*", {"done"}),
        ("name:nothing", set()),
    ],
)
@pytest.mark.parametrize("limit", [1, 50])
def test_what_is_looked_for_is_found(
    scene: Scene, everywhere: dict[str, str], text: str, meant: set[str], limit: int
) -> None:
    assert set(pages(scene, text, limit=limit)) == {everywhere[word] for word in meant}


def test_a_uid_is_found_without_looking_through(scene: Scene, everywhere: dict[str, str]) -> None:
    found = search(scene, f"id:{everywhere['later']}")
    assert ([each.view.uid for each in found.jobs], found.looked_at) == ([everywhere["later"]], 1)


def test_a_question_looks_at_so_many_and_tells_where_it_stopped(scene: Scene) -> None:
    scene.many_dead(4500)
    looked, after, asked = 0, "", 0
    while after or not asked:
        found = search(scene, "name:nobody", ["dead"], after=after)
        assert found.jobs == []
        looked, after, asked = looked + found.looked_at, found.next, asked + 1
    assert (looked, asked) == (4500, 3)


def test_where_a_shelf_has_gone_the_next_goes_on(scene: Scene, everywhere: dict[str, str]) -> None:
    first = search(scene, "", ["scheduled"], limit=1)
    (one,) = first.jobs
    gone = everywhere["later"] if one.view.uid == everywhere["later"] else everywhere["retried"]
    queue = "high" if gone == everywhere["later"] else "low"
    assert scene.store.hasten(*scene.sender.next(), queue, gone)
    scene.driver.step(1)
    rest = search(scene, "", ["scheduled"], after=first.next)
    assert gone not in {each.view.uid for each in rest.jobs}
    assert rest.next == ""


@pytest.mark.parametrize(
    "after",
    ["x", "ready", "ready.0", "ready.a.0.x", "ready.0.-1.x", "ready.0.².x", "done.0.0.", "." * 9],
)
def test_a_place_where_no_page_ends_is_refused(scene: Scene, after: str) -> None:
    with pytest.raises(ValueError, match="where no page ends"):
        search(scene, "", LIVING, after=after)
