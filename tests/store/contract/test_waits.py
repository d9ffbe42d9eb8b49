"""Both stores: how a job ended is kept for as long as was wanted, and who waits is told."""

from __future__ import annotations

import pytest

from tests.store.drive import Driver
from tests.store.world import SECOND, Make, World, bury, died
from tests.support import cancelled_by, new_job
from trioq.core.calls import WAIT_BYTES, WAIT_MAX, End
from trioq.core.settlements import Ack, DeadLetter, Deliver, Park, Release
from trioq.errors import TrioqBug

LIVE, UNKNOWN = End("live"), End("unknown")


def ends(w: World, *uids: str, client: str = "c1", id: str | None = None) -> list[End]:
    return w.store.wait_for(client, [(uid, id) for uid in uids])


def deliver(w: World, value: bytes = b"5", keep_ms: int = SECOND) -> str:
    """Run a job whose result is kept; its uid."""
    uid = w.sender.enqueue_new()
    engine = w.engine()
    engine.claim()
    engine.step(0, Deliver(uid, 1, keep_ms, "done", value, b"{}"))
    return uid


def run(engine: Driver, uid: str) -> None:
    assert engine.claim().uid == uid
    engine.step(0, Ack(uid, engine.n))


# -- results -----------------------------------------------------------------------------------


def test_a_result_is_there_for_its_time_and_not_longer(world: Make) -> None:
    w = world()
    uid = deliver(w)
    assert ends(w, uid) == [End("done", b"5")]
    w.clock.ms += SECOND - 1
    assert ends(w, uid) == [End("done", b"5")]
    w.clock.ms += 1
    assert ends(w, uid) == [End("expired")]


def test_a_job_that_is_delivered_is_done_like_any_other(world: Make) -> None:
    w = world()
    deliver(w)
    left = w.dump()
    assert (left.jobs, left.running, left.done, left.stats["done"]) == ({}, {}, (b"{}",), 1)


def test_a_beat_forgets_what_is_over(world: Make) -> None:
    w = world()
    uid, other = deliver(w), deliver(w, keep_ms=2 * SECOND)
    w.clock.ms += SECOND
    w.store.beat(w.engine().engine)
    assert w.dump().results.keys() == w.dump().results_due.keys() == {other}
    assert ends(w, uid) == [UNKNOWN]


def test_who_delivers_forgets_more_than_comes(world: Make) -> None:
    w = world()
    engine = w.engine()
    uids = w.new(*["low"] * 300)
    engine.step(300)
    engine.step(0, *(Deliver(uid, 1, SECOND, "done", b"1") for uid in uids))
    w.clock.ms += SECOND
    more = w.new("low", "low")
    engine.step(2)
    engine.step(0, *(Deliver(uid, 3, SECOND, "done", b"1") for uid in more))
    assert len(w.dump().results) == 300 - 104 + 2


@pytest.mark.parametrize("word", ["too_large", "unfit"])
def test_why_there_is_no_result_is_kept_like_one(world: Make, word: str) -> None:
    w = world()
    uid = w.sender.enqueue_new()
    engine = w.engine()
    engine.claim()
    engine.step(0, Deliver(uid, 1, SECOND, word, b"why"))  # type: ignore[arg-type]
    assert ends(w, uid) == [End(word, b"why")]  # type: ignore[arg-type]


def test_a_claim_that_is_lost_delivers_nothing(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine, other = w.engine(), w.engine()
    engine.claim()
    engine.step(0, Release(uid, 1))
    other.claim()
    reply = engine.ask(0, Deliver(uid, 1, SECOND, "done", b"5"))
    assert reply.refused == {uid}
    assert ends(w, uid) == [LIVE]


# -- who waits ---------------------------------------------------------------------------------


def test_who_waits_is_noted_until_the_job_ends(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    assert ends(w, uid) == ends(w, uid) == [LIVE]
    assert ends(w, uid, client="c2") == [LIVE]
    assert w.dump().waits == {uid: "c1 c2"}
    run(w.engine(), uid)
    assert w.dump().waits == {}


def test_an_end_that_somebody_waited_for_is_kept_for_a_minute(world: Make) -> None:
    """For who didn't hear of it."""
    w = world()
    waited, other = w.new("low", "low")
    ends(w, waited)
    engine = w.engine()
    run(engine, waited)
    run(engine, other)
    w.clock.ms += 60 * SECOND - 1
    assert ends(w, waited, other) == [End("done"), UNKNOWN]
    w.clock.ms += 1
    assert ends(w, waited) == [End("expired")]


def test_a_result_outlives_that_minute(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    ends(w, uid)
    engine = w.engine()
    engine.claim()
    engine.step(0, Deliver(uid, 1, 90 * SECOND, "done", b"5"))
    w.clock.ms += 89 * SECOND
    assert ends(w, uid) == [End("done", b"5")]


def test_nobody_is_noted_for_what_is_over(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    done = deliver(w)
    assert ends(w, dead, done, "0" * 32) == [End("dead"), End("done", b"5"), UNKNOWN]
    assert w.dump().waits == {}


def test_whatever_ends_a_job_ends_the_waits_for_it(world: Make) -> None:
    w = world()
    (suspect,) = died(w, "low")
    ends(w, suspect)
    engine = w.engine()
    engine.claim()
    w.reap(engine, max_reaps=2)  # it was reaped once before: dead
    assert ends(w, suspect) == [End("dead")]

    purged, cancelled, failed = w.new("high", "low", "low")
    assert ends(w, purged, cancelled, failed) == [LIVE] * 3
    w.store.purge(*w.sender.next(), "high", [], 10)
    cancelled_by(w.store, *w.sender.next(), cancelled, "low", "noop")
    engine = w.engine()
    engine.step(2)
    engine.step(0, DeadLetter(failed, engine.n, 1, "failures", b"{}"))
    assert w.dump().waits == {}
    assert ends(w, purged, cancelled, failed) == [End("cancelled")] * 2 + [End("dead")]


def test_parked_jobs_that_expire_are_told_of(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(name="strange")
    engine = w.engine()
    engine.claim()
    engine.step(0, Park(uid, 1, "low", "strange"))
    ends(w, uid)
    w.clock.ms += 2 * SECOND
    assert w.store.expire_parked("low", "strange", SECOND, b"{}") == 1
    assert w.dump().waits == {}


def test_a_revived_job_can_be_waited_for_again(world: Make) -> None:
    w = world()
    (uid,) = bury(w, new_job())
    assert ends(w, uid) == [End("dead")]
    w.store.revive(*w.sender.next(), [(uid, "low")])
    assert ends(w, uid) == [LIVE]
    assert w.dump().waits == {uid: "c1"}


def test_how_a_job_with_an_id_ended_is_known_for_as_long_as_its_id(world: Make) -> None:
    w = world(id_retention_ms=SECOND)
    uid = w.sender.enqueue_new(id="mine")
    run(w.engine(), uid)
    assert ends(w, uid, id="mine") == [End("done")]
    assert ends(w, uid) == ends(w, "0" * 32, id="mine") == [UNKNOWN]
    w.clock.ms += SECOND
    assert ends(w, uid, id="mine") == [UNKNOWN]


def test_when_a_result_has_expired_its_id_still_says_how_its_job_ended(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(id="mine")
    engine = w.engine()
    engine.claim()
    engine.step(0, Deliver(uid, 1, SECOND, "done", b"5", b"{}"))
    w.clock.ms += SECOND
    assert ends(w, uid, id="mine") == [End("done")]
    assert ends(w, uid) == [End("expired")]


def test_values_are_told_up_to_a_bound_and_the_rest_is_asked_for_again(world: Make) -> None:
    w = world()
    uids = [deliver(w, b"x" * (WAIT_BYTES // 2)) for _ in range(4)]
    told = ends(w, *uids)
    assert [end.state for end in told] == ["done", "done", "later", "later"]
    assert [end.state for end in ends(w, *uids[2:])] == ["done", "done"]


def test_very_many_clients_for_one_job_look_for_themselves(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    for i in range(50):
        assert ends(w, uid, client=f"{i:0100}") == [LIVE]
    assert len(w.dump().waits[uid]) <= 4096


def test_so_many_and_no_more_are_asked_for_at_once(world: Make) -> None:
    w = world()
    assert len(ends(w, *map(str, range(WAIT_MAX)))) == WAIT_MAX
    with pytest.raises(TrioqBug):
        ends(w, *map(str, range(WAIT_MAX + 1)))
