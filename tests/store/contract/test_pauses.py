"""Both stores: pauses of names, and pauses that end by themselves."""

from __future__ import annotations

import pytest

from tests.store.world import SECOND, Make, World
from trioq.core.calls import Beat, Pausing
from trioq.core.formats.pause import of_take
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Park


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


ACME = of_take('key:"acme"')
OTHER = 'key:"other"'


def limited(world: Make, **limit: int) -> World:
    """One with a limit that has a key."""
    w = world()
    w.store.set_limits({"key": LimitSettings(keyed=True, **limit)}, 1)
    return w


def new(w: World, *takes: str, queue: str = "low") -> list[str]:
    return [w.sender.enqueue_new(queue, takes=(take,)) for take in takes]


def test_a_job_of_a_paused_key_holds_nothing_and_those_of_other_keys_start(world: Make) -> None:
    w = limited(world, interval_us=1000 * SECOND, concurrency=1)
    w.store.pause(*w.sender.next(), ACME, True)
    first, other = new(w, 'key:"acme"', OTHER)
    engine = w.engine()
    (claim,) = engine.step(9)
    assert claim.uid == other
    held = w.dump()
    assert [(room[1], uids) for room, uids in held.rooms.items()] == [('key:"acme"', (first,))]
    assert (held.slots, held.took.keys()) == ({OTHER: 1}, {other})
    assert 'key:"acme"' not in held.tats, "no permit is gone"
    assert (held.open, held.permits) == (frozenset(), {}), "nobody looks"
    w.store.pause(*w.sender.next(), ACME, False)
    assert [claim.uid for claim in engine.step(9)] == [first]


def test_a_resumed_key_loses_no_place_and_bells_ring_where_it_is_waited_for(world: Make) -> None:
    w = limited(world)
    w.store.pause(*w.sender.next(), ACME, True)
    waiting = new(w, *4 * ['key:"acme"'])
    (elsewhere,) = new(w, 'key:"acme"', queue="high")
    engine = w.engine()
    assert engine.step(9) == ()
    while w.store.wait(("low", "high", "other"), 0.001):
        pass
    w.store.pause(*w.sender.next(), of_take(OTHER), False)
    assert not w.dump().bells
    late = new(w, 'key:"acme"')
    w.store.pause(*w.sender.next(), ACME, False)
    assert w.dump().bells >= {"low", "high"}
    assert [claim.uid for claim in engine.step(9)] == [elsewhere, *waiting, *late]


@pytest.mark.direct  # where an answer is lost, so is what it tells of bells: a hint
def test_a_pause_of_a_key_ends_with_the_first_step_after_its_time_whoever_makes_it(
    world: Make,
) -> None:
    w = limited(world)
    w.store.pause(*w.sender.next(), ACME, True, Pausing(b"{}", 5 * SECOND))
    (uid,) = new(w, 'key:"acme"')
    engine, another = w.engine("low"), w.engine("high")
    w.clock.ms += 5 * SECOND - 1
    assert engine.step(1) == ()
    while w.store.wait(("low", "high"), 0.001):
        pass
    w.clock.ms += 1
    assert another.step(1) == ()
    assert (w.dump().paused, w.dump().bells) == (frozenset(), {"low"}), "who waits there is told of"
    assert [claim.uid for claim in engine.step(1)] == [uid]


def test_what_a_paused_key_runs_runs_on_and_nobody_is_called_to_it_when_that_ends(
    world: Make,
) -> None:
    w = limited(world, concurrency=1)
    running, waiting = new(w, *2 * ['key:"acme"'])
    engine = w.engine()
    engine.step(9)
    w.store.pause(*w.sender.next(), ACME, True)
    assert not engine.ask(9, Ack(running, 1, b"{}")).claims
    assert (w.dump().slots, w.dump().open) == ({}, frozenset())
    w.store.pause(*w.sender.next(), ACME, False)
    assert [claim.uid for claim in engine.step(9)] == [waiting]


def test_a_suspect_of_a_paused_key_stays_one(world: Make) -> None:
    w = limited(world)
    new(w, 'key:"acme"')
    lost = w.engine()
    lost.step(1)
    w.reap(lost)
    w.store.pause(*w.sender.next(), ACME, True, Pausing(b"{}", SECOND))
    engine = w.engine()
    assert engine.step(1) == ()
    while w.store.wait(("low", "high"), 0.001):
        pass
    w.clock.ms += SECOND
    assert engine.step(0) == ()
    assert w.dump().bells == {"low"}, "it may start now"
    (claim,) = engine.step(1)
    assert claim.suspect


@pytest.mark.parametrize("paused", [True, False])
def test_the_clock_of_a_rate_is_left_alone_where_nobody_may_start_anyway(
    world: Make, paused: bool
) -> None:
    w = limited(world, interval_us=900 * SECOND, concurrency=1)
    new(w, 'key:"acme"')
    engine = w.engine()
    assert engine.step(1)
    before = w.dump().tats
    w.clock.ms -= SECOND
    if paused:
        w.store.pause(*w.sender.next(), ACME, True)
    new(w, 'key:"acme"')
    assert engine.step(1) == ()
    assert w.dump().tats == before
