"""Whatever takes several requests, with the world changed between any two of them.

Each question is asked once for each place between its requests. Its answer must be what was
true before the change or what is true after it; a command says what it did, and no job is lost
or moved by who didn't say so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import trioq
from tests.dump import dump
from tests.faults.network import NETWORK, ResendingLane
from tests.invariants import assert_sound
from tests.scene import Scene
from tests.store.drive import Driver, line
from tests.support import Server, cancelled_by, new_job
from trioq.client.admin import Admin
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt
from trioq.store import inspect
from trioq.store.keys import Keys
from trioq.store.redis import RedisStore

#: More requests than any method here makes.
PLACES = range(12)


class Between(ResendingLane):
    """A lane on which something happens before the n-th request, counted from 0."""

    place = -1
    requests = 0
    happens: Callable[[], None]

    def pipeline(self, *commands: Any, **options: Any) -> Any:
        if self.requests == self.place:
            self.happens()
        self.requests += 1
        return super().pipeline(*commands, **options)


class World:
    """A namespace, and an operator whose every request is a chance for others."""

    def __init__(self, server: Server, scene: Scene) -> None:
        self.scene = scene
        self.lane = Between(server.dial, "between")
        self.admin = Admin(RedisStore(Keys("t"), self.lane))
        self.claims: dict[str, int] = {}
        self.made = 0
        self.ids: dict[str, str] = {}

    def at(self, place: int, happens: Callable[[], None]) -> None:
        self.lane.place, self.lane.requests, self.lane.happens = place, 0, happens

    @property
    def was_reached(self) -> bool:
        """Whether there was a request at that place."""
        return self.lane.requests > self.lane.place

    # -- what others do --------------------------------------------------------------------

    def enqueue(self, queue: str = "low", **options: Any) -> str:
        self.made += 1
        (uid,) = self.scene.enqueue(new_job(queue, "noop", id=f"id {self.made}", **options))
        self.ids[uid] = f"id {self.made}"
        return uid

    def claimed(self, count: int = 1) -> None:
        """Or as many as there are: where an answer is lost, the request has changed the world
        already."""
        left = count
        while left and self.has_ready:  # a step that meets cancelled jobs claims fewer
            claims = self.scene.driver.step(left)
            self.claims |= {claim.uid: self.scene.driver.n for claim in claims}
            left -= len(claims)

    @property
    def has_ready(self) -> bool:
        return any(queue.in_line for queue in dump(self.scene.store).queues.values())

    def settled(self, uid: str, how: str) -> None:
        if (n := self.claims.pop(uid, None)) is None:
            return  # it was gone before it could be claimed
        settlement: Any = {
            "done": Ack(uid, n, b""),
            "dead": DeadLetter(uid, n, 1, "failures", line("no")),
            "scheduled": RetryAt(uid, n, 60_000, 1, line("no")),
            "ready": Release(uid, n),
            "parked": Park(uid, n, "low", "noop"),
        }[how]
        self.scene.driver.step(0, settlement)

    def cancelled(self, uid: str) -> None:
        cancelled_by(self.scene.store, *self.scene.sender.next(), uid, "low", "noop")

    def revived(self, *uids: str) -> int:
        places = [(uid, "low") for uid in uids]
        return self.scene.store.revive(*self.scene.sender.next(), places).count

    def purged(self, *uids: str) -> int:
        return self.scene.store.purge_dead(*self.scene.sender.next(), uids)

    def a_job(self, state: str) -> str:
        uid = self.enqueue(delay_ms=60_000 if state == "waits" else 0)
        if state in ("running", "done", "dead", "scheduled", "parked"):
            self.claimed()
        if state in ("done", "dead", "scheduled", "parked"):
            self.settled(uid, state)
        return uid

    def dead_jobs(self, count: int, queue: str = "low") -> list[str]:
        uids = [self.enqueue(queue) for _ in range(count)]
        self.claimed(count)
        for uid in uids:
            self.settled(uid, "dead")
        return uids

    def state(self, uid: str) -> str:
        """Where it is, or how it ended, by a look at everything."""
        now = dump(self.scene.store)
        for other, there in now.places():
            if other == uid:
                return there.partition(":")[0].replace("suspects", "ready")
        return now.ids[self.ids[uid]].partition(":")[0]

    def look(self) -> None:
        assert_sound(dump(self.scene.store))


@pytest.fixture
def world(server: Server, scene: Scene) -> Iterator[World]:
    world = World(server, scene)
    yield world
    world.lane.close()


Change = Callable[[World, str], None]


def claimed(world: World, uid: str) -> None:
    world.claimed()


def settled(how: str) -> Change:
    return lambda world, uid: world.settled(uid, how)


def cancelled(world: World, uid: str) -> None:
    world.cancelled(uid)


def revived(world: World, uid: str) -> None:
    assert world.revived(uid) == 1


def purged(world: World, uid: str) -> None:
    assert world.purged(uid) == 1


def both(first: Change, second: Change) -> Change:
    def change(world: World, uid: str) -> None:
        first(world, uid)
        second(world, uid)

    return change


#: Where a job is, and what becomes of it meanwhile.
CHANGES: dict[str, tuple[str, Change]] = {
    "ready, claimed": ("ready", claimed),
    "ready, done": ("ready", both(claimed, settled("done"))),
    "ready, dead": ("ready", both(claimed, settled("dead"))),
    "ready, cancelled": ("ready", cancelled),
    "ready, parked": ("ready", both(claimed, settled("parked"))),
    "running, done": ("running", settled("done")),
    "running, dead": ("running", settled("dead")),
    "running, to be tried again": ("running", settled("scheduled")),
    "running, given back": ("running", settled("ready")),
    "running, parked": ("running", settled("parked")),
    "scheduled, cancelled": ("scheduled", cancelled),
    "parked, cancelled": ("parked", cancelled),
    "dead, revived": ("dead", revived),
    "dead, revived and claimed": ("dead", both(revived, claimed)),
    "dead, purged": ("dead", purged),
}

change = pytest.mark.parametrize(("state", "happens"), CHANGES.values(), ids=CHANGES)
place = pytest.mark.parametrize("place", PLACES)


@change
def test_a_job_that_moves_while_it_is_looked_for_is_found_where_it_was_or_is(
    world: World, state: str, happens: Change
) -> None:
    for at in PLACES:
        uid = world.a_job(state)
        before = world.state(uid)
        world.at(at, functools.partial(happens, world, uid))
        view = world.admin.job(world.ids[uid])
        if not world.was_reached:
            break
        assert view is not None, at
        assert view.uid == uid
        assert view.state in (before, world.state(uid)), at
        world.look()
        _put_away(world, uid)


@change
def test_a_cancel_says_what_it_did(world: World, state: str, happens: Change) -> None:
    for at in PLACES:
        uid = world.a_job(state)
        before = world.state(uid)
        world.at(at, functools.partial(happens, world, uid))
        counted = inspect.stats(world.scene.store).counters.get("cancelled", 0)
        said = world.admin.cancel(world.ids[uid]).result
        if not world.was_reached:
            break
        gone = inspect.stats(world.scene.store).counters.get("cancelled", 0) - counted
        after = world.state(uid)
        if said == "cancelled":
            assert gone == 1
            assert uid not in dump(world.scene.store).jobs
        else:
            assert {"asked": "running"}.get(said, said) in (before, after), at
            assert gone == (happens is cancelled)
        world.look()
        _put_away(world, uid)


def _put_away(world: World, uid: str) -> None:
    """The next one is to be the only one."""
    if uid in world.claims:
        world.settled(uid, "done")
    world.cancelled(uid)
    if uid in dump(world.scene.store).dead:
        world.purged(uid)
    assert uid not in dump(world.scene.store).jobs


@place
@pytest.mark.parametrize("method", ["revive", "purge_dead"])
@pytest.mark.parametrize("others", ["revived", "purged"])
def test_bulk_work_counts_its_own_and_leaves_what_others_took(
    world: World, method: str, others: str, place: int
) -> None:
    uids = world.dead_jobs(20)
    taken = [uids[1], uids[7], uids[19]]
    theirs: list[int] = []
    world.at(place, lambda: theirs.append(getattr(world, others)(*taken)))
    counted = sum(getattr(world.admin, method)(trioq.DeadFilter(), page=6))
    now = dump(world.scene.store)
    key = {"revive": "revived", "purge_dead": "purged"}[method]
    assert now.stats.get(key, 0) == counted + (sum(theirs) if key == others else 0)
    assert counted + sum(theirs) == len(uids)
    assert not now.dead
    assert_sound(now)


@place
def test_who_dies_while_the_dead_are_revived_may_stay_and_is_not_lost(
    world: World, place: int
) -> None:
    uids = world.dead_jobs(12)
    late: list[str] = []
    world.at(place, lambda: late.extend(world.dead_jobs(4, "high")))
    counted = sum(world.admin.revive(trioq.DeadFilter(), page=5))
    now = dump(world.scene.store)
    assert set(now.queues["low"].ready) == set(uids)
    assert counted + len(now.dead) == len(uids) + len(late)
    assert_sound(now)


@place
def test_who_stays_dead_is_listed_once_whatever_others_do(world: World, place: int) -> None:
    uids = world.dead_jobs(10)

    def others_take_some() -> None:
        world.revived(uids[0], uids[4])
        world.purged(uids[5])

    world.at(place, others_take_some)
    listed = [view.uid for view in world.admin.dead()]
    assert len(listed) == len(set(listed))
    assert set(uids) - {uids[0], uids[4], uids[5]} <= set(listed) <= set(uids)


@place
def test_a_purge_forgets_what_waits_and_nothing_that_was_claimed(world: World, place: int) -> None:
    uids = [world.enqueue() for _ in range(15)]
    world.at(place, lambda: world.claimed(4))
    counted = sum(world.admin.purge("low", page=5))
    now = dump(world.scene.store)
    assert now.stats.get("purged", 0) == counted
    assert now.jobs.keys() == world.claims.keys() & set(uids)
    assert_sound(now)


@place
@pytest.mark.parametrize("who", ["a queue", "an engine", "a door"])
def test_a_count_is_of_one_moment_whoever_comes(world: World, who: str, place: int) -> None:
    world.dead_jobs(2)
    world.a_job("parked")
    world.a_job("running")
    world.enqueue()
    world.enqueue()

    def others_come() -> None:
        if who == "a queue":
            world.scene.enqueue(new_job("elsewhere"), new_job("elsewhere"))
        elif who == "an engine":
            Driver(world.scene.store).step(2)
        else:
            other = Driver(world.scene.store)
            claims = other.step(2)
            other.step(0, *(Park(claim.uid, 1, "low", "strange") for claim in claims))

    world.at(place, others_come)
    seen = world.admin.stats()
    assert seen.placed == seen.records
    assert seen.records in ((6, 8) if who == "a queue" else (6,))
    assert seen.running == sum(queue.running for queue in seen.queues.values())


@place
def test_who_looks_at_a_queue_sees_what_waited_in_it(world: World, place: int) -> None:
    uids = [world.enqueue() for _ in range(4)]

    def others_claim() -> None:
        world.claimed(2)
        world.settled(uids[0], "done")

    world.at(place, others_claim)
    seen = [view.uid for view in world.admin.peek("low", 10)]
    assert seen == [uid for uid in uids if uid in seen]
    assert set(uids[2:]) <= set(seen)


# -- what engines ask in several requests ------------------------------------------------------


@place
def test_an_engine_that_claims_while_it_is_reaped_lives(world: World, place: int) -> None:
    engine = world.scene.driver
    world.enqueue()
    world.claimed()
    seen = world.scene.store.observe()[engine.engine]
    for queue in ("high", "low"):
        world.scene.enqueue(new_job(queue))
    world.at(place, lambda: world.claimed(2))
    reaped = world.admin.store.reap(engine.engine, seen, 3)
    if world.was_reached:
        assert reaped.word != "reaped"
        assert len(dump(world.scene.store).running[engine.engine]) == 3
    else:
        assert (reaped.word, reaped.moved) == ("reaped", 1)
    world.look()


@place
def test_an_engine_that_is_reaped_while_it_signs_off_loses_no_job(world: World, place: int) -> None:
    engine = world.scene.driver
    for queue in ("high", "low"):
        world.scene.enqueue(new_job(queue))
    world.claimed(2)

    def is_reaped() -> None:
        seen = world.scene.store.observe().get(engine.engine)
        if seen is not None:  # else it has signed off, and will say so again
            assert world.scene.store.reap(engine.engine, seen, 3).word == "reaped"

    world.at(place, is_reaped)
    world.admin.store.sign_off(engine.engine)
    now = dump(world.scene.store)
    waiting = sum(len(queue.ready) + len(queue.suspects) for queue in now.queues.values())
    assert (waiting, len(now.jobs), now.running) == (2, 2, {})
    assert_sound(now)


@place
def test_a_job_that_a_new_engine_claims_while_it_is_cancelled_runs(
    world: World, place: int
) -> None:
    uid = world.enqueue()
    view = inspect.find(world.scene.store, uid)
    assert view is not None

    claimed: list[str] = []

    def a_new_engine_claims() -> None:
        if world.has_ready:  # else it was cancelled, and who did will ask again
            claimed.append(Driver(world.scene.store).claim().uid)

    world.at(place, a_new_engine_claims)
    word = cancelled_by(world.admin.store, "operator", 1, uid, "low", "noop")
    assert (word, claimed) in [("asked", [uid]), ("cancelled", [])]
    if NETWORK != "lost":  # where answers are lost, some places are behind the cancel
        assert bool(claimed) == world.was_reached
    assert len(dump(world.scene.store).running) == len(claimed)
    world.look()
