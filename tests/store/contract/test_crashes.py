"""Both stores: an engine that died leaves suspects, and only they are blamed."""

from __future__ import annotations

import pytest

from tests.store.world import Make, died, retry, uids
from tests.support import new_job
from trioq.core.calls import BATCH_MAX, CANCEL_MAX, HOLD_MAX, Unwanted
from trioq.core.settlements import Ack, Release


def test_who_has_beaten_since_is_not_reaped(world: Make) -> None:
    w = world()
    w.new("low")
    engine = w.engine()
    engine.step(1)
    seen = w.store.observe()[engine.engine]
    w.store.beat(engine.engine)
    before = w.dump()
    assert w.store.reap(engine.engine, seen, 3).word == "alive"
    assert w.dump() == before


def test_a_dead_engines_jobs_become_suspects_at_the_head_in_order(world: Make) -> None:
    w = world()
    first, second = w.engine(), w.engine()
    older = w.new("low", "low")
    first.step(2)
    newer = w.new("low", "high", "low")
    second.step(1)
    second.step(2)
    w.reap(first)
    w.reap(second)
    assert w.queue("low").suspects == (newer[0], newer[2], *older)
    assert w.queue("high").suspects == (newer[1],)
    left = w.dump()
    assert (left.running, left.steps, left.beats, left.engines) == ({}, {}, {}, {})
    assert left.reaps == {}, "nobody is blamed who had company"


def test_whom_a_reaper_has_reaped_is_gone_for_the_next(world: Make) -> None:
    w = world()
    engine = w.engine()
    w.store.sign_off(engine.engine)
    assert w.store.reap(engine.engine, 0, 3).word == "gone"


def test_suspects_come_first_and_one_at_a_time(world: Make) -> None:
    w = world()
    first, second = died(w, "low", "low")
    (ready,) = w.new("low")
    engine = w.engine()
    claims = engine.ask(5).claims
    assert [(claim.uid, claim.suspect) for claim in claims] == [(first, True), (ready, False)]
    assert engine.ask(5, suspect=False).claims == ()
    other = w.engine().ask(5).claims
    assert [(claim.uid, claim.suspect) for claim in other] == [(second, True)]


def test_one_suspect_even_where_several_queues_have_some(world: Make) -> None:
    w = world()
    high, low = died(w, "high", "low")
    assert uids(w.engine().ask(5).claims) == [high]
    assert w.queue("low").suspects == (low,)


def test_a_step_that_settles_its_suspect_may_take_the_next(world: Make) -> None:
    w = world()
    first, second = died(w, "low", "low")
    engine = w.engine()
    engine.step(1)
    assert uids(engine.step(1, Ack(first, 1))) == [second]


def test_a_suspect_that_is_given_back_is_one_still(world: Make) -> None:
    w = world()
    first, second = died(w, "low", "low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Release(first, 1))
    assert w.queue("low").suspects == (first, second)
    engine.step(1)
    w.store.sign_off(engine.engine)
    assert w.queue("low").suspects == (first, second)


def test_only_the_suspect_is_blamed_and_its_neighbours_live(world: Make) -> None:
    w = world()
    killer, *_ = died(w, "low", "low", "low")
    w.new("low", "low")
    for crash in (1, 2):
        engine = w.engine()
        assert uids(engine.step(5))[0] == killer
        w.reap(engine, max_reaps=3)
        assert w.dump().reaps == {killer: crash}
        w.new("low")
    engine = w.engine()
    engine.step(5)
    assert w.reap(engine, max_reaps=3).dead == (killer,)
    left = w.dump()
    assert left.reasons == {killer: "worker_lost"}
    assert b"worker_lost" in left.history[killer]
    assert len(left.jobs) == 7, "nobody else died, and the dead one's record is kept"


def test_who_runs_alone_when_its_engine_dies_is_blamed_at_once(world: Make) -> None:
    w = world()
    (uid,) = died(w, "low")
    assert w.dump().reaps == {uid: 1}
    engine = w.engine()
    engine.step(1)
    assert w.reap(engine, max_reaps=2).dead == (uid,)


def test_attempts_and_reaps_are_counted_apart(world: Make) -> None:
    w = world()
    (uid,) = died(w, "low")
    engine = w.engine()
    claim = engine.claim()
    assert claim.attempts == 0, "a crash is no attempt"
    engine.step(0, retry(claim, 1, 0))
    left = w.dump()
    assert (left.attempts, left.reaps) == ({uid: 1}, {uid: 1})


@pytest.mark.parametrize("how", ["reaped", "signed off"])
def test_who_holds_as_much_as_an_engine_may_leaves_nothing_behind(world: Make, how: str) -> None:
    w = world()
    engine = w.engine()
    made: list[str] = []
    for _ in range(0, HOLD_MAX, BATCH_MAX):
        made += w.sender.enqueue(
            *(new_job("low", id=f"id{i}") for i in range(len(made), len(made) + BATCH_MAX))
        )
        assert len(engine.step(BATCH_MAX)) == BATCH_MAX
    unwanted = [Unwanted(uid, "low", "noop", b"{}") for uid in made[HOLD_MAX // 2 :]]
    for i in range(0, len(unwanted), CANCEL_MAX):
        w.store.cancel(*w.sender.next(), unwanted[i : i + CANCEL_MAX])
    if how == "reaped":
        w.reap(engine)
        assert w.queue("low").suspects == tuple(made[: HOLD_MAX // 2])
    else:
        w.store.sign_off(engine.engine)
        assert w.queue("low").ready == tuple(made[: HOLD_MAX // 2])
    assert w.dump().jobs.keys() == set(made[: HOLD_MAX // 2])
