"""Both stores: what a settlement leaves, and that each claim has one."""

from __future__ import annotations

import json

import attrs

from tests.store.drive import line
from tests.store.world import SECOND, Make, World, retry
from tests.support import new_job
from trioq.core.calls import Gone
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt

# -- settlements -------------------------------------------------------------------------------


def test_a_job_that_succeeded_leaves_its_summary_and_nothing_else(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(payload=b"{" + b" " * 9000 + b"}")
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1, 0))
    engine.step(1)
    engine.step(0, Ack(uid, 3, b"{}"))
    left = w.dump()
    assert left.kept == ((1, (b"{}",)),)
    assert (left.jobs, left.big, left.history, left.running) == ({}, {}, {}, {})
    assert (left.stats["done"], left.stats["retried"]) == (1, 1)


def test_the_newest_summaries_are_kept(world: Make) -> None:
    w = world(keep_done=3)
    queued = w.new(*["low"] * 6)
    engine = w.engine()
    engine.step(6)
    acks = [Ack(uid, 1, b"%d" % i) for i, uid in enumerate(queued)]
    engine.step(0, *acks[:2])
    engine.step(0, acks[2])
    engine.step(0, *acks[3:5])
    # Of the first two, none is among the last three.
    assert w.dump().kept == ((5, (b"4", b"3")), (3, (b"2",)))
    engine.step(0, acks[5])
    assert w.dump().kept == ((6, (b"5",)), (5, (b"4", b"3")))
    assert w.dump().stats["done"] == 6


def test_where_many_summaries_are_kept_every_32nd_job_makes_room(world: Make) -> None:
    w = world(keep_done=512)
    queued = w.new(*["low"] * 544)
    engine = w.engine()
    engine.step(544)
    acks = [Ack(uid, 1, b"%d" % i) for i, uid in enumerate(queued)]

    def kept(*acks: Ack) -> list[int]:
        engine.step(0, *acks)
        return [by_then for by_then, _ in w.dump().kept]

    assert kept(*acks[:1]) == [1]
    assert kept(*acks[1:31]) == [31, 1]
    assert kept(*acks[31:542]) == [542, 31], "511 are newer than the second"
    assert kept(acks[542]) == [543, 542, 31]
    assert kept(acks[543]) == [544, 543, 542]


def test_a_summary_of_a_refused_settlement_is_not_kept(world: Make) -> None:
    w = world()
    queued = w.new(*["low"] * 3)
    engine = w.engine()
    engine.step(3)
    first, second, third = (Ack(uid, 1, uid.encode()) for uid in queued)
    reply = engine.ask(0, first, attrs.evolve(second, step=7), attrs.evolve(third, summary=b""))
    assert reply.refused == {second.uid}
    assert w.dump().kept == ((2, (first.summary,)),)


def test_where_no_summaries_are_kept_there_are_none(world: Make) -> None:
    w = world(keep_done=0)
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Ack(uid, 1, b"{}"))
    assert w.dump().kept == ()


def test_a_retry_counts_the_attempt_and_waits_its_delay(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1))
    assert engine.step(1) == ()
    w.clock.ms += SECOND
    claim = engine.claim()
    assert (claim.uid, claim.attempts) == (uid, 1)
    assert w.dump().history[uid] == line("no")


def test_a_snooze_counts_nothing_and_tells_nothing(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, RetryAt(uid, 1, 0, attempts=0))
    assert engine.claim().attempts == 0
    assert w.dump().history == {}


def test_a_dead_job_keeps_its_record_its_reason_and_its_errors(world: Make) -> None:
    w = world()
    job = new_job(payload=b'{"a": 1}')
    w.sender.enqueue(job)
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1, 0, line("first")))
    engine.step(1)
    engine.step(0, DeadLetter(job.uid, 3, 2, "failures", line("second", 2)))
    left = w.dump()
    assert left.dead == {job.uid: w.clock.ms}
    assert left.reasons == {job.uid: "failures"}
    assert left.jobs == {job.uid: job.stored}
    assert left.attempts == {job.uid: 2}
    assert left.history == {job.uid: line("first") + b"\n" + line("second", 2)}
    assert w.store.history(job.uid) == left.history[job.uid]
    w.clock.ms += 10**9
    assert engine.step(9) == ()


def test_a_long_history_keeps_its_beginning_and_its_end(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    for attempt in range(1, 41):
        engine.step(1)
        engine.step(0, RetryAt(uid, engine.n, 0, attempt, line("no", attempt)))
        lines = [json.loads(text) for text in w.dump().history[uid].split(b"\n")]
        if attempt <= 25:
            assert [each["attempt"] for each in lines] == list(range(1, attempt + 1))
        else:
            assert lines[5] == {"omitted": attempt - 25}
            kept = [each["attempt"] for each in lines if "attempt" in each]
            assert kept == [1, 2, 3, 4, 5, *range(attempt - 19, attempt + 1)]


def test_a_big_payload_waits_to_be_asked_for(world: Make) -> None:
    w = world()
    payload = b"{" + b" " * 100_000 + b"}"
    uid = w.sender.enqueue_new(payload=payload)
    assert len(w.engine().claim().stored) < 1000
    assert w.store.payload(uid) == payload
    assert w.store.payload("nobody") is None
    assert w.store.history("nobody") is None


def test_big_payloads_are_asked_for_together_as_far_as_they_have_no_more_bytes(world: Make) -> None:
    w = world()
    payloads = [b'{"%d":"%s"}' % (n, b"x" * 100_000) for n in range(3)]
    uids = [w.sender.enqueue_new(payload=payload) for payload in payloads]
    size = sum(map(len, payloads))
    first, second, third = uids
    found = w.store.payloads([third, "nobody", first, second], size)
    assert list(found) == [payloads[2], None, payloads[0], payloads[1]]
    assert list(w.store.payloads(uids, size - 80_000)) == [None, None, None]
    assert list(w.store.payloads([second], len(payloads[1]))) == [payloads[1]]


# -- fencing -----------------------------------------------------------------------------------


def every_way(uid: str, n: int) -> list[Ack | RetryAt | DeadLetter | Release | Park]:
    return [
        Ack(uid, n, b"{}"),
        RetryAt(uid, n, 0, 1, line("no")),
        DeadLetter(uid, n, 1, "failures", line("no")),
        Release(uid, n),
        Park(uid, n, "low", "noop"),
    ]


def test_a_claim_is_settled_once(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Ack(uid, 1))
    before = w.dump()
    for late in every_way(uid, 1):
        assert engine.ask(0, late).refused == {uid}
    assert unchanged_but_for_steps(w, before)


def test_a_claim_is_settled_once_within_a_step_too(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    reply = engine.ask(0, Release(uid, 1), Ack(uid, 1))
    assert (reply.refused, reply.held) == ({uid}, 0)
    assert w.dump().stats["done"] == 1


def test_another_engines_claim_is_not_ours_to_settle(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    w.engine().step(1)
    other = w.engine()
    other.step(0)
    before = w.dump()
    for settlement in every_way(uid, 1):
        assert other.ask(0, settlement).refused == {uid}
    assert unchanged_but_for_steps(w, before)


def test_a_claim_that_was_given_back_is_over_also_if_the_same_engine_has_the_job(
    world: Make,
) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Release(uid, 1))
    engine.step(1)
    before = w.dump()
    for late in every_way(uid, 1):
        assert engine.ask(0, late).refused == {uid}
    assert unchanged_but_for_steps(w, before)
    assert not engine.ask(0, Ack(uid, 3)).refused


def test_a_zombies_settlements_change_nothing(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    zombie = w.engine()
    zombie.step(1)
    w.reap(zombie)
    w.engine().step(1)
    before = w.dump()
    for late in every_way(uid, 1):
        assert w.store.step(zombie.make(1, late)) == Gone()
    assert w.store.beat(zombie.engine) == Gone()
    assert w.dump() == before


def unchanged_but_for_steps(w: World, before: object) -> bool:
    """Whether engines made steps since then, and nothing else happened."""
    after = w.dump()
    return attrs.evolve(before, steps={}, beats={}) == attrs.evolve(after, steps={}, beats={})  # type: ignore[misc]
