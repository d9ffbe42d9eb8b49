"""Questions: counted at one moment, found wherever it is, read in bounded pages."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.drive import Driver, Sender, line
from tests.support import Server, cancelled_by, new_job, wait_until
from trioq.core.calls import Admit, NewJob
from trioq.core.fair import fair_key
from trioq.core.job import new_uid
from trioq.core.settlements import Ack, DeadLetter, Park, RetryAt
from trioq.errors import StoreBusy, StoreRefused
from trioq.store.inspect import (
    JobView,
    dead,
    done,
    find,
    glance,
    oldest_ready_ms,
    outstanding,
    peek,
    stats,
    waiting,
)
from trioq.store.inspect.ends import JOBS, ended
from trioq.store.inspect.summaries import FIRST, PIECES, done_since, newest_done
from trioq.store.redis import RedisStore


@pytest.fixture
def sender(store: RedisStore) -> Sender:
    return Sender(store)


def found(store: RedisStore, id_or_uid: str) -> JobView:
    view = find(store, id_or_uid)
    assert view is not None
    return view


def kill(driver: Driver, count: int) -> list[str]:
    """Claim so many and dead-letter them at once: they die in the same millisecond."""
    claims = driver.step(count)
    letters = [
        DeadLetter(c.uid, driver.n, 1, "failures", line(f"no. {i}")) for i, c in enumerate(claims)
    ]
    driver.step(0, *letters)
    return [c.uid for c in claims]


def put_dead(store: RedisStore, places: list[tuple[int, str]]) -> None:
    """Dead jobs without a life before: (died_ms, uid)."""
    jobs = [new_job() for _ in places]
    for (died_ms, uid), job in zip(places, jobs, strict=True):
        store.lane.call("HSET", store.keys.fixed("jobs"), uid, job.stored)
        store.lane.call("ZADD", store.keys.fixed("dead"), died_ms, uid)


# -- counts ------------------------------------------------------------------------------------


def test_an_empty_namespace_counts_nothing_and_shows_the_configured_queues(
    store: RedisStore,
) -> None:
    nothing = {
        "ready": 0, "limited": 0, "scheduled": 0, "parked": 0, "running": 0, "suspects": 0,
        "paused": False, "served": False, "fair": 0,
        "in_line": 0, "in_line_jobs": 0, "in_line_since_ms": None,
    }  # fmt: skip
    assert stats(store, ["high", "low"]).as_json() == {
        "namespace": "t",
        "queues": {"high": nothing, "low": nothing},
        "running": 0, "done": 0, "dead": 0, "cancelled": 0, "enqueued": 0, "retried": 0,
        "reaped": 0, "strays": 0, "pauses": [], "engines": [],
    }  # fmt: skip


def test_every_job_is_counted_where_it_is(store: RedisStore, sender: Sender) -> None:
    driver = Driver(store)
    (acked, parked) = sender.enqueue(new_job(), new_job(name="other"))
    driver.step(2)
    driver.step(0, Ack(acked, 1), Park(parked, 1, "low", "other"))
    (killed,) = sender.enqueue(new_job())
    kill(driver, 1)
    crashing = Driver(store, queues=("low",))
    sender.enqueue(new_job(), new_job())
    crashing.step(2)
    store.reap(crashing.engine, store.observe()[crashing.engine], 3)
    waiting = sender.enqueue(new_job("high"), new_job("high"), new_job("elsewhere"))
    sender.enqueue(new_job(delay_ms=60_000))
    assert cancelled_by(store, *sender.next(), waiting[0], "high", "noop") == "cancelled"
    store.pause(*sender.next(), "elsewhere", True)
    # The one that was cancelled, which is passed over; the one left in high; a suspect of low.
    running = driver.step(3)

    told = stats(store, ["low", "high"])
    assert list(told.queues) == ["low", "high", "elsewhere"]
    low, high, elsewhere = told.queues.values()
    assert (low.ready, low.suspects, low.scheduled, low.parked, low.running) == (1, 1, 1, 1, 1)
    assert (high.ready, high.running, high.served) == (0, 1, True)
    assert (elsewhere.ready, elsewhere.paused, elsewhere.served) == (1, True, False)
    assert not low.paused
    shown = told.as_json()
    assert (shown["done"], shown["dead"], shown["cancelled"]) == (1, 1, 1)
    assert (shown["running"], shown["enqueued"], shown["reaped"]) == (2, 9, 2)
    (engine,) = shown["engines"]
    assert engine["id"] == driver.engine
    assert engine["queues"] == ["high", "low"]
    assert engine["names"] == ["noop"]
    assert engine["running"] == len(running) == 2
    assert json.loads(json.dumps(shown)) == shown
    assert killed != acked


def test_a_cancelled_job_that_still_lies_in_its_queue_is_not_ready(
    store: RedisStore, sender: Sender
) -> None:
    uids = sender.enqueue(new_job(), new_job())
    assert cancelled_by(store, *sender.next(), uids[0], "low", "noop") == "cancelled"
    assert stats(store).queues["low"].ready == 1
    assert outstanding(store, ["low"], 0)[0]["low"].ready == 1


def test_what_an_engine_of_another_version_says_of_itself_is_no_trouble(store: RedisStore) -> None:
    store.register("e.1", b"not json")
    store.register("e.2", b"[1]")
    assert [engine.id for engine in stats(store).engines] == ["e.1", "e.2"]


def test_a_key_of_another_type_is_refused_not_misread(store: RedisStore, server: Server) -> None:
    server.call("SET", store.keys.fixed("dead"), "x")
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        stats(store)


@pytest.mark.direct  # a race between threads, which a proxy in the same process decides
def test_counts_are_of_one_moment_while_engines_come_and_go(server: Server) -> None:
    """Every job is ready, running or done in each answer, whatever happens in between."""
    store, total = server.store(), 60
    sender = Sender(store)
    sender.enqueue(*(new_job(f"q{i % 3}") for i in range(total)))
    stop = threading.Event()
    failed: list[BaseException] = []

    def churn() -> None:
        theirs = server.store()
        try:
            while not stop.is_set():
                driver = Driver(theirs, queues=("q0", "q1", "q2"))
                driver.step(7)
                theirs.sign_off(driver.engine)
        except BaseException as error:
            failed.append(error)
        theirs.lane.close()

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    seen_running = answered = 0
    while answered < 150:
        try:
            told = stats(store)
            left, running, _ = outstanding(store, ["q0", "q1", "q2"], 0)
        except StoreBusy:  # they come and go faster than they can be counted, and that is said
            continue
        answered += 1
        assert sum(q.ready + q.running for q in told.queues.values()) == total
        assert sum(q.running for q in told.queues.values()) == told.running
        seen_running += told.running > 0
        assert sum(queue.ready for queue in left.values()) + running == total
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert seen_running
    store.lane.close()


def test_outstanding_tells_what_is_due_from_what_is_later(
    store: RedisStore, sender: Sender
) -> None:
    driver = Driver(store, names=("noop", "known"))
    uids = sender.enqueue(new_job(name="known"), new_job(name="unknown"), new_job(name="unknown"))
    driver.step(3)
    driver.step(
        0, *(Park(u, 1, "low", n) for u, n in zip(uids, ("known", *["unknown"] * 2), strict=True))
    )
    sender.enqueue(new_job(), new_job(delay_ms=10_000), new_job(delay_ms=600_000))
    sender.enqueue(new_job("high"))
    store.pause(*sender.next(), "high", True)
    left, running, names = outstanding(store, ["high", "low"], 60_000)
    low = left["low"]
    assert (low.ready, low.due, low.later, low.paused) == (1, 1, 1, False)
    assert low.parked == {"known": 1, "unknown": 2}
    assert (left["high"].ready, left["high"].paused) == (1, True)
    assert running == 0
    assert names == {"noop", "known"}


# -- one job -----------------------------------------------------------------------------------


def test_a_job_is_found_in_every_state_by_uid_and_by_id(store: RedisStore, sender: Sender) -> None:
    driver = Driver(store)
    uid = sender.enqueue_new(id="a:b", payload=b'{"x":1}')

    def look() -> JobView:
        by_id, by_uid = found(store, "a:b"), found(store, uid)
        assert by_id == by_uid
        assert by_id.uid == uid
        assert by_id.as_json()["id"] == "a:b"
        assert by_id.as_json()["payload"] == {"x": 1}
        return by_id

    assert look().state == "ready"
    driver.claim()
    assert (look().state, look().engine) == ("running", driver.engine)
    driver.step(0, Park(uid, driver.n, "low", "noop"))
    assert look().state == "parked"
    driver.step(1, admits=(Admit("low", "noop", 1),))
    driver.step(0, RetryAt(uid, driver.n, 60_000, 1, line("first")))
    assert look().state == "scheduled"
    assert look().as_json()["due_ms"] > 1_700_000_000_000
    assert look().attempts[0].error.message == "first"
    store.lane.call("ZADD", store.keys.of("scheduled", "low"), 1, uid)
    (claim,) = wait_until(lambda: driver.step(1))
    driver.step(0, DeadLetter(claim.uid, driver.n, 2, "failures", line("second", 2)))
    view = look()
    assert (view.state, view.reason) == ("dead", "failures")
    assert view.as_json()["died_ms"] > 1_700_000_000_000
    assert [a["attempt"] for a in view.as_json()["attempts"]] == [1, 2]
    store.revive(*sender.next(), [(uid, "low")])
    summary = {"uid": uid, "id": "a:b", "name": "noop", "queue": "low", "attempt": 1,
               "took_ms": 2.5, "at_ms": 5, "enqueued_ms": 4, "engine": "e"}  # fmt: skip
    driver.claim()
    driver.step(0, Ack(uid, driver.n, json.dumps(summary).encode()))
    by_id, by_uid = found(store, "a:b"), found(store, uid)
    assert by_id == by_uid
    assert by_id.as_json()["state"] == "done"
    assert by_id.as_json()["name"] == "noop"
    assert by_id.as_json()["done"] == {"attempt": 1, "took_ms": 2.5, "at_ms": 5, "engine": "e"}


def test_a_job_that_has_ended_is_known_by_its_id_even_without_a_summary(
    store: RedisStore, sender: Sender
) -> None:
    driver = Driver(store)
    uid = sender.enqueue_new(id="a")
    cancelled = sender.enqueue_new(id="b")
    assert cancelled_by(store, *sender.next(), cancelled, "low", "noop") == "cancelled"
    driver.step(1)
    driver.step(0, Ack(uid, 1))
    assert (found(store, "a").state, found(store, "a").uid) == ("done", uid)
    assert found(store, "b").state == "cancelled"
    assert found(store, "b").as_json()["id"] == "b"
    assert find(store, uid) is None
    assert find(store, "nobody") is None


def test_a_job_that_ends_while_it_is_looked_for_is_found_done(
    store: RedisStore, sender: Sender, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = sender.enqueue_new(id="a")
    theirs = server.store()
    driver = Driver(theirs)
    driver.step(1)
    pipeline, ended = store.lane.pipeline, False

    def pipeline_late(commands: Any, **options: Any) -> Any:
        nonlocal ended
        if not ended and commands[0][:2] == ("HMGET", store.keys.fixed("jobs")):
            ended = True
            driver.step(0, Ack(uid, 1))
        return pipeline(commands, **options)

    monkeypatch.setattr(store.lane, "pipeline", pipeline_late)
    assert (found(store, "a").state, found(store, "a").uid) == ("done", uid)
    assert ended
    theirs.lane.close()


def test_a_job_claimed_again_is_a_suspects_story(store: RedisStore, sender: Sender) -> None:
    uid = sender.enqueue_new()
    driver = Driver(store)
    driver.claim()
    store.reap(driver.engine, store.observe()[driver.engine], 1)
    shown = found(store, uid).as_json()
    assert (shown["state"], shown["reason"], shown["reaps"]) == ("dead", "worker_lost", 1)
    (attempt,) = shown["attempts"]
    assert attempt["error"]["type"] == "worker_lost"
    assert attempt["error"]["traceback"] == ""


def test_a_big_payload_is_shown_whole(store: RedisStore, sender: Sender) -> None:
    payload = {"x": "y" * 50_000}
    uid = sender.enqueue_new(payload=json.dumps(payload).encode())
    assert found(store, uid).payload == payload
    assert peek(store, "low", 1)[0].payload == payload


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (b"not a record", "not a record"),
        (b"\xff\x00", "\\xff\x00"),
        (b'{"v":99}\n{"x":1}', '{"v":99}\n{"x":1}'),
    ],
)
def test_a_record_that_cannot_be_read_is_shown_as_it_is(
    store: RedisStore, stored: bytes, text: str
) -> None:
    uid = new_uid()
    store.enqueue("s", 1, [NewJob(uid, "low", stored)])
    for view in (found(store, uid), *peek(store, "low", 1)):
        shown = view.as_json()
        assert (shown["id"], shown["state"], shown["name"]) == (uid, "ready", None)
        assert shown["payload"] == text
        assert base64.b64decode(shown["payload_raw"]) == stored


def test_a_payload_that_is_no_object_is_shown_as_text_and_bytes(
    store: RedisStore, sender: Sender
) -> None:
    shown = found(store, sender.enqueue_new(payload=b"[1, \xff")).as_json()
    assert shown["name"] == "noop"
    assert shown["payload"] == "[1, \\xff"
    assert base64.b64decode(shown["payload_raw"]) == b"[1, \xff"
    assert "payload_raw" not in found(store, sender.enqueue_new()).as_json()


# -- lists -------------------------------------------------------------------------------------


def test_peek_shows_the_order_of_claiming(store: RedisStore, sender: Sender) -> None:
    uids = sender.enqueue(*(new_job() for _ in range(250)))
    crashing = Driver(store)
    crashing.step(3)
    store.reap(crashing.engine, store.observe()[crashing.engine], 3)
    for uid in uids[10:120:7]:
        cancelled_by(store, *sender.next(), uid, "low", "noop")
    expected = [uid for uid in uids if uid not in uids[10:120:7]]
    for count in (0, 1, 3, 4, 100, 101, 1000):
        assert [view.uid for view in peek(store, "low", count)] == expected[:count]
    assert peek(store, "nothing", 10) == []
    assert {view.state for view in peek(store, "low", 9)} == {"ready"}


def test_jobs_with_a_fair_key_are_counted_and_shown_in_the_order_of_their_turns(
    store: RedisStore, sender: Sender
) -> None:
    keys = (fair_key("a"), fair_key("a"), fair_key("b"), None)
    first, third, second, plain = sender.enqueue(*(new_job(fair=key) for key in keys))
    assert stats(store).queues["low"].ready == waiting(store, "low") == 4
    assert [view.uid for view in peek(store, "low", 9)] == [plain, first, second, third]
    assert [view.uid for view in peek(store, "low", 2)] == [plain, first]
    view = find(store, third)
    assert view is not None
    assert view.state == "ready"
    assert glance(store, "me", had_turn=False, turn_ms=1, queues=["low"], rate=None).ready == 4
    assert oldest_ready_ms(store, ["low", "high"]).keys() == {"low"}
    cancelled_by(store, *sender.next(), third, "low", "noop")
    assert stats(store).queues["low"].ready == 3


def test_dead_are_listed_in_the_order_of_their_death(store: RedisStore, sender: Sender) -> None:
    sender.enqueue(*(new_job(name="a") for _ in range(3)), *(new_job(name="b") for _ in range(2)))
    driver = Driver(store)
    killed = kill(driver, 5)
    shown = [view.as_json() for view in dead(store)]
    assert {job["uid"] for job in shown} == set(killed)
    assert {job["reason"] for job in shown} == {"failures"}
    for job in shown:
        assert {"id", "name", "queue", "payload", "reason", "attempts"} <= set(job)
        assert job["attempts"][0]["error"]["type"] == "ValueError"
    assert len(list(dead(store, name="b"))) == 2
    assert [v.uid for v in dead(store, error="no. 3")] == [killed[3]]
    assert len(list(dead(store, error="ValueError"))) == 5
    assert list(dead(store, error="KeyError")) == []
    assert len(list(dead(store, limit=4))) == 4
    assert list(dead(store, limit=0)) == []
    assert list(dead(store, older_than_s=3600)) == []
    store.lane.call("ZADD", store.keys.fixed("dead"), 1_000, killed[4])
    assert [v.uid for v in dead(store, older_than_s=3600)] == [killed[4]]
    assert next(dead(store)).died_ms == 1_000


@given(
    deaths=st.lists(st.sampled_from([1, 1, 1, 1, 2, 3]), max_size=350)
    | st.lists(st.sampled_from([1, 2]), min_size=300, max_size=350),
    keeps=st.integers(1, 5),
)
@settings(max_examples=15, deadline=None)
def test_dead_are_all_listed_once_while_what_was_read_is_revived(
    shared_server: Server, deaths: list[int], keeps: int
) -> None:
    shared_server.call("FLUSHALL")
    store = shared_server.store()
    put_dead(store, [(died_ms, f"{i:04d}") for i, died_ms in enumerate(deaths)])
    listed = []
    for i, view in enumerate(dead(store)):
        listed.append(view.uid)
        if i % keeps == 0:
            store.lane.call("ZREM", store.keys.fixed("dead"), view.uid)
    store.lane.close()
    assert sorted(listed) == [f"{i:04d}" for i in range(len(deaths))]


def test_dead_who_die_again_meanwhile_are_not_listed_again(store: RedisStore) -> None:
    put_dead(store, [(i, f"{i:04d}") for i in range(250)])
    listed = 0
    for view in dead(store):
        listed += 1
        assert view.died_ms is not None
        # As if it had been revived, run and buried again, at a later time.
        store.lane.call("ZADD", store.keys.fixed("dead"), view.died_ms + 1000, view.uid)
    assert listed == 250


def test_done_are_listed_newest_first_over_many_pages(store: RedisStore) -> None:
    key = store.keys.fixed("done")
    store.lane.pipeline([("LPUSH", key, json.dumps({"uid": str(i)})) for i in range(1200)])
    assert [summary.uid for summary in done(store)] == [str(i) for i in reversed(range(1200))]
    assert found(store, "3").state == "done"


def keeps_few(store: RedisStore) -> RedisStore:
    """It looks each time what is too old."""
    return RedisStore(store.keys, store.lane, attrs.evolve(store.options, keep_done=100))


def test_summaries_of_one_job_each_give_way_to_those_of_a_step(
    store: RedisStore, sender: Sender
) -> None:
    """As they were kept once."""
    key = store.keys.fixed("done")
    store.lane.pipeline([("RPUSH", key, json.dumps({"uid": str(i)})) for i in range(3)])
    uids = sender.enqueue(*(new_job() for _ in range(2)))
    driver = Driver(keeps_few(store))
    driver.step(2)
    driver.step(0, *(Ack(uid, 1, json.dumps({"uid": uid}).encode()) for uid in uids))
    assert [summary.uid for summary in done(store)] == [*reversed(uids)]


def test_summaries_give_way_where_the_counter_was_set_back(
    store: RedisStore, sender: Sender
) -> None:
    first, second = sender.enqueue(*(new_job() for _ in range(2)))
    driver = Driver(keeps_few(store))
    driver.step(2)
    store.lane.call("HSET", store.keys.fixed("stats"), "summaries", 5000)
    driver.step(0, Ack(first, 1, json.dumps({"uid": first}).encode()))
    store.lane.call("HSET", store.keys.fixed("stats"), "summaries", "a text")
    driver.step(0, Ack(second, 1, json.dumps({"uid": second}).encode()))
    assert [summary.uid for summary in done(store)] == [second]


def test_no_page_of_summaries_is_much_larger_than_the_one_before(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest may be of jobs that were done one by one, and those behind of full steps."""
    key, line = store.keys.fixed("done"), json.dumps({"uid": "u", "name": "n" * 100}).encode()
    small, large = line, b"\n".join([line] * 2000)
    store.lane.call("RPUSH", key, *[small] * FIRST, *[large] * 100)
    pages = list[int]()
    call = store.lane.call

    def counted(*command: Any, **options: Any) -> Any:
        answer = call(*command, **options)
        pages.append(sum(map(len, answer)))
        return answer

    monkeypatch.setattr(store.lane, "call", counted)
    assert sum(1 for _ in done(store)) == FIRST + 100 * 2000
    assert max(pages) <= 4 * FIRST * len(large)


def test_a_job_that_was_cancelled_behind_a_door_is_not_counted_there(
    store: RedisStore, sender: Sender
) -> None:
    driver = Driver(store)
    uid, other = sender.enqueue(new_job(name="other"), new_job(name="other"))
    driver.step(2)
    driver.step(0, Park(uid, 1, "low", "other"), Park(other, 1, "low", "other"))
    cancelled_by(store, *sender.next(), uid, "low", "other")
    assert stats(store).parked == {("low", "other"): 1}
    assert found(store, other).state == "parked"
    assert find(store, uid) is None


def test_those_that_have_ended_are_told_of_however_many_are_asked_about(
    store: RedisStore, sender: Sender
) -> None:
    driver = Driver(store)
    sender.enqueue(*(new_job() for _ in range(4)))
    died = kill(driver, 2)
    lives = sender.enqueue_new()
    gone = [new_uid() for _ in range(2 * JOBS)]
    dead_ones, gone_ones = ended(store, [*gone, *died, lives])
    assert dead_ones == {*died}
    assert gone_ones == {*gone}


def test_what_is_done_since_a_mark_is_read_over_many_pages(store: RedisStore) -> None:
    key = store.keys.fixed("done")

    def finish(numbers: range) -> None:
        store.lane.pipeline([("LPUSH", key, json.dumps({"uid": str(n)})) for n in numbers])

    finish(range(10))
    mark = newest_done(store)
    more = range(10, 10 + 2 * PIECES + 5)
    finish(more)
    summaries, mark = done_since(store, mark)
    assert [summary.uid for summary in summaries] == [str(n) for n in reversed(more)]
    assert done_since(store, mark) == ([], mark)


# -- bounds ------------------------------------------------------------------------------------


class Counting:
    """Stands between a store and its lane, and notes how much each round trip brings."""

    def __init__(self, store: RedisStore) -> None:
        self.elements: list[int] = []
        self._call, self._lane = store.lane.pipeline, store.lane
        self._lane.pipeline = self._counted  # type: ignore[method-assign]

    def _counted(self, commands: Any, **options: Any) -> list[Any]:
        answers = self._call(commands, **options)
        self.elements.append(sum(len(a) if isinstance(a, list) else 1 for a in answers))
        return answers


def test_no_round_trip_brings_more_than_a_thousand_elements(
    store: RedisStore, sender: Sender
) -> None:
    for _ in range(6):
        sender.enqueue(*(new_job() for _ in range(500)))
    driver = Driver(store)
    for _ in range(4):
        kill(driver, 256)
    driver.step(256)
    counting = Counting(store)
    stats(store)
    assert len(peek(store, "low", 10_000)) == 3000 - 1024 - 256
    assert len(list(dead(store))) == 1024
    find(store, "nobody")
    find(store, next(dead(store)).uid)
    assert max(counting.elements) <= 1000


def test_questions_change_nothing(store: RedisStore, sender: Sender) -> None:
    driver = Driver(store)
    uids = sender.enqueue(*(new_job(id=f"a{i}") for i in range(5)), new_job(delay_ms=60_000))
    kill(driver, 2)
    driver.step(1)
    before = store.lane.call("DEBUG", "DIGEST")
    assert stats(store, ["new"]).running == 1
    assert outstanding(store, ["low"], 0)[1] == 1
    assert len(peek(store, "low", 100)) == 2
    assert len(list(dead(store))) == 2
    for uid in uids:
        found(store, uid)
    assert list(done(store)) == []
    assert store.lane.call("DEBUG", "DIGEST") == before
