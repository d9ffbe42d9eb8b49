"""What producers and operators are promised, by both stores."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable

import attrs
import pytest

from tests.dump import Waiting
from tests.store.drive import line
from tests.store.world import World, uids
from tests.support import new_job
from trioq.errors import QueueFull, TrioqBug
from trioq.store.memory import MemoryStore
from trioq.store.protocol import (
    Ack,
    Admit,
    ClientStore,
    DeadLetter,
    EngineStore,
    Enqueued,
    Existing,
    NewJob,
    Park,
    Rate,
    Release,
    RetryAt,
    Step,
)
from trioq.store.redis import RedisStore

Make = Callable[..., World]
SECOND = 1000


def bury(w: World, *jobs: NewJob, reason: str = "failures") -> list[str]:
    """Let these jobs die; their uids."""
    w.sender.enqueue(*jobs)
    engine = w.engine()
    claims = engine.step(len(jobs))
    engine.step(0, *(DeadLetter(c.uid, 1, 4, reason, line("no")) for c in claims))  # type: ignore[arg-type]
    return [job.uid for job in jobs]


@pytest.mark.parametrize("store", [RedisStore, MemoryStore])
@pytest.mark.parametrize("protocol", [EngineStore, ClientStore])
def test_each_store_has_the_whole_protocol(store: type, protocol: type) -> None:
    for name, method in inspect.getmembers(protocol, inspect.isfunction):
        if not name.startswith("_"):
            own = inspect.signature(getattr(store, name))
            assert own == inspect.signature(method), name


# -- enqueue -------------------------------------------------------------------------------------


def test_an_enqueue_executed_again_is_answered_as_it_was_and_queues_nothing(world: Make) -> None:
    w = world()
    w.sender.enqueue(new_job(id="taken"), new_job(seen=("a", "1:1")))
    jobs = [
        new_job(),
        new_job(id="taken"),
        new_job("high", id="mine", delay_ms=5),
        new_job(seen=("a", "1:1")),
        new_job(seen=("b", "1:1")),
        new_job(id="mine"),
    ]
    number = w.sender.next()
    first = w.store.enqueue(*number, jobs)
    before = w.dump()
    assert w.store.enqueue(*number, jobs) == first
    assert w.dump() == before
    assert (first.taken, first.existing.keys(), first.seen) == (6, {1, 5}, {3})


def test_the_repetition_says_new_also_where_the_job_has_ended_since(world: Make) -> None:
    w = world()
    job = new_job(id="x")
    number = w.sender.next()
    first = w.store.enqueue(*number, [job])
    engine = w.engine()
    engine.step(1)
    engine.step(0, Ack(job.uid, 1))
    assert w.store.enqueue(*number, [job]) == first == Enqueued(1, {}, frozenset())
    assert w.engine().step(1) == ()


def test_a_late_copy_of_an_older_write_changes_nothing(world: Make) -> None:
    w = world()
    old = w.sender.next()
    w.sender.enqueue(new_job())
    before = w.dump()
    with pytest.raises(TrioqBug, match="older"):
        w.store.enqueue(*old, [new_job()])
    with pytest.raises(TrioqBug, match="older"):
        w.store.pause(*old, "low", True)
    with pytest.raises(TrioqBug, match="older"):
        w.store.purge(*old, "low", [], 10)
    assert w.dump() == before


def test_numbers_are_compared_as_numbers(world: Make) -> None:
    w = world()
    w.sender.n = 8
    for _ in range(3):
        w.sender.enqueue_new()
    assert len(w.queue("low").ready) == 3


def test_senders_do_not_disturb_each_other(world: Make) -> None:
    w = world()
    job, other = new_job(), new_job()
    w.store.enqueue("a", 5, [job])
    w.store.enqueue("b", 1, [other])
    assert w.queue("low").ready == (job.uid, other.uid)


def test_nothing_is_a_batch_too(world: Make) -> None:
    w = world()
    assert w.store.enqueue(*w.sender.next(), []) == Enqueued(0, {}, frozenset())


def test_a_batch_for_several_queues_keeps_its_order_in_each(world: Make) -> None:
    w = world()
    jobs = [new_job(queue) for queue in ["low", "high", "low", "high"] * 300]
    w.sender.enqueue(*jobs)
    for queue in ("low", "high"):
        assert w.queue(queue).ready == tuple(job.uid for job in jobs if job.queue == queue)
    assert w.dump().used == {"low", "high"}
    assert w.dump().stats["enqueued"] == 1200


# -- a caller's id -------------------------------------------------------------------------------


def ask_for(w: World, id: str) -> Existing | None:
    """What has this id; None: nothing had, and now a new job has."""
    return w.store.enqueue(*w.sender.next(), [new_job(id=id)]).existing.get(0)


def test_an_id_is_answered_with_the_job_that_has_it_in_every_state(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(id="x", delay_ms=SECOND)
    assert ask_for(w, "x") == Existing(uid, "live"), "scheduled"
    w.clock.ms += SECOND
    engine = w.engine()
    engine.step(0)
    assert ask_for(w, "x") == Existing(uid, "live"), "ready"
    engine.step(1)
    assert ask_for(w, "x") == Existing(uid, "live"), "running"
    engine.step(0, DeadLetter(uid, 2, 1, "failures", line("no")))
    assert ask_for(w, "x") == Existing(uid, "dead")
    w.store.revive(*w.sender.next(), [(uid, "low")])
    assert ask_for(w, "x") == Existing(uid, "live"), "revived"
    engine.step(1)
    engine.step(0, Ack(uid, 4))
    assert ask_for(w, "x") == Existing(uid, "done")
    assert w.dump().jobs == {}


def test_an_id_of_a_job_that_was_cancelled_or_purged_is_remembered_too(world: Make) -> None:
    w = world()
    cancelled, purged = (w.sender.enqueue_new(id=id) for id in "cp")
    w.store.cancel(*w.sender.next(), cancelled, "low", "noop")
    w.store.purge(*w.sender.next(), "low", [], 10)
    (dead,) = bury(w, new_job(id="d"))
    w.store.purge_dead(*w.sender.next(), [dead])
    assert ask_for(w, "c") == Existing(cancelled, "cancelled")
    assert ask_for(w, "p") == Existing(purged, "cancelled")
    assert ask_for(w, "d") == Existing(dead, "dead")


def test_an_id_is_free_again_exactly_when_its_retention_is_over(world: Make) -> None:
    w = world(id_retention_ms=SECOND)
    uid = w.sender.enqueue_new(id="x")
    w.store.cancel(*w.sender.next(), uid, "low", "noop")
    w.clock.ms += SECOND - 1
    assert ask_for(w, "x") == Existing(uid, "cancelled")
    w.clock.ms += 1
    assert ask_for(w, "x") is None
    assert w.dump().ended == {}
    assert ask_for(w, "x") is not None


def test_an_id_is_kept_as_long_as_its_job_lives_or_lies_dead(world: Make) -> None:
    w = world(id_retention_ms=SECOND)
    live = w.sender.enqueue_new("elsewhere", id="live")
    (dead,) = bury(w, new_job(id="dead"))
    w.clock.ms += 10**9
    engine = w.engine()
    w.store.beat(engine.engine)
    assert ask_for(w, "live") == Existing(live, "live")
    assert ask_for(w, "dead") == Existing(dead, "dead")


def test_beats_forget_ids_whose_time_is_over(world: Make) -> None:
    w = world(id_retention_ms=SECOND)
    uid = w.sender.enqueue_new(id="x")
    w.store.cancel(*w.sender.next(), uid, "low", "noop")
    engine = w.engine()
    w.clock.ms += SECOND - 1
    w.store.beat(engine.engine)
    assert w.dump().ids == {"x": f"cancelled:{uid}"}
    w.clock.ms += 1
    w.store.beat(engine.engine)
    assert (w.dump().ids, w.dump().ended) == ({}, {})


def test_an_id_twice_in_one_batch_is_one_job(world: Make) -> None:
    w = world()
    first, second = new_job(id="x"), new_job(id="x")
    enqueued = w.store.enqueue(*w.sender.next(), [first, second])
    assert enqueued.existing == {1: Existing(first.uid, "live")}
    assert w.queue("low").ready == (first.uid,)


# -- max_length ----------------------------------------------------------------------------------


def test_a_full_queue_refuses_the_whole_batch_and_writes_nothing(world: Make) -> None:
    w = world(max_lengths={"low": 3})
    w.sender.enqueue(new_job(), new_job(delay_ms=SECOND))
    before = w.dump()
    with pytest.raises(QueueFull, match="room for 1 more"):
        w.sender.enqueue(new_job("high"), new_job(id="x"), new_job(seen=("a", "1:1")))
    assert attrs.evolve(w.dump(), senders=before.senders) == before
    w.sender.enqueue(new_job(), new_job("high"))
    with pytest.raises(QueueFull, match="room for 0 more"):
        w.sender.enqueue(new_job())


def test_a_request_that_was_told_full_never_queues_anything(world: Make) -> None:
    w = world(max_lengths={"low": 1})
    (uid,) = w.new("low")
    number, jobs = w.sender.next(), [new_job()]
    with pytest.raises(QueueFull):
        w.store.enqueue(*number, jobs)
    w.store.cancel("an operator", 1, uid, "low", "noop")
    with pytest.raises(QueueFull):
        w.store.enqueue(*number, jobs)
    assert w.dump().jobs == {}


def test_cancelled_and_running_jobs_take_no_room(world: Make) -> None:
    w = world(max_lengths={"low": 2})
    first, _ = w.new("low", "low")
    w.store.cancel(*w.sender.next(), first, "low", "noop")
    w.new("low")
    assert len(w.engine().step(9)) == 2
    w.new("low", "low")


def test_what_is_known_already_takes_no_room(world: Make) -> None:
    w = world(max_lengths={"low": 1})
    w.sender.enqueue(new_job(id="x"))
    assert ask_for(w, "x") is not None


# -- the limiter ---------------------------------------------------------------------------------

RATE = Rate("producer", interval_us=100_000, burst=5)


def limited(w: World, count: int, sender: str = "p") -> Enqueued:
    w.sender.n += 1
    return w.store.enqueue(sender, w.sender.n, [new_job() for _ in range(count)], rate=RATE)


@pytest.mark.direct  # a repeated answer has no time to wait: some of it has passed
def test_the_limit_lets_a_burst_pass_and_then_one_for_each_interval(world: Make) -> None:
    w = world()
    first = limited(w, 8)
    assert (first.taken, first.wait_us) == (5, 100_000)
    w.clock.ms += 99
    early = limited(w, 1)
    assert (early.taken, early.wait_us) == (0, 1_000)
    w.clock.ms += 1
    assert limited(w, 1).taken == 1
    w.clock.ms += 10 * SECOND
    assert limited(w, 50).taken == 5, "no more than a burst is saved up"
    assert len(w.dump().jobs) == 11


def test_producers_share_the_limit(world: Make) -> None:
    w = world()
    taken = [limited(w, 2, sender).taken for sender in "abc"]
    assert taken == [2, 2, 1]


def test_under_saturation_the_rate_comes_through_exactly(world: Make) -> None:
    w = world()
    total = limited(w, 100).taken
    for passed_ms in range(7, 2100, 7):
        w.clock.ms += 7
        total += limited(w, 3).taken
        assert total == 5 + passed_ms // 100


def test_what_is_known_already_costs_no_permit(world: Make) -> None:
    w = world()
    w.sender.enqueue(new_job(id="x"), new_job(seen=("a", "1:1")))
    known = [new_job(id="x"), new_job(seen=("a", "1:1"))] * 4
    enqueued = w.store.enqueue(
        *w.sender.next(), [*known, *(new_job() for _ in range(5))], rate=RATE
    )
    assert (enqueued.taken, enqueued.wait_us) == (13, 0)


def test_a_repeated_request_takes_no_second_permit(world: Make) -> None:
    w = world()
    number, jobs = w.sender.next(), [new_job()]
    for _ in range(10):
        assert w.store.enqueue(*number, jobs, rate=RATE).taken == 1
    assert limited(w, 9).taken == 4


# -- what the directory producer remembers -------------------------------------------------------


def test_a_file_is_queued_once_for_each_of_its_marks(world: Make) -> None:
    w = world()
    name = "weird \udcff\nname"
    for mark, new in (("1:1", True), ("1:1", False), ("1:2", True), ("1:1", True)):
        enqueued = w.store.enqueue(*w.sender.next(), [new_job(seen=(name, mark))])
        assert (0 not in enqueued.seen) == new
        assert w.store.seen(["nothing", name]) == [None, mark]
    assert len(w.dump().jobs) == 3
    assert w.store.seen([]) == []


# -- cancel --------------------------------------------------------------------------------------


def test_a_cancelled_job_does_not_run_wherever_it_waited(world: Make) -> None:
    w = world()
    suspect, other, waiting = w.new("low", "low", "low")
    dying = w.engine("low")
    dying.step(3)
    dying.step(0, Park(waiting, 1, "low", "noop"))
    w.reap(dying)
    scheduled = w.sender.enqueue_new(delay_ms=SECOND)
    (ready,) = w.new("low")
    for uid in (suspect, waiting, scheduled, ready):
        assert w.store.cancel(*w.sender.next(), uid, "low", "noop") == "cancelled"
        assert w.store.cancel(*w.sender.next(), uid, "low", "noop") == "unknown"
    w.clock.ms += SECOND
    engine = w.engine()
    admits = (Admit("low", "noop", 9),)
    assert uids(engine.step(9, admits=admits)) + uids(engine.step(9, admits=admits)) == [other]
    left = w.dump()
    assert left.stats["cancelled"] == 4
    assert (left.parked, left.doors, left.queues) == ({}, {}, {})


def test_what_runs_or_is_dead_is_not_cancelled(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    (running,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    before = w.dump()
    assert w.store.cancel(*w.sender.next(), running, "low", "noop") == "running"
    assert w.store.cancel(*w.sender.next(), dead, "low", "noop") == "dead"
    assert attrs.evolve(w.dump(), senders=before.senders) == before


def test_a_cancel_that_was_told_running_never_cancels_the_job_later(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    number = w.sender.next()
    assert w.store.cancel(*number, uid, "low", "noop") == "running"
    engine.step(0, Release(uid, 1))
    assert w.store.cancel(*number, uid, "low", "noop") == "running"
    assert w.queue("low").ready == (uid,)


def test_expiry_counts_right_after_one_of_the_first_was_cancelled(world: Make) -> None:
    w = world()
    queued = w.new("low", "low")
    engine = w.engine("low")
    engine.step(2)
    engine.step(0, *(Park(uid, 1, "low", "noop") for uid in queued))
    w.clock.ms += SECOND
    (late,) = w.new("low")
    engine.step(1)
    engine.step(0, Park(late, 3, "low", "noop"))
    w.store.cancel(*w.sender.next(), queued[0], "low", "noop")
    assert w.store.expire_parked("low", "noop", SECOND, line("unknown")) == 1
    assert w.dump().dead.keys() == {queued[1]}, "the late one has only begun to wait"


def test_a_door_is_forgotten_with_the_last_job_behind_it(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("low")
    engine.step(1)
    known = engine.ask(0, Park(uid, 1, "low", "noop")).parked_version
    w.store.cancel(*w.sender.next(), uid, "low", "noop")
    assert engine.ask(0, parked_version=known).parked == ()


# -- revive and purge ----------------------------------------------------------------------------


def test_a_revived_job_has_all_its_attempts_and_its_history(world: Make) -> None:
    w = world()
    first, second = bury(w, new_job(), new_job("high"))
    (ready,) = w.new("low")
    assert w.store.revive(*w.sender.next(), [(first, "low"), (second, "high")]) == 2
    left = w.dump()
    assert (left.dead, left.reasons, left.attempts) == ({}, {}, {})
    assert left.history.keys() == {first, second}
    assert w.store.wait(["high"], 0.001)
    claims = w.engine().step(9)
    assert uids(claims) == [second, ready, first]
    assert {claim.attempts for claim in claims} == {0}


def test_revival_forgives_the_crashes_too(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    assert w.reap(engine, max_reaps=1).dead == (uid,)
    w.store.revive(*w.sender.next(), [(uid, "low")])
    assert w.dump().reaps == {}


def test_only_the_dead_are_revived_or_forgotten_and_once(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    ready, running = w.new("low", "high")
    w.engine().step(1)
    everybody = [dead, ready, running, dead, "nobody"]
    assert w.store.revive(*w.sender.next(), [(uid, "low") for uid in everybody]) == 1
    assert w.queue("low").ready == (ready, dead)
    before = w.dump()
    assert w.store.purge_dead(*w.sender.next(), everybody) == 0
    assert attrs.evolve(w.dump(), senders=before.senders) == before


def test_a_late_copy_does_not_revive_who_died_again(world: Make) -> None:
    w = world()
    (uid,) = bury(w, new_job())
    number = w.sender.next()
    assert w.store.revive(*number, [(uid, "low")]) == 1
    engine = w.engine()
    engine.step(1)
    engine.step(0, DeadLetter(uid, 1, 1, "gave_up", line("no")))
    assert w.store.revive(*number, [(uid, "low")]) == 1, "answered as it was"
    assert w.dump().dead.keys() == {uid}


def test_a_forgotten_dead_job_leaves_nothing(world: Make) -> None:
    w = world()
    gone, kept = bury(w, new_job(payload=b"{" + b" " * 9000 + b"}"), new_job())
    assert w.store.purge_dead(*w.sender.next(), [gone]) == 1
    left = w.dump()
    assert left.jobs.keys() == left.dead.keys() == left.reasons.keys() == {kept}
    assert left.big == {}


def test_purge_forgets_what_waits_a_page_at_a_time_and_leaves_the_rest(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    running, suspect, waiting = w.new("low", "low", "low")
    engine, dying = w.engine("low"), w.engine("low")
    engine.step(1)
    dying.step(2)
    dying.step(0, Park(waiting, 1, "low", "noop"))
    w.reap(dying)
    ready, cancelled, last = w.new("low", "low", "low")
    w.store.cancel(*w.sender.next(), cancelled, "low", "noop")
    w.sender.enqueue_new(delay_ms=SECOND)
    (elsewhere,) = w.new("high")
    known = engine.ask(0).parked_version

    def purge(limit: int) -> int:
        return w.store.purge(*w.sender.next(), "low", ["noop"], limit)

    assert purge(2) == 2
    assert w.dump().jobs.keys().isdisjoint({suspect, ready})
    assert purge(2) == 1, "the other was cancelled already"
    assert purge(9) == 2
    assert purge(9) == 0
    left = w.dump()
    assert left.jobs.keys() == {dead, running, elsewhere}
    assert left.queues == {"high": Waiting(ready=(elsewhere,))}
    assert engine.ask(0, parked_version=known).parked == ()
    assert left.stats["purged"] == 5
    assert last not in left.jobs


def test_a_late_copy_of_a_purge_takes_nothing_that_came_later(world: Make) -> None:
    w = world()
    w.new("low")
    number = w.sender.next()
    assert w.store.purge(*number, "low", [], 10) == 1
    later = new_job()
    w.store.enqueue("another", 1, [later])
    assert w.store.purge(*number, "low", [], 10) == 1
    assert w.queue("low").ready == (later.uid,)


def test_expiry_counts_right_after_a_purge_of_some(world: Make) -> None:
    w = world()
    queued = w.new("low", "low", "low")
    engine = w.engine("low")
    engine.step(3)
    engine.step(0, *(Park(uid, 1, "low", "noop") for uid in queued[:2]))
    w.clock.ms += SECOND
    engine.step(0, Park(queued[2], 1, "low", "noop"))
    w.store.purge(*w.sender.next(), "low", ["noop"], 1)
    assert w.store.expire_parked("low", "noop", SECOND, line("unknown")) == 1
    assert w.dump().parked == {("low", "noop"): (queued[2],)}


def test_more_than_a_batch_is_refused_before_anything_is_done(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    before = w.dump()
    with pytest.raises(TrioqBug, match="1000"):
        w.store.revive(*w.sender.next(), [(dead, "low")] * 1001)
    with pytest.raises(TrioqBug, match="1000"):
        w.store.purge_dead(*w.sender.next(), [dead] * 1001)
    with pytest.raises(TrioqBug, match="1000"):
        w.store.purge(*w.sender.next(), "low", [], 1001)
    assert w.dump() == before


# -- pause ---------------------------------------------------------------------------------------


def test_nothing_is_claimed_from_a_paused_queue_and_what_runs_is_settled(world: Make) -> None:
    w = world()
    running, ready = w.new("low", "low")
    engine = w.engine()
    engine.step(1)
    assert w.store.pause(*w.sender.next(), "low", True)
    assert not w.store.pause(*w.sender.next(), "low", True)
    reply = engine.ask(9, RetryAt(running, 1, 0, 1, line("no")))
    assert (reply.claims, reply.left, reply.held) == ((), 0, 0)
    (high,) = w.new("high")
    assert uids(engine.step(9)) == [high]
    assert w.store.pause(*w.sender.next(), "low", False)
    assert not w.store.pause(*w.sender.next(), "low", False)
    assert uids(engine.step(9)) == [ready, running]


def test_resuming_rings(world: Make) -> None:
    w = world()
    w.store.pause(*w.sender.next(), "low", True)
    w.new("low")
    w.store.wait(["low"], 0.001)
    w.engine().step(1)
    assert not w.store.wait(["low"], 0.001), "nobody is called to a paused queue"
    w.store.pause(*w.sender.next(), "low", False)
    assert w.store.wait(["low"], 0.001)


def test_a_late_copy_does_not_pause_again(world: Make) -> None:
    w = world()
    number = w.sender.next()
    w.store.pause(*number, "low", True)
    w.store.pause("another", 1, "low", False)
    assert w.store.pause(*number, "low", True)
    assert w.dump().paused == frozenset()


# -- the memory store's own ----------------------------------------------------------------------


def test_the_memory_store_wakes_a_waiting_thread() -> None:
    store, heard = MemoryStore(), list[bool]()
    thread = threading.Thread(target=lambda: heard.append(store.wait(["high", "low"], 30.0)))
    thread.start()
    store.enqueue("s", 1, [new_job("low")])
    thread.join(30.0)
    assert heard == [True]
    assert not store.wait(["low"], 0.0)


def test_the_memory_store_tells_listeners_which_bell_begins_to_ring() -> None:
    store, heard = MemoryStore(), list[str]()
    store.on_ring(heard.append)
    store.enqueue("s", 1, [new_job("low"), new_job("low")])
    store.enqueue("s", 2, [new_job("low")])
    assert heard == ["low"]
    assert store.wait(["low"], 0.0)
    store.enqueue("s", 3, [new_job("high"), new_job("low")])
    assert sorted(heard) == ["high", "low", "low"]


def test_the_memory_store_asks_the_clock_it_was_given() -> None:
    now_s = 100.0
    store = MemoryStore(clock=lambda: now_s)
    store.register("e.1", b"{}")
    store.enqueue("s", 1, [new_job(delay_ms=1500)])
    now_s += 1.4999
    reply = store.step(Step("e.1", 1, 1, ("low",)))
    assert getattr(reply, "next_due_ms", None) == 1
    now_s += 0.0001
    assert len(getattr(store.step(Step("e.1", 2, 1, ("low",))), "claims", ())) == 1


def test_threads_may_share_a_memory_store() -> None:
    store = MemoryStore()

    def produce(sender: str) -> None:
        for n in range(1, 101):
            store.enqueue(sender, n, [new_job()])

    threads = [threading.Thread(target=produce, args=(f"s{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.space.jobs) == 400
