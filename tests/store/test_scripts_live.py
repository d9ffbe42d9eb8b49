"""What only a server can do to the scripts: wrong types, a full memory, a flushed cache.

And what they cost it: a constant number of commands, whatever the size of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import pytest

from tests.dump import dump
from tests.invariants import assert_sound
from tests.store.drive import Driver, Sender, line, with_limits
from tests.store.world import uids
from tests.support import Server, cancelled_by, new_job
from trioq.core.calls import (
    Admit,
    Beat,
    BreakerNews,
    Enqueued,
    Enqueuer,
    MustWait,
    Note,
    Rate,
    Replacing,
    StepReply,
    Taking,
    Unwanted,
)
from trioq.core.fair import LONGEST, TURN, FairKey
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.tick import Mark, Tick
from trioq.core.seen import Sighting
from trioq.core.settlements import Ack, DeadLetter, Deliver, Park, Release, RetryAt
from trioq.errors import StoreBusy, StoreRefused
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

RATE = Rate("producer", 1_000_000, 5)


class Busy:
    """A namespace with a job in every place, and a call of every verb that would do much."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.sender = Sender(store)
        self.engine, self.dying = Driver(store, ("low",)), Driver(store, ("low",))
        jobs = [new_job(id=f"id{i}") for i in range(12)]
        queued, self.named = self.sender.enqueue(*jobs), jobs[9]
        self.engine.step(7)
        self.dying.step(2)
        self.engine.step(
            0,
            DeadLetter(queued[0], 1, 1, "gave_up", line("no")),
            Park(queued[1], 1, "low", "noop"),
        )
        self.seen = store.observe()[self.dying.engine]
        self.held, self.waiting, self.dead = queued[2:7], queued[9], queued[0]
        self.scheduled = self.sender.enqueue_new(delay_ms=3_600_000)
        self.sender.enqueue(*(new_job(fair=FairKey('"a"')) for _ in range(2)))
        cancelled_by(self.store, *self.sender.next(), queued[10], "low", "noop")
        self.store.wait_for("c1", [(uid, None) for uid in queued])
        options = attrs.evolve(
            store.options, max_lengths={"low": 2, "full": 2}, when_full={"full": "wait"}
        )
        with_limits(self.sender)
        self.bounded = RedisStore(store.keys, store.lane, options)
        self.sender.enqueue(new_job("full"), new_job("full"))
        self.store.put_schedule(*self.sender.next(), "nightly", b"1", 1000)
        self.in_line = new_job("full")
        with suppress(MustWait):
            self.bounded.enqueue(*self.sender.next(), [self.in_line], who=Enqueuer("c1"))

    def calls(self) -> Mapping[str, Callable[[], Any]]:
        store, held = self.store, self.held
        step = self.engine.make(
            3,
            Ack(held[0], 1, b"{}"),
            RetryAt(held[1], 1, 0, 1, line("no")),
            DeadLetter(held[2], 1, 1, "gave_up", line("no")),
            Release(held[3], 1),
            Deliver(held[4], 1, 1000, "done", b"5", b"{}"),
            admits=(Admit("low", "noop", 2),),
        )
        wanted = [self.waiting, held[3]]
        jobs = [
            new_job(id="new", fair=FairKey('"a"')),
            new_job(delay_ms=5),
            new_job(seen=("a", "1:1")),
        ]

        ticked = new_job(id="ticked")
        tick = Tick("nightly", b"1", 1000, 2000, (Mark(1000, "fired", 0, ticked.uid),), 1)

        def numbered(verb: str, *args: Any, **more: Any) -> Callable[[], Any]:
            number = self.sender.next()
            return lambda: getattr(store, verb)(self.sender.id, number[1], *args, **more)

        return {
            "register": lambda: store.register("e.new", b"{}"),
            "beat": lambda: store.beat(self.engine.engine),
            "step": lambda: store.step(step),
            "step that only claims": lambda: store.step(attrs.evolve(step, settlements=())),
            "reap": lambda: store.reap(self.dying.engine, self.seen, 1),
            "sign_off": lambda: store.sign_off(self.engine.engine),
            "forget_queues": lambda: store.forget_queues(["nobodys"]),
            "expire_parked": lambda: store.expire_parked("low", "noop", 0, line("unknown")),
            "enqueue": numbered("enqueue", jobs, rate=RATE),
            "enqueue of plain jobs": numbered("enqueue", [new_job(), new_job("high")]),
            "replace": numbered("replace", Replacing(self.named)),
            "enqueue that takes an id": numbered(
                "enqueue",
                [new_job(id="id5")],
                taking=Taking(held[3], "supersede", self.engine.engine, 1),
            ),
            "cancel": numbered("cancel", [Unwanted(uid, "low", "noop") for uid in wanted]),
            "note": lambda: store.note(self.engine.engine, [Note(held[0], 1, b"1")]),
            "note_files": lambda: store.note_files([Sighting("gone", "1:2", True)], 0),
            "set_limits": lambda: store.set_limits({"one": LimitSettings(concurrency=2)}, 2),
            "declare_limits": lambda: store.declare_limits(
                self.engine.engine, {"two": LimitSettings(concurrency=2)}
            ),
            "ring_bells": lambda: store.ring_bells(["high"]),
            "revive": numbered("revive", [(self.dead, "low")]),
            "purge_dead": numbered("purge_dead", [self.dead]),
            "purge": numbered("purge", "low", ["noop"], 100),
            "pause": numbered("pause", "low", True),
            "breakers": lambda: store.breakers(self.engine.engine, [BreakerNews("api", bad=1)]),
            "reset_breaker": numbered("reset_breaker", "api"),
            "hasten": numbered("hasten", "low", self.scheduled),
            "list_schedules": lambda: store.list_schedules(
                self.engine.engine, SaidList("", "1", (Listed("new", b"1", 5),))
            ),
            "schedule": numbered("put_schedule", "nightly", b"2", 2000),
            "tick": numbered("tick", tick, ticked),
            "step_aside": lambda: store.step_aside("full", [self.in_line.uid]),
            "wait_for": lambda: store.wait_for("c2", [(self.waiting, None), (self.dead, "id0")]),
        }


def outcome(call: Callable[[], Any]) -> str:
    """``WRONGTYPE`` if the call was refused for that; any other refusal is raised."""
    try:
        call()
    except StoreRefused as error:
        if "WRONGTYPE" not in str(error):
            raise
        return "WRONGTYPE"
    return "done"


SCRIPTS = {script.name for script in all_scripts()}
VERBS = sorted(
    SCRIPTS | {"step that only claims", "enqueue of plain jobs", "enqueue that takes an id", "tick"}
)


def everything(store: RedisStore) -> dict[bytes, Any]:
    """Byte for byte."""
    return {key: store.lane.call("DUMP", key) for key in store.lane.call("KEYS", "*")}


def test_there_is_a_call_for_every_script(store: RedisStore) -> None:
    assert sorted(Busy(store).calls()) == VERBS


@pytest.fixture
def full(own_server: Server) -> Iterator[RedisStore]:
    """A store whose server may be filled."""
    store = own_server.store()
    yield store
    store.lane.close()


def test_a_full_server_refuses_what_is_new_and_can_be_drained(
    full: RedisStore, own_server: Server
) -> None:
    busy = Busy(full)
    own_server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own_server.call("CONFIG", "SET", "maxmemory", "1")
    before = dump(full)
    calls = dict(busy.calls())
    for verb in (
        "enqueue",
        "enqueue of plain jobs",
        "replace",
        "enqueue that takes an id",
    ):
        with pytest.raises(StoreBusy, match="OOM"):
            calls[verb]()
    assert dump(full) == before, "nothing of it was written"
    for verb in ("register", "beat", "step", "reap", "cancel", "revive", "pause", "expire_parked",
                 "forget_queues"):  # fmt: skip
        calls[verb]()
        assert_sound(dump(full))
    busy.engine.ask(0)
    while claims := busy.engine.ask(100).claims:
        claimed_by = busy.engine.n
        busy.engine.step(0, *(Ack(uid, claimed_by) for uid in uids(claims)))
    for verb in ("purge_dead", "purge", "sign_off"):
        busy.calls()[verb]()
        assert_sound(dump(full))


def test_a_flushed_script_cache_is_filled_again_by_whoever_calls(store: RedisStore) -> None:
    busy = Busy(store)
    for verb, call in busy.calls().items():
        store.lane.call("SCRIPT", "FLUSH")
        call()
        assert_sound(dump(store)), verb


# -- cost ----------------------------------------------------------------------------------------


def commands(store: RedisStore, act: Callable[[], Any]) -> dict[str, int]:
    """How many commands of each kind the server executed for this."""
    store.lane.call("CONFIG", "RESETSTAT")
    act()
    found = {}
    for text in store.lane.call("INFO", "commandstats").decode().splitlines():
        name, _, values = text.removeprefix("cmdstat_").partition(":")
        if values and name not in ("info", "config|resetstat"):
            found[name] = int(values.split("calls=")[1].split(",")[0])
    return found


def a_batch(store: RedisStore, size: int) -> list[dict[str, int]]:
    """The commands of an enqueue, of claims, and of one step that ends them in every way."""
    sender, engine = Sender(store), Driver(store, ("low",))
    jobs = [new_job(id=f"{size}:{i}", seen=(f"{size}:{i}", "1:1")) for i in range(size)]
    used = [commands(store, lambda: sender.enqueue(*jobs))]
    claims: list[Any] = []
    used.append(commands(store, lambda: claims.extend(engine.step(size))))
    ends = []
    for i, uid in enumerate(uids(claims)):
        ends.append(
            (
                Ack(uid, 1, b"{}"),
                RetryAt(uid, 1, 1, 1, line("no")),
                DeadLetter(uid, 1, 1, "gave_up", line("no")),
                Release(uid, 1),
                Park(uid, 1, "low", "noop"),
            )[i % 5]
        )
    used.append(commands(store, lambda: engine.step(size, *ends)))
    return used


@pytest.mark.direct
def test_a_batch_costs_the_same_number_of_commands_whatever_its_size(
    store: RedisStore, server: Server
) -> None:
    a_batch(store, 5)  # the scripts are loaded
    server.call("FLUSHALL")
    small = a_batch(store, 160)  # 32 of them are done: it looks which summaries are too old
    server.call("FLUSHALL")
    assert a_batch(store, 240) == small
    assert sum(small[1].values()) < 40
    assert sum(small[2].values()) < 90


@pytest.mark.direct
def test_a_plain_job_costs_few_commands(store: RedisStore) -> None:
    sender = Sender(store)
    sender.enqueue_new()
    used = commands(store, sender.enqueue_new)
    assert sum(used.values()) <= 10, used
    store.lane.call("DEL", store.keys.of("bell", "low"))
    assert commands(store, sender.enqueue_new) == {**used, "lpush": used["lpush"] + 1}, "it rings"


@pytest.mark.direct
def test_an_idle_engine_and_a_client_need_few_commands_for_a_job(store: RedisStore) -> None:
    """From its enqueue to its settlement, without the wait for a bell."""
    sender, engine = Sender(store), Driver(store, ("high", "low"))

    def job() -> None:
        sender.enqueue_new("low")
        (claim,) = engine.ask(100, parked_version=0).claims
        engine.ask(100, Ack(claim.uid, engine.n, b"{}"), parked_version=0)

    job()
    used = commands(store, job)
    assert sum(used.values()) <= 29, used


@pytest.mark.direct
@pytest.mark.parametrize("place", range(6))
def test_an_idle_engine_finds_a_key_of_the_wrong_type_before_it_changes_anything(
    place: int, store: RedisStore
) -> None:
    engine, sender = Driver(store), Sender(store)
    keys = [*map(store.keys.fixed, ("steps", "stats", "jobs", "done")), "", ""]
    keys[4:] = store.keys.of("ready", "low"), store.keys.of("running", engine.engine)

    def refused(want: int, *settlements: Ack) -> bool:
        saved = store.lane.call("DUMP", keys[place])
        store.lane.call("DEL", keys[place])
        store.lane.call("SET", keys[place], "wrong")
        before = everything(store)
        step = engine.make(want, *settlements, parked_version=0)
        is_refused = outcome(lambda: store.step(step)) == "WRONGTYPE"
        assert everything(store) == before or not is_refused
        store.lane.call("DEL", keys[place])
        if saved:
            store.lane.call("RESTORE", keys[place], 0, saved)
        engine.n -= is_refused
        return is_refused

    sender.enqueue(new_job())
    assert refused(1) == (keys[place] != keys[3])
    if keys[place] == keys[3]:
        engine.n -= 1
    claims = engine.ask(1, parked_version=0).claims
    (uid,) = uids(claims)
    assert refused(1, Ack(uid, engine.n, b"{}"))
    assert store.lane.call("LLEN", keys[3]) == 0
    assert engine.ask(1, Ack(uid, engine.n, b"{}"), parked_version=0).held == 0
    assert_sound(dump(store))


@pytest.mark.direct
def test_a_batch_of_plain_jobs_costs_the_same_number_of_commands_up_to_500(
    store: RedisStore,
) -> None:
    sender = Sender(store)
    sender.enqueue_new()
    one, few, many = (
        commands(store, lambda n=n: sender.enqueue(*(new_job() for _ in range(n))))
        for n in (1, 2, 500)
    )
    assert few == many
    assert sum(one.values()) <= sum(few.values())


@pytest.mark.direct  # it forgets what the other networks rely on
@pytest.mark.parametrize("id", [None, "mine"])
def test_a_forgotten_request_that_is_repeated_queues_what_isnt_there_and_nothing_twice(
    store: RedisStore, id: str | None
) -> None:
    """Its number is forgotten when the clock jumps: by then one of its jobs may have ended."""
    jobs = [new_job(), new_job("high"), new_job(id=id), new_job("high")]
    store.enqueue("s", 1, jobs)
    engine = Driver(store, ("low",))
    assert uids(engine.step(1)) == [jobs[0].uid]
    engine.step(0, Ack(jobs[0].uid, 1, b""))
    store.lane.call("DEL", store.keys.of("sender", "s"))
    answer = store.enqueue("s", 1, jobs)
    assert answer == Enqueued(4, {}, frozenset())
    found = dump(store)
    assert_sound(found)
    assert found.queues["low"].ready == (jobs[2].uid, jobs[0].uid)
    assert found.queues["high"].ready == (jobs[1].uid, jobs[3].uid)
    assert found.stats["enqueued"] == 5
    assert {job.uid: job.stored for job in jobs} == found.jobs
    assert store.enqueue("s", 1, jobs) == answer
    assert dump(store) == found


@pytest.mark.direct  # likewise
def test_a_forgotten_request_of_one_job_is_repeated_without_harm(store: RedisStore) -> None:
    jobs = [new_job()]
    answer = store.enqueue("s", 1, jobs)
    before = dump(store)
    store.lane.call("DEL", store.keys.of("sender", "s"))
    assert store.enqueue("s", 1, jobs) == answer == Enqueued(1, {}, frozenset())
    assert dump(store) == before
    assert store.enqueue("s", 1, jobs) == answer


@pytest.mark.direct  # likewise
def test_a_forgotten_request_that_took_an_id_is_repeated_without_harm(store: RedisStore) -> None:
    engine = Driver(store)
    Sender(store).enqueue(new_job(id="mine"))
    taking = Taking(engine.claim().uid, "again", engine.engine, engine.n, 0, b"{}")
    jobs = [new_job(id="mine")]
    answer = store.enqueue("s", 1, jobs, taking=taking)
    before = dump(store)
    store.lane.call("DEL", store.keys.of("sender", "s"))
    assert store.enqueue("s", 1, jobs, taking=taking) == answer == Enqueued(1, {}, frozenset())
    assert dump(store) == before


@pytest.mark.parametrize("count", [1, 2])
def test_a_bell_of_another_type_is_no_reason_to_refuse_a_job(store: RedisStore, count: int) -> None:
    bell = store.keys.of("bell", "low")
    store.lane.call("SET", bell, "somebody else's")
    jobs = [new_job() for _ in range(count)]
    Sender(store).enqueue(*jobs)
    assert sorted(dump(store).queues["low"].ready) == sorted(job.uid for job in jobs)
    assert store.lane.call("GET", bell) == b"somebody else's"


def test_a_forgotten_request_that_is_repeated_gives_nobody_another_turn(store: RedisStore) -> None:
    jobs = [new_job(fair=FairKey(key)) for key in ('"a"', '"b"', '"a"')]
    store.enqueue("s", 1, jobs)
    before = dump(store)
    store.lane.call("DEL", store.keys.of("sender", "s"))
    store.enqueue("s", 1, jobs)
    assert dump(store) == before


@pytest.mark.parametrize(("weight", "turn"), [(0.0, LONGEST), (1e9, TURN // 100)])
def test_whatever_weight_somebody_else_writes_a_key_waits_for_some_time(
    store: RedisStore, weight: float, turn: int
) -> None:
    store.enqueue("s", 1, [new_job("low", fair=FairKey('"a"', weight))])
    assert dump(store).turns == {'low\0"a"': turn}


@pytest.mark.direct
def test_a_job_by_itself_costs_few_commands(store: RedisStore) -> None:
    sender, engine = Sender(store), Driver(store)
    known = engine.ask(0).parked_version
    for _ in range(2):  # the second time, all scripts are loaded
        job = new_job()
        uid, enqueue = job.uid, commands(store, partial(sender.enqueue, job))
        step = engine.make(1, parked_version=known)
        claim = commands(store, partial(store.step, step))
        step = engine.make(1, Ack(uid, engine.n, b"{}"), parked_version=known)
        end = commands(store, partial(store.step, step))
        step = engine.make(1, parked_version=known)
        nothing = commands(store, partial(store.step, step))
    assert sum(enqueue.values()) <= 9
    assert sum(claim.values()) <= 17
    assert sum(end.values()) <= 18
    assert sum(nothing.values()) <= 9


@pytest.mark.direct
def test_many_queues_without_jobs_cost_few_commands(store: RedisStore) -> None:
    sender, engine = Sender(store), Driver(store, tuple(f"q{n}" for n in range(1000)))
    engine.ask(0)
    sender.enqueue_new("q500")
    used = commands(store, lambda: engine.ask(1))
    assert sum(used.values()) <= 70


@pytest.mark.direct
def test_what_an_engine_holds_is_looked_up_not_searched(store: RedisStore) -> None:
    """To the server, a hash of few short values is a list."""
    sender, engine = Sender(store), Driver(store)
    sender.enqueue(*(new_job() for _ in range(97)))
    for _ in range(33):
        engine.step(1)
    engine.step(64)
    for key in store.keys.held(engine.engine):
        assert store.lane.call("OBJECT", "ENCODING", key) == b"hashtable"


def test_the_largest_batch_is_claimed_and_settled_in_every_way(store: RedisStore) -> None:
    """Lua can unpack 8,000 values: some commands need several for each job."""
    sender, engine = Sender(store), Driver(store, ("low",))
    for way in range(5):
        sender.enqueue(*(new_job(id=f"{way}:{i}") for i in range(1000)))
        claims = engine.step(1000)
        assert len(claims) == 1000
        claimed_by = engine.n
        ends = [
            (
                Ack(uid, claimed_by, b"{}"),
                RetryAt(uid, claimed_by, 3_600_000, 1, line("no")),
                DeadLetter(uid, claimed_by, 1, "gave_up", line("no")),
                Park(uid, claimed_by, "low", "noop"),
                Release(uid, claimed_by),
            )[way]
            for uid in uids(claims)
        ]
        engine.step(0, *ends)
    found = dump(store)
    assert_sound(found)
    assert found.stats["done"] == len(found.dead) == len(found.parked["low", "noop"]) == 1000
    dying = Driver(store, ("low",))
    assert len(dying.step(1000)) == 1000
    assert store.reap(dying.engine, store.observe()[dying.engine], 3).moved == 1000
    dead = list(found.dead)
    assert store.revive(*sender.next(), [(uid, "low") for uid in dead]).count == 1000
    for _ in range(4):
        store.purge(*sender.next(), "low", ["noop"], 1000)
    assert_sound(dump(store))
    assert dump(store).jobs == {}


def test_a_large_enqueue_is_written_whole_and_repeated_exactly(store: RedisStore) -> None:
    sender = Sender(store)
    known = [new_job(id=str(i)) for i in range(3000)]
    sender.enqueue(*known)
    number = sender.next()
    jobs = [new_job(id=str(i)) for i in range(6000)]
    first = store.enqueue(*number, jobs)
    assert store.enqueue(*number, jobs) == first
    assert first.existing.keys() == set(range(3000))
    assert_sound(dump(store))
    assert len(dump(store).jobs) == 6000


def test_what_somebody_else_wrote_of_asks_and_notes_is_nothing(store: RedisStore) -> None:
    engine, key = Driver(store), store.keys
    first, second = Sender(store).enqueue(new_job(), new_job())
    engine.step(1)
    store.lane.call("HSET", key.fixed("asked"), engine.engine, "abc")
    store.lane.call("HSET", key.of("asks", engine.engine), first, "nonsense")
    store.lane.call("HSET", key.fixed("notes"), second, "x" * (1 << 20))
    step = engine.make(1, Release(first, 1))
    for _ in range(2):
        reply = store.step(step)
        assert isinstance(reply, StepReply)
        assert (reply.asked, reply.asks, reply.cancelled, reply.notes) == (
            None,
            (),
            frozenset(),
            {},
        )
    beat = store.beat(engine.engine)
    assert isinstance(beat, Beat)
    assert beat.asked == 0


@pytest.mark.direct
def test_a_full_memory_drops_nothing_and_leaves_who_waits_for_room_in_line(
    own_server: Server,
) -> None:
    options = StoreOptions(
        max_lengths={"low": 1, "high": 1}, when_full={"low": "drop_oldest", "high": "wait"}
    )
    store = own_server.store(options=options)
    sender, waits = Sender(store), [new_job("high")]
    sender.enqueue(new_job("low"), new_job("high"))
    with pytest.raises(MustWait):
        store.enqueue(*sender.next(), waits, who=Enqueuer("c1"))
    own_server.call("SET", "ballast", b"x" * 20_000_000)
    own_server.call("CONFIG", "SET", "maxmemory", "10mb")
    before = dump(store)
    for jobs in ([new_job("low")], waits):
        with pytest.raises(StoreBusy, match="OOM"):
            store.enqueue(*sender.next(), jobs, who=Enqueuer("c1"))
    assert dump(store) == before
    assert len(Driver(store, ("high",)).step(1)) == 1, "draining goes on"
    assert store.wait_for("c1", [(waits[0].uid, None)])[0].state == "room"
    own_server.call("DEL", "ballast")
    assert store.enqueue(*sender.next(), waits, who=Enqueuer("c1")).taken == 1
    store.lane.close()
