"""Both stores: claims that one step made of a queue lie together, and each is one of its own still.

On the server, that is; the specification knows nothing of it.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.store.drive import Driver, line
from tests.store.world import Make, World, uids
from tests.support import Server, new_job
from trioq.core.calls import Note, Unwanted
from trioq.core.settlements import Ack, Cancel, DeadLetter, Deliver, Park, Release, RetryAt
from trioq.store import inspect, kept
from trioq.store.redis import RedisStore


def claimed(w: World, count: int) -> tuple[Driver, list[str]]:
    """An engine, and what its first step has claimed."""
    w.sender.enqueue(*(new_job("low") for _ in range(count)))
    engine = w.engine()
    return engine, uids(engine.step(count))


def packs(w: World, engine: Driver) -> dict[bytes, bytes]:
    assert isinstance(w.store, RedisStore)
    flat = w.store.lane.call("HGETALL", w.store.keys.of("packs", engine.engine))
    return dict(zip(flat[::2], flat[1::2], strict=True))


def alone(w: World, engine: Driver) -> int:
    assert isinstance(w.store, RedisStore)
    return int(w.store.lane.call("HLEN", w.store.keys.running(engine.engine)))


def packed(*uids: str) -> bytes:
    return f"{len(uids)}:{' '.join(uids)}".encode()


@pytest.mark.parametrize("pack_max", [1, 2, 3, 64])
def test_each_is_held_by_its_step_in_the_order_of_the_queue(world: Make, pack_max: int) -> None:
    w = world(pack_max=pack_max)
    engine, mine = claimed(w, 7)
    held = w.dump().running[engine.engine]
    assert sorted(held, key=lambda uid: held[uid].i) == mine
    assert [held[uid].i for uid in mine] == [1, 2, 3, 4, 5, 6, 7]
    assert {hold.queue for hold in held.values()} == {"low"}


def test_those_of_one_queue_lie_together_up_to_a_number(world: Make) -> None:
    w = world(pack_max=3)
    high = w.new("high", "high")
    engine, _ = claimed(w, 0)
    low = w.new("low", "low", "low", "low")
    engine.step(9)
    if isinstance(w.store, RedisStore):
        assert packs(w, engine) == {b"2:1:high": packed(*high), b"2:3:low": packed(*low[:3])}
        assert alone(w, engine) == 1
    assert engine.ask(0).held == len(w.dump().running[engine.engine]) == 6


def test_a_pack_that_ends_whole_is_gone(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 5)
    assert engine.ask(0, *(Ack(uid, 1) for uid in mine[:3])).held == 2
    if isinstance(w.store, RedisStore):
        assert packs(w, engine) == {b"1:4:low": packed(*mine[3:])}
    assert engine.ask(0, *(Ack(uid, 1) for uid in mine[3:])).held == 0
    assert w.dump().jobs == {}
    assert w.dump().running == {}


def test_few_lie_alone(world: Make) -> None:
    w = world(pack_max=8)
    engine, mine = claimed(w, 11)
    if isinstance(w.store, RedisStore):
        assert packs(w, engine) == {b"1:1:low": packed(*mine[:8])}
        assert alone(w, engine) == 3
    engine.step(0, Ack(mine[4], 1))
    if isinstance(w.store, RedisStore):
        assert packs(w, engine) == {}
    held = w.dump().running[engine.engine]
    assert sorted(held[uid].i for uid in held) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_a_pack_ends_only_with_all_of_it(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 5)
    others = mine[1:3]
    reply = engine.ask(0, *(Ack(uid, 1) for uid in mine if uid not in others))
    assert (reply.refused, reply.held) == (frozenset(), 2)
    assert set(w.dump().running[engine.engine]) == set(others)


@pytest.mark.parametrize("odd", ["a b", " ", "-", "", "a\n", "a:b", "3:a"])
def test_any_uid_is_a_job_of_its_own(world: Make, odd: str) -> None:
    """Ours are all alike, but others may have written some."""
    w = world()
    jobs = [new_job("low"), attrs.evolve(new_job("low"), uid=odd), new_job("low")]
    mine = w.sender.enqueue(*jobs)
    engine = w.engine()
    assert uids(engine.step(3)) == mine
    assert set(w.dump().running[engine.engine]) == set(mine)
    assert engine.ask(0, Ack(mine[0], 1), Ack(odd, 1)).held == 1
    assert engine.ask(0, Release(mine[2], 1)).held == 0
    assert w.queue("low").ready == (mine[2],)
    assert w.dump().stats["done"] == 2


@pytest.mark.parametrize("order", ["012", "021", "102", "120", "201", "210", "02", "20", "1", "12"])
def test_some_of_a_pack_may_end_in_any_order(world: Make, order: str) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    ended = [mine[int(n)] for n in order]
    reply = engine.ask(0, *(Ack(uid, 1) for uid in ended))
    assert (reply.refused, reply.held) == (frozenset(), 3 - len(ended))
    assert w.dump().jobs.keys() == set(mine) - set(ended)
    w.store.sign_off(engine.engine)
    assert w.queue("low").ready == tuple(uid for uid in mine if uid not in ended)


def test_what_is_left_of_a_pack_has_its_places_still(world: Make) -> None:
    w = world(pack_max=6)
    engine, mine = claimed(w, 6)
    engine.step(0, Ack(mine[0], 1), Ack(mine[2], 1))
    if isinstance(w.store, RedisStore):
        assert packs(w, engine) == {b"1:4:low": packed(*mine[3:])}
        assert alone(w, engine) == 1
    held = w.dump().running[engine.engine]
    assert {uid: held[uid].i for uid in held} == {mine[n - 1]: n for n in (2, 4, 5, 6)}
    engine.step(0, *(Release(uid, 1) for uid in reversed(list(held))))
    assert w.queue("low").ready == (mine[1], *mine[3:])


def test_those_that_are_left_alone_are_looked_up_not_searched(server: Server) -> None:
    w, store = on_server(server, pack_max=64)
    engine, mine = claimed(w, 64)
    engine.step(0, Ack(mine[-1], 1))
    assert alone(w, engine) == 63
    running = store.keys.running(engine.engine)
    assert store.lane.call("OBJECT", "ENCODING", running) == b"hashtable"


def test_a_pack_may_end_in_many_ways_at_once(world: Make) -> None:
    w = world(pack_max=8)
    engine, mine = claimed(w, 8)
    reply = engine.ask(
        0,
        Release(mine[7], 1),
        Park(mine[6], 1, "low", "noop"),
        RetryAt(mine[5], 1, 1000, 1, line("no")),
        DeadLetter(mine[4], 1, 1, "failures", line("no")),
        Cancel(mine[3], 1, b"{}"),
        Deliver(mine[2], 1, 1000, "done", b"5"),
        Ack(mine[0], 1),
        Ack(mine[1], 1),
    )
    assert (reply.refused, reply.held) == (frozenset(), 0)
    left = w.dump()
    assert (left.stats["done"], left.stats["cancelled"]) == (3, 1)
    assert (set(left.dead), left.parked["low", "noop"]) == ({mine[4]}, (mine[6],))
    assert (set(left.queues["low"].scheduled), left.queues["low"].ready) == ({mine[5]}, (mine[7],))


def test_of_two_who_speak_of_one_claim_the_earlier_counts(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    ends = [Deliver(uid, 1, 1000, "done", b"5") for uid in mine]
    reply = engine.ask(0, Ack(mine[1], 1), *ends)
    assert (reply.refused, reply.held) == ({mine[1]}, 0)
    assert set(w.dump().results) == {mine[0], mine[2]}


def test_a_whole_pack_is_settled_once(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 4)
    acks = [Ack(uid, 1) for uid in (mine[3], *mine[:3])]
    reply = engine.ask(0, *acks, *(Deliver(uid, 1, 1000, "done", b"5") for uid in mine))
    assert (reply.refused, reply.held) == (set(mine), 0)
    assert w.dump().results == {}
    assert engine.ask(0, *acks).refused == set(mine)
    assert w.dump().stats["done"] == 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_another_steps_claims_are_not_ended(world: Make, count: int) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    before = w.dump().running
    reply = engine.ask(0, *(Ack(uid, 2) for uid in mine[:count]))
    assert (reply.refused, reply.held) == (set(mine[:count]), 3)
    assert w.dump().running == before


def test_beside_a_pack_another_steps_claim_is_not_ended(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    (uid,) = w.new("low")
    engine.step(1)
    assert engine.ask(0, Ack(mine[0], 1), Ack(uid, 1)).refused == {uid}
    assert set(w.dump().running[engine.engine]) == {*mine[1:], uid}


def test_who_would_go_back_to_a_queue_that_a_step_does_not_name_stays(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    engine.queues = ("high",)
    reply = engine.ask(0, Ack(mine[0], 1), *(Release(uid, 1) for uid in mine[1:]))
    assert (reply.refused, reply.held) == (set(mine[1:]), 2)
    assert set(w.dump().running[engine.engine]) == set(mine[1:])


def test_nor_does_a_whole_pack(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    engine.queues = ("high",)
    reply = engine.ask(0, *(Release(uid, 1) for uid in mine))
    assert (reply.refused, reply.held) == (set(mine), 3)
    assert set(w.dump().running[engine.engine]) == set(mine)


def test_a_step_that_comes_again_is_told_what_it_claimed(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 4)
    later = w.new("high", "high", "low", "low", "low", "low")
    step = engine.make(6, Ack(mine[0], 1), Ack("nobody", 1), Release(mine[3], 1))
    first = w.store.step(step)
    again = w.store.step(step)
    assert again.word == "again"
    claims = [*later[:2], mine[3], *later[2:5]]
    assert uids(first.claims) == uids(again.claims) == claims
    assert (again.held, again.refused) == (8, {"nobody"})


def test_a_reap_makes_suspects_of_all_in_their_order(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 7)
    engine.step(0, Ack(mine[1], 1), Ack(mine[6], 1))
    assert w.reap(engine).moved == 5
    assert w.queue("low").suspects == (mine[0], *mine[2:6])
    assert w.dump().reaps == {}, "none ran alone"


def test_who_is_the_last_of_a_pack_ran_alone(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    engine.step(0, Ack(mine[0], 1), Ack(mine[2], 1))
    w.reap(engine)
    assert w.dump().reaps == {mine[1]: 1}


def test_one_in_the_middle_may_be_asked_to_end(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    wish = [Unwanted(mine[1], "low", "noop", b"{}")]
    assert w.store.cancel(*w.sender.next(), wish) == ["asked"]
    (ask,) = engine.ask(0).asks
    assert (ask.uid, ask.step) == (mine[1], 1)
    reply = engine.ask(0, *(Release(uid, 1) for uid in mine))
    assert (reply.cancelled, reply.held) == ({mine[1]}, 0)
    assert w.queue("low").ready == (mine[0], mine[2])
    assert w.dump().asks == {}


def test_what_has_left_a_pack_is_nobodys_to_ask(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    engine.step(0, Release(mine[1], 1))
    wish = [Unwanted(mine[1], "low", "noop", b"{}")]
    assert w.store.cancel(*w.sender.next(), wish) == ["cancelled"]
    assert mine[1] not in w.dump().jobs


def test_a_reap_cancels_whom_somebody_asked_to_end(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    w.store.cancel(*w.sender.next(), [Unwanted(mine[1], "low", "noop", b"{}")])
    assert w.reap(engine).cancelled == (mine[1],)
    assert w.queue("low").suspects == (mine[0], mine[2])


def test_notes_are_of_the_claim_that_there_is(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 3)
    engine.step(0, Ack(mine[0], 1))
    said = [Note(mine[0], 1, b"1"), Note(mine[1], 2, b"2"), Note(mine[2], 1, b"3")]
    assert w.store.note(engine.engine, said) == {mine[0], mine[1]}
    assert w.dump().notes == {mine[2]: b"3"}


def test_a_beat_counts_all_that_is_held(world: Make) -> None:
    w = world(pack_max=3)
    engine, mine = claimed(w, 7)
    beat: Any = w.store.beat(engine.engine)
    assert beat.held == 7
    engine.step(0, *(Ack(uid, 1) for uid in mine[1:5]))
    beat = w.store.beat(engine.engine)
    assert beat.held == engine.ask(0).held == 3


# -- who looks, and other versions -------------------------------------------------------------


def on_server(server: Server, **options: Any) -> tuple[World, RedisStore]:
    w = World.of("redis", server, **options)
    assert isinstance(w.store, RedisStore)
    return w, w.store


def test_people_see_each_job_of_a_pack(server: Server) -> None:
    w, store = on_server(server, pack_max=3)
    engine, mine = claimed(w, 4)
    engine.step(0, Ack(mine[0], 1))
    held = mine[1:]
    assert [view.uid for view in inspect.held(store, engine.engine)] == sorted(held)
    assert inspect.running(store, [*mine, "nobody"]) == set(held)
    for uid in held:
        view = inspect.find(store, uid)
        assert view is not None
        assert (view.state, view.engine) == ("running", engine.engine)
    counted = inspect.stats(store, ["low"])
    assert (counted.queues["low"].running, counted.running) == (3, 3)


def test_what_an_engine_of_an_older_version_held_is_given_back(server: Server) -> None:
    w, store = on_server(server)
    mine = w.new("low", "low", "low")
    ready, running = store.keys.of("ready", "low"), store.keys.running("old.1")
    store.lane.call("DEL", ready)
    for i, uid in enumerate(mine, 1):
        store.lane.call("HSET", running, uid, f"7:{i}::low")
    for key, value in (("steps", "7"), ("beats", "5"), ("engines", "{}")):
        store.lane.call("HSET", store.keys.fixed(key), "old.1", value)
    assert store.reap("old.1", store.observe()["old.1"], 3).moved == 3
    assert w.queue("low").suspects == tuple(mine)


@pytest.mark.direct  # counts how often it beats
def test_an_older_version_takes_no_count_of_beats_for_an_engines(server: Server) -> None:
    """It would reap what it knows of, and forget the packs."""
    w, store = on_server(server)
    engine, _ = claimed(w, 3)
    for beats in range(3):
        count = store.lane.call("HGET", store.keys.fixed("beats"), engine.engine)
        assert not kept.is_number(count), "that is how older versions tell an engine's"
        assert w.dump().beats[engine.engine] == beats
        store.beat(engine.engine)


@pytest.mark.parametrize("field", [b"1:1:low", b"odd", b"1:1"])
@pytest.mark.parametrize("there", ["{}", "3: {}", "x:{}", ":{}"])
def test_who_lies_where_nobody_can_read_it_is_dead_and_not_lost(
    server: Server, field: bytes, there: str
) -> None:
    w, store = on_server(server, pack_max=3)
    engine, mine = claimed(w, 5)
    key = store.keys.of("packs", engine.engine)
    store.lane.call("HDEL", key, "1:1:low")
    store.lane.call("HSET", key, field, there.format(" ".join(mine[:3])))
    w.store.sign_off(engine.engine)
    assert w.store.reap(engine.engine, w.store.observe()[engine.engine], 3).word == "reaped"
    assert set(w.dump().dead) == set(mine[:3])
    assert w.queue("low").ready == tuple(mine[3:])
