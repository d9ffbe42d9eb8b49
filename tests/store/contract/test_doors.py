"""Both stores: jobs that no engine may run now wait behind doors, in their order."""

from __future__ import annotations

import pytest

from tests.store.drive import line
from tests.store.world import SECOND, Make, World, uids
from tests.support import new_job
from trioq.core.calls import Admit
from trioq.core.settlements import Park


def parked(w: World, *names: str) -> list[str]:
    """Let an engine that knows none of these names park a job of each."""
    jobs = [new_job("low", name) for name in names]
    w.sender.enqueue(*jobs)
    engine = w.engine("low")
    claims = engine.step(len(jobs))
    parks = (Park(c.uid, 1, "low", name) for c, name in zip(claims, names, strict=True))
    engine.step(0, *parks)
    return [job.uid for job in jobs]


def test_a_parked_job_waits_for_an_engine_that_admits_its_name(world: Make) -> None:
    w = world()
    first, second, other = parked(w, "odd", "odd", "rare")
    (ready,) = w.new("low")
    engine = w.engine("low")
    assert uids(engine.step(1)) == [ready]
    assert engine.step(5) == (), "its door is closed"
    admits = (Admit("low", "odd", 5),)
    assert uids(engine.step(5, admits=admits)) == [first, second]
    assert w.dump().parked == {("low", "rare"): (other,)}
    assert w.dump().attempts == {}, "to wait at a door is no attempt"


def test_admitted_jobs_come_before_ready_ones_and_no_more_than_the_limit(world: Make) -> None:
    w = world()
    first, second, third = parked(w, "odd", "odd", "odd")
    (ready,) = w.new("low")
    engine = w.engine("low")
    assert uids(engine.step(5, admits=(Admit("low", "odd", 1),))) == [first, ready]
    assert uids(engine.step(1, admits=(Admit("low", "odd", 5),))) == [second]
    assert w.dump().parked == {("low", "odd"): (third,)}


def test_a_job_that_is_parked_again_goes_behind_those_that_wait(world: Make) -> None:
    w = world()
    first, second = parked(w, "odd", "odd")
    engine = w.engine("low")
    engine.step(1, admits=(Admit("low", "odd", 1),))
    engine.step(0, Park(first, 1, "low", "odd"))
    assert w.dump().parked == {("low", "odd"): (second, first)}


def test_a_step_may_park_jobs_and_open_their_door(world: Make) -> None:
    w = world()
    first, second = parked(w, "odd", "odd")
    engine = w.engine("low")
    admits = (Admit("low", "odd", 5),)
    engine.step(1, admits=(Admit("low", "odd", 1),))
    claims = engine.step(5, Park(first, 1, "low", "odd"), admits=admits)
    assert uids(claims) == [second, first]
    assert (w.dump().parked, w.dump().doors) == ({}, {})


def test_engines_are_told_of_doors_when_they_do_not_know(world: Make) -> None:
    w = world()
    engine = w.engine("low")
    reply = engine.ask(0)
    assert reply.parked == ()
    assert engine.ask(0, parked_version=reply.parked_version).parked is None
    parked(w, "odd", "rare")
    news = engine.ask(0, parked_version=reply.parked_version)
    assert news.parked == (("low", "odd"), ("low", "rare"))
    assert engine.ask(0, parked_version=news.parked_version).parked is None
    gone = engine.ask(1, parked_version=news.parked_version, admits=(Admit("low", "odd", 1),))
    assert gone.parked == (("low", "rare"),)


def test_an_unknown_name_is_dead_after_once_to_twice_the_time(world: Make) -> None:
    w = world()
    first, second = parked(w, "odd", "odd")
    w.clock.ms += SECOND
    (third,) = parked(w, "odd")

    def expire() -> int:
        return w.store.expire_parked("low", "odd", 5 * SECOND, line("unknown"))

    w.clock.ms += 4 * SECOND - 1
    assert expire() == 0
    w.clock.ms += 1
    assert expire() == 2
    assert w.dump().dead.keys() == {first, second}
    w.clock.ms += 5 * SECOND - 1
    assert expire() == 0
    w.clock.ms += 1
    assert expire() == 1
    left = w.dump()
    assert left.reasons == dict.fromkeys([first, second, third], "unknown_name")
    assert left.history[third] == line("unknown")
    assert (left.parked, left.doors) == ({}, {})
    assert expire() == 0


def test_a_name_that_somebody_has_claimed_meanwhile_begins_to_wait_anew(world: Make) -> None:
    w = world()
    _, second = parked(w, "odd", "odd")
    w.clock.ms += 4 * SECOND
    w.engine("low").step(1, admits=(Admit("low", "odd", 1),))
    w.clock.ms += 4 * SECOND
    assert w.store.expire_parked("low", "odd", 5 * SECOND, line("unknown")) == 0
    assert w.dump().parked == {("low", "odd"): (second,)}
    # Nobody is noted as having waited since: the next look notes who is there.
    for later_ms, died in ((SECOND, 0), (5 * SECOND - 1, 0), (1, 1)):
        w.clock.ms += later_ms
        assert w.store.expire_parked("low", "odd", 5 * SECOND, line("unknown")) == died


@pytest.mark.direct  # executed twice, it takes two batches
def test_more_than_a_batch_expires_in_several_calls(world: Make) -> None:
    w = world()
    parked(w, *["odd"] * 300)
    w.clock.ms += SECOND
    w.store.expire_parked("low", "odd", SECOND, line("unknown"))
    assert len(w.dump().dead) < 300
    w.store.expire_parked("low", "odd", SECOND, line("unknown"))
    assert len(w.dump().dead) == 300
