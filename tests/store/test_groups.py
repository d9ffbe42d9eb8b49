"""The dead by what they died of; and each group by its fingerprint."""

from __future__ import annotations

import pytest

from tests.scene import Scene
from tests.support import Server, new_job
from trioq.store import inspect
from trioq.store.inspect import DeadFilter


@pytest.fixture
def scene(server: Server) -> Scene:
    return Scene.on(server.store())


def chosen(scene: Scene, wanted: DeadFilter) -> set[str]:
    return {job.uid for page in inspect.dead_pages(scene.store, wanted) for job in page.jobs}


def test_nobody_is_dead(scene: Scene) -> None:
    assert inspect.groups(scene.store) == inspect.Groups((), 0, 0)


def test_those_that_died_of_the_same_are_one_group_and_can_be_had_by_it(scene: Scene) -> None:
    first = [scene.dead(new_job("low", "convert"), message=f"no file {n}.png") for n in range(3)]
    other = scene.dead(new_job("low", "convert"), message="disk full")
    theirs = scene.dead(new_job("high", "mail"), message="no file 9.png")
    found = inspect.groups(scene.store)
    assert (found.looked_at, found.total) == (5, 5)
    told = {(row.name, row.message, row.count) for row in found.rows}
    assert told == {
        ("convert", "no file 2.png", 3),
        ("convert", "disk full", 1),
        ("mail", "no file 9.png", 1),
    }
    top = found.rows[0]
    assert (top.count, top.uid) == (3, first[-1][0])
    assert top.first_ms <= top.last_ms
    assert chosen(scene, DeadFilter(name="convert", fingerprint=top.fingerprint)) == {
        uid for uids in first for uid in uids
    }
    assert chosen(scene, DeadFilter(fingerprint=top.fingerprint)) == {
        uid for uids in (*first, theirs) for uid in uids
    }
    full = next(row for row in found.rows if row.message == "disk full")
    assert chosen(scene, DeadFilter(fingerprint=full.fingerprint, error="disk")) == set(other)
    assert chosen(scene, DeadFilter(fingerprint=full.fingerprint, error="file")) == set()
    assert chosen(scene, DeadFilter(fingerprint="0" * 12)) == set()


def test_of_many_the_newest_are_looked_at_and_that_is_told(scene: Scene) -> None:
    scene.many_dead(1500)
    found = inspect.groups(scene.store, newest=300)
    (row,) = found.rows
    assert (row.count, found.looked_at, found.total) == (300, 300, 1500)
    assert (row.type, row.message) == ("", "")
    assert (row.first_ms, row.last_ms) == (1201, 1500)


def test_what_cannot_be_read_is_a_group_of_its_own(scene: Scene) -> None:
    (uid,) = scene.dead(new_job("low"))
    scene.store.lane.call("HSET", scene.store.keys.fixed("jobs"), uid, b"\xff nonsense")
    scene.store.lane.call("HSET", scene.store.keys.fixed("history"), uid, b"{{{")
    (row,) = inspect.groups(scene.store).rows
    assert (row.name, row.count) == (None, 1)
