"""What engines measure: true numbers, and one engine's turn to count at a time."""

from __future__ import annotations

import time

from tests.store.drive import Driver, Sender
from tests.support import Server, cancelled_by, job_wanted_since, wait_until
from trioq.core.calls import NewJob, Rate
from trioq.core.formats.record import encode
from trioq.core.formats.snapshot import Snapshot
from trioq.core.job import Record, new_uid
from trioq.store.inspect import Glance, glance, sample, snapshots, tell, watch
from trioq.store.inspect.snapshot import KEPT_MS
from trioq.store.redis import RedisStore


def look(store: RedisStore, who: str, had_turn: bool = False, turn_ms: int = 60_000) -> Glance:
    return glance(store, who, had_turn=had_turn, turn_ms=turn_ms, queues=["high", "low"], rate=None)


# -- whose turn it is --------------------------------------------------------------------------


def test_one_engine_has_the_turn_until_it_stops_renewing(store: RedisStore, server: Server) -> None:
    assert look(store, "a").has_turn
    assert not look(store, "b").has_turn
    assert look(store, "a", had_turn=True).has_turn
    assert not look(store, "b").has_turn
    assert look(store, "a", had_turn=True, turn_ms=60).has_turn
    assert wait_until(lambda: look(store, "b").has_turn)
    assert not look(store, "a", had_turn=True).has_turn


def test_looking_on_does_not_prolong_the_turn_of_another(store: RedisStore) -> None:
    look(store, "a", turn_ms=1000)
    for _ in range(3):
        look(store, "b", turn_ms=60_000)
    assert store.lane.call("PTTL", store.keys.fixed("sampler")) <= 1000


def test_a_turn_whose_grant_was_not_heard_is_renewed_before_it_counts(store: RedisStore) -> None:
    look(store, "a", turn_ms=1000)
    assert look(store, "a", had_turn=False, turn_ms=60_000).has_turn
    assert store.lane.call("PTTL", store.keys.fixed("sampler")) > 1000


def test_a_full_server_is_still_looked_at(store: RedisStore, own_server: Server) -> None:
    full = own_server.store()
    Sender(full).enqueue_new()
    assert look(full, "a").has_turn
    own_server.call("CONFIG", "SET", "maxmemory", "1")
    assert look(full, "a", had_turn=True).has_turn, "who has the turn keeps it"
    full.lane.call("DEL", full.keys.fixed("sampler"))
    seen = look(full, "b")
    assert (seen.has_turn, seen.ready) == (False, 1)
    watch(full)
    tell(full, "e.boot", Snapshot())
    assert snapshots(full, ["e.boot"]) == {}, "a screen goes without"
    full.lane.close()


def test_what_an_engine_tells_is_kept_for_as_long_as_it_is_true(store: RedisStore) -> None:
    for kept_ms, expected_ms in ((60_000, 60_000), (1, KEPT_MS)):
        tell(store, "e.boot", Snapshot(busy=3), kept_ms=kept_ms)
        left_ms = store.lane.call("PTTL", store.keys.of("shown", "e.boot"))
        assert expected_ms / 2 < left_ms <= expected_ms
    assert snapshots(store, ["e.boot"]) == {"e.boot": Snapshot(busy=3)}


# -- what is seen ------------------------------------------------------------------------------


def test_ready_is_what_an_engine_could_claim(store: RedisStore) -> None:
    sender = Sender(store)
    for _ in range(3):
        sender.enqueue_new("low")
    gone = sender.enqueue_new("low")
    sender.enqueue_new("high")
    sender.enqueue_new("low", delay_ms=60_000)
    cancelled_by(store, *sender.next(), gone, "low", "noop")
    assert look(store, "a").ready == 4
    store.pause(*sender.next(), "low", True)
    seen = look(store, "a")
    assert (seen.ready, seen.paused) == (1, {"low"})


def test_the_permits_in_use_are_those_of_the_last_burst(store: RedisStore) -> None:
    rate = Rate("producer", 3_600_000_000, 20)  # one an hour, so that none comes back meanwhile

    def used() -> float | None:
        return glance(
            store, "a", had_turn=False, turn_ms=1000, queues=[], rate=rate
        ).permits_used  # fmt: skip

    sender = Sender(store)
    assert used() == 0.0
    for taken in range(1, 4):
        number = sender.next()
        store.enqueue(*number, [job_wanted_since(0)], rate=rate)
        assert used() is not None
        assert round(used() or 0, 2) == taken


def test_the_clock_offset_is_the_servers_less_ours(store: RedisStore) -> None:
    seen = look(store, "a")
    assert abs(seen.clock_offset_s) <= seen.took_s / 2 + 0.001, "it is the same machine"
    assert 0 < seen.took_s < 5


def test_the_oldest_is_the_next_to_be_claimed(store: RedisStore) -> None:
    sender = Sender(store)
    sender.enqueue(job_wanted_since(90_000), job_wanted_since(500_000), job_wanted_since(0, "high"))
    ages = sample(store, ["high", "low", "empty"]).oldest_ready_ms
    assert set(ages) == {"high", "low"}
    assert 90_000 <= ages["low"] < 120_000
    assert 0 <= ages["high"] < 30_000


def test_a_suspect_comes_before_what_is_ready(store: RedisStore) -> None:
    sender = Sender(store)
    sender.enqueue(job_wanted_since(700_000))
    dying = Driver(store)
    dying.claim()
    sender.enqueue(job_wanted_since(0))
    store.reap(dying.engine, store.observe()[dying.engine], 9)
    assert 700_000 <= sample(store, ["low"]).oldest_ready_ms["low"] < 730_000


def test_a_delayed_job_is_as_old_as_its_being_due(store: RedisStore) -> None:
    now_ms = time.time_ns() // 1_000_000
    record = Record(
        new_uid(), "noop", "low", b"{}", enqueued_ms=now_ms - 10**9, due_ms=now_ms - 5000
    )
    stored, big = encode(record)
    Sender(store).enqueue(NewJob(record.uid, "low", stored, big))
    assert 5000 <= sample(store, ["low"]).oldest_ready_ms["low"] < 35_000


def test_cancelled_jobs_at_the_head_are_passed_over(store: RedisStore) -> None:
    sender = Sender(store)
    jobs = [job_wanted_since(900_000), job_wanted_since(800_000), job_wanted_since(70_000)]
    sender.enqueue(*jobs)
    for job in jobs[:2]:
        cancelled_by(store, *sender.next(), job.uid, "low", "noop")
    assert 70_000 <= sample(store, ["low"]).oldest_ready_ms["low"] < 100_000


def test_a_head_of_nothing_but_unreadable_jobs_has_no_age(store: RedisStore) -> None:
    uid = new_uid()
    Sender(store).enqueue(NewJob(uid, "low", b"not a record"))
    counted = sample(store, ["low"])
    assert counted.oldest_ready_ms == {}
    assert counted.stats.queues["low"].ready == 1
