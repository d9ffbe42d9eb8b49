"""Both stores: pauses of names, and pauses that end by themselves."""

from __future__ import annotations

import pytest

from tests.store.world import SECOND, Make, World
from trioq.core.calls import Beat, Pausing
from trioq.core.settlements import Park


def told(w: World) -> tuple[str, ...]:
    """The names that an engine hears it isn't to run."""
    reply = w.engine().ask(0)
    assert reply.parked is not None
    return reply.paused


def test_engines_hear_which_names_are_paused_once_and_then_when_that_has_changed(
    world: Make,
) -> None:
    w = world()
    engine = w.engine()
    version = engine.ask(0).parked_version
    assert w.store.pause(*w.sender.next(), "@noop", True)
    assert not w.store.pause(*w.sender.next(), "@noop", True)
    reply = engine.ask(0, parked_version=version)
    assert reply.paused == ("noop",)
    assert w.store.beat(engine.engine) == Beat(0, reply.parked_version)
    again = engine.ask(0, parked_version=reply.parked_version)
    assert (again.parked, again.paused) == (None, ())
    assert w.store.pause(*w.sender.next(), "@noop", False)
    resumed = engine.ask(0, parked_version=reply.parked_version)
    assert (resumed.parked, resumed.paused) == ((), ())


def test_where_jobs_of_a_paused_name_are_parked_the_bells_ring_when_it_is_resumed(
    world: Make,
) -> None:
    w = world()
    queues = ("low", "high", "other")
    made = w.new(*queues)
    engine = w.engine(*queues)
    engine.step(3)
    w.store.pause(*w.sender.next(), "@noop", True)
    engine.step(0, *(Park(uid, 1, q, "noop") for uid, q in zip(made, queues, strict=True)))
    while w.store.wait(queues, 0.001):
        pass
    w.store.pause(*w.sender.next(), "@another", False)
    assert not w.dump().bells
    w.store.pause(*w.sender.next(), "@noop", False)
    assert w.dump().bells == {*queues}


def test_the_bell_rings_for_a_name_with_a_colon(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("low")
    engine.step(1)
    w.store.pause(*w.sender.next(), "@mail:send", True)
    engine.step(0, Park(uid, 1, "low", "mail:send"))
    while w.store.wait(["low"], 0.001):
        pass
    w.store.pause(*w.sender.next(), "@mail:send", False)
    assert w.dump().bells == {"low"}


@pytest.mark.parametrize("what", ["low", "@noop"])
def test_a_pause_for_a_time_ends_with_the_first_step_after_it(world: Make, what: str) -> None:
    w = world()
    w.new("low")
    w.store.pause(*w.sender.next(), what, True, Pausing(b"{}", 5 * SECOND))
    assert w.dump().pauses == {what: (w.clock.ms, w.clock.ms + 5 * SECOND, b"{}")}
    engine = w.engine()
    w.clock.ms += 5 * SECOND - 1
    early = engine.ask(0)
    assert (early.left, early.paused) == ((0, ()) if what == "low" else (1, ("noop",)))
    w.clock.ms += 1
    over = engine.ask(0, parked_version=early.parked_version)
    assert (over.left, over.paused) == (1, ())
    assert (over.parked is None) == (what == "low"), "of names they hear"
    assert (w.dump().paused, w.dump().pauses) == (frozenset(), {})


def test_what_is_paused_again_is_so_since_the_first_time_and_until_what_was_said_last(
    world: Make,
) -> None:
    w = world()
    begun = w.clock.ms
    w.store.pause(*w.sender.next(), "low", True, Pausing(b"1", 5 * SECOND))
    w.clock.ms += SECOND
    assert not w.store.pause(*w.sender.next(), "low", True, Pausing(b"2"))
    assert w.dump().pauses == {"low": (begun, 0, b"2")}
    w.store.pause(*w.sender.next(), "low", True, Pausing(b"3", SECOND))
    w.clock.ms += SECOND
    assert not w.store.pause(*w.sender.next(), "low", False), "it was over"
    assert w.dump().pauses == {}
    w.store.pause(*w.sender.next(), "low", True, Pausing(b"4", SECOND))
    w.clock.ms += SECOND
    assert w.store.pause(*w.sender.next(), "low", True), "the one before was over"
    assert w.dump().pauses == {"low": (w.clock.ms, 0, b"")}


def test_a_name_whose_pause_was_over_when_it_was_resumed_is_told_to_engines(world: Make) -> None:
    w = world()
    w.store.pause(*w.sender.next(), "@noop", True, Pausing(b"", SECOND))
    engine = w.engine()
    known = engine.ask(0)
    w.clock.ms += SECOND
    w.store.pause(*w.sender.next(), "@noop", False)
    assert engine.ask(0, parked_version=known.parked_version).parked == ()
    assert told(w) == ()
