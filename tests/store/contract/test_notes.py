"""Both stores: what handlers say of how far they are."""

from __future__ import annotations

import pytest

from tests.store.drive import line
from tests.store.world import Make, World
from tests.support import Server
from trioq.core.calls import NOTES_MAX, Note
from trioq.core.formats.note import NOTE_MAX
from trioq.core.settlements import Ack, DeadLetter, Release, RetryAt
from trioq.errors import TrioqBug


def test_what_is_noted_is_there_for_the_next_attempt(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    assert w.store.note(engine.engine, [Note(uid, 1, b"1"), Note(uid, 1, b"2")]) == frozenset()
    assert w.store.notes_of([uid, "f" * 32]) == [b"2", None]
    engine.step(0, RetryAt(uid, 1, 0, 1, line("no")))
    told = engine.ask(1)
    assert told.notes == {uid: b"2"}
    engine.step(0, Ack(uid, 3, b"{}"))
    assert w.dump().notes == {}


@pytest.mark.parametrize("what", ["another claim", "another engine", "nobody's"])
def test_who_does_not_hold_a_job_says_nothing_of_it(world: Make, what: str) -> None:
    w = world()
    (uid,) = w.new("low")
    engine, other = w.engine(), w.engine()
    engine.step(1)
    engine.step(0, Release(uid, 1))
    engine.step(1)
    names = {"another claim": engine.engine, "another engine": other.engine, "nobody's": "e.x"}
    assert w.store.note(names[what], [Note(uid, 1, b"1")]) == {uid}
    assert w.dump().notes == {}


def test_notes_stay_with_the_dead(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    w.store.note(engine.engine, [Note(uid, 1, b"1")])
    engine.step(0, DeadLetter(uid, 1, 1, "failures", line("no")))
    assert w.dump().notes == {uid: b"1"}
    w.store.purge_dead(*w.sender.next(), [uid])
    assert w.dump().notes == {}


def test_what_is_longer_than_a_note_is_none_of_ours(server: Server) -> None:
    w = World.of("redis", server)
    (uid,) = w.new("low")
    server.call("HSET", "{t}:notes", uid, b"x" * (NOTE_MAX + 1))
    assert not w.engine().ask(1).notes
    w.close()


@pytest.mark.parametrize(("count", "size"), [(1, NOTE_MAX + 1), (NOTES_MAX + 1, 1)])
def test_more_than_is_kept_is_not_sent(world: Make, count: int, size: int) -> None:
    w = world()
    with pytest.raises(TrioqBug, match="at most"):
        w.store.note("e.x", [Note("a" * 32, 1, b"1" * size)] * count)
