"""Both stores: what is queued, once, and what is refused."""

from __future__ import annotations

import attrs
import pytest

from tests.store.drive import line
from tests.store.world import SECOND, Make, World, bury
from tests.support import cancelled_by, new_job
from trioq.core.calls import Enqueued, Existing, Rate
from trioq.core.formats import history
from trioq.core.limits import LimitSettings
from trioq.core.model.limits import OLDEST_OF
from trioq.core.settlements import Ack, DeadLetter
from trioq.errors import QueueFull, TrioqBug

ONE = LimitSettings(concurrency=1)

# -- enqueue -----------------------------------------------------------------------------------


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


# -- a caller's id -----------------------------------------------------------------------------


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
    cancelled_by(w.store, *w.sender.next(), cancelled, "low", "noop")
    w.store.purge(*w.sender.next(), "low", [], 10)
    (dead,) = bury(w, new_job(id="d"))
    w.store.purge_dead(*w.sender.next(), [dead])
    assert ask_for(w, "c") == Existing(cancelled, "cancelled")
    assert ask_for(w, "p") == Existing(purged, "cancelled")
    assert ask_for(w, "d") == Existing(dead, "dead")


def test_an_id_is_free_again_exactly_when_its_retention_is_over(world: Make) -> None:
    w = world(id_retention_ms=SECOND)
    uid = w.sender.enqueue_new(id="x")
    cancelled_by(w.store, *w.sender.next(), uid, "low", "noop")
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
    cancelled_by(w.store, *w.sender.next(), uid, "low", "noop")
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


# -- max_length --------------------------------------------------------------------------------


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


def test_what_is_due_later_takes_the_room_of_one(world: Make) -> None:
    w = world(max_lengths={"low": 3})
    w.sender.enqueue(*(new_job(delay_ms=SECOND) for _ in range(3)))
    with pytest.raises(QueueFull, match="room for 0 more"):
        w.sender.enqueue(new_job())


def test_a_request_that_was_told_full_never_queues_anything(world: Make) -> None:
    w = world(max_lengths={"low": 1})
    (uid,) = w.new("low")
    number, jobs = w.sender.next(), [new_job()]
    with pytest.raises(QueueFull):
        w.store.enqueue(*number, jobs)
    cancelled_by(w.store, "an operator", 1, uid, "low", "noop")
    with pytest.raises(QueueFull):
        w.store.enqueue(*number, jobs)
    assert w.dump().jobs == {}


def test_cancelled_and_running_jobs_take_no_room(world: Make) -> None:
    w = world(max_lengths={"low": 2})
    first, _ = w.new("low", "low")
    cancelled_by(w.store, *w.sender.next(), first, "low", "noop")
    w.new("low")
    assert len(w.engine().step(9)) == 2
    w.new("low", "low")


def test_what_is_known_already_takes_no_room(world: Make) -> None:
    w = world(max_lengths={"low": 1})
    w.sender.enqueue(new_job(id="x"))
    assert ask_for(w, "x") is not None


@pytest.mark.parametrize("delay_ms", [0, SECOND])
def test_where_the_oldest_go_they_die_for_the_new_ones_and_can_be_revived(
    world: Make, delay_ms: int
) -> None:
    w = world(max_lengths={"low": 3}, when_full={"low": "drop_oldest"})
    first, second, third = w.new("low", "low", "low")
    w.sender.enqueue(new_job("high"), new_job(id="x", delay_ms=delay_ms), new_job())
    found = w.dump()
    assert found.reasons == {first: "dropped", second: "dropped"}
    assert found.history.keys() == {first, second}
    (line,) = history.decode(found.history[first])
    assert isinstance(line, history.Attempt)
    assert (line.dead, "the oldest" in line.error.message) == ("dropped", True)
    assert found.queues["low"].ready[0] == third
    told = ("dead_letters", "dropped", "enqueued")
    assert [found.stats[each] for each in told] == [2, 2, 6]
    assert w.store.revive(*w.sender.next(), [(first, "low")]).count == 1
    assert w.queue("low").ready[-1] == first


def test_who_was_cancelled_there_is_passed_over_when_the_oldest_go(world: Make) -> None:
    w = world(max_lengths={"low": 3}, when_full={"low": "drop_oldest"})
    cancelled, oldest, newest = w.new("low", "low", "low")
    cancelled_by(w.store, "an operator", 1, cancelled, "low", "noop")
    w.sender.enqueue(new_job(), new_job())
    assert w.dump().dead.keys() == {oldest}
    assert w.queue("low").ready[0] == newest


def test_where_the_oldest_go_those_go_first_who_have_waited_for_a_limit(world: Make) -> None:
    w = world(max_lengths={"low": 4}, when_full={"low": "drop_oldest"})
    w.store.set_limits({"b": ONE, "a": ONE}, 1)
    w.sender.enqueue(new_job("high", takes=("b", "a")))
    assert len(w.engine("high").step(1)) == 1
    of_b, *of_a = w.sender.enqueue(*(new_job(takes=(take,)) for take in "baa"))
    assert w.engine("low").step(3) == ()
    (ready,) = w.new("low")
    w.sender.enqueue(new_job(), new_job(delay_ms=SECOND))
    found = w.dump()
    assert found.reasons == {of_b: "dropped", of_a[0]: "dropped"}
    assert found.rooms == {("low", "a"): (of_a[1],)}
    assert found.queues["low"].ready[0] == ready
    w.sender.enqueue(new_job(), new_job())
    found = w.dump()
    assert found.reasons.keys() == {of_b, *of_a, ready}
    assert found.rooms == {}
    with pytest.raises(QueueFull, match="room for 0 more"):
        w.sender.enqueue(*(new_job() for _ in range(4)))
    w.new("low", "low", "low")
    assert w.store.revive(*w.sender.next(), [(of_b, "low")]).count == 1
    assert w.queue("low").ready[-1] == of_b


def test_the_oldest_who_has_waited_for_a_limit_is_looked_for_among_so_many_rooms(
    world: Make,
) -> None:
    w = world(max_lengths={"low": 200}, when_full={"low": "drop_oldest"})
    w.store.set_limits({"key": LimitSettings(concurrency=1, keyed=True)}, 1)
    keys = [f"key:{n:03}" for n in reversed(range(150))]
    w.sender.enqueue(*(new_job("high", takes=(key,)) for key in keys))
    assert len(w.engine("high").step(150)) == 150
    old = w.sender.enqueue(*(new_job(takes=(key,)) for key in keys))
    assert w.engine("low").step(150) == ()
    w.sender.enqueue(*(new_job() for _ in range(51)))
    assert w.dump().dead.keys() == {old[150 - OLDEST_OF]}
    w.sender.enqueue(*(new_job() for _ in range(149)))
    assert w.dump().dead.keys() == {*old}
    assert w.dump().rooms == {}


def test_what_is_due_later_does_not_go_for_a_new_one(world: Make) -> None:
    w = world(max_lengths={"low": 2}, when_full={"low": "drop_oldest"})
    w.sender.enqueue(new_job(delay_ms=SECOND), new_job())
    with pytest.raises(QueueFull, match="room for 0 more"):
        w.sender.enqueue(new_job(), new_job())
    assert not w.dump().dead
    w.sender.enqueue(new_job())
    assert len(w.dump().dead) == 1


def test_whoever_waits_for_the_oldest_is_told_that_it_died(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full={"low": "drop_oldest"})
    (uid,) = w.new("low")
    w.store.wait_for("c1", [(uid, None)])
    w.new("low")
    assert w.dump().waits == {}
    assert w.store.wait_for("c1", [(uid, None)])[0].state == "dead"


# -- the limiter -------------------------------------------------------------------------------


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


# -- what the directory producer remembers -----------------------------------------------------


def test_a_file_is_queued_once_for_each_of_its_marks(world: Make) -> None:
    w = world()
    name = "weird \udcff\nname"
    for mark, new in (("1:1", True), ("1:1", False), ("1:2", True), ("1:1", True)):
        enqueued = w.store.enqueue(*w.sender.next(), [new_job(seen=(name, mark))])
        assert (0 not in enqueued.seen) == new
        assert w.store.seen(["nothing", name]) == [None, mark]
    assert len(w.dump().jobs) == 3
    assert w.store.seen([]) == []
