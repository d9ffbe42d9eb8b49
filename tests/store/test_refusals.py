"""A script that Redis refuses in the middle has written nothing before.

Redis doesn't roll back. So each script is run in a namespace that has something of everything,
where one key is of the wrong type, or where the user lacks one command: what is refused must
leave all keys as they were.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import attrs
import pytest

from tests.dump import dump
from tests.invariants import assert_sound
from tests.store.drive import Driver, Sender, line, open_room
from tests.support import Server, cancelled_by, new_job
from trioq.core.calls import (
    Admit,
    BreakerNews,
    Enqueuer,
    MustWait,
    NewJob,
    Note,
    Pausing,
    Rate,
    Replaced,
    Replacing,
    Step,
    StepReply,
    Taking,
    Unwanted,
)
from trioq.core.fair import FairKey
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.tick import Mark, Tick, Ticked
from trioq.core.seen import Sighting
from trioq.core.settlements import (
    Ack,
    Cancel,
    DeadLetter,
    Deliver,
    Park,
    Release,
    RetryAt,
    Settlement,
)
from trioq.errors import StoreRefused
from trioq.store.checks import called_by_scripts, minimal_acl
from trioq.store.keys import CATALOGUE, Keys
from trioq.store.lane import Lane
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

NOW_MS = 10_000_000
TICK_MS = NOW_MS // 2


@attrs.define
class World:
    """A namespace with something of everything, and who is in it."""

    store: RedisStore
    sender: Sender
    engine: Driver
    """Holds eight jobs and a suspect; one of them is to end."""
    dying: str
    """Holds three, one of which was a suspect before, and one of which is to end."""
    uids: dict[str, Any] = attrs.field(factory=dict[str, Any])


def build(store: RedisStore, clock: list[int]) -> World:
    """Make it, hour by hour."""
    sender, dying, engine = Sender(store), Driver(store), Driver(store)
    world = World(store, sender, engine, dying.engine)
    file = new_job(seen=("path", "1:2"))
    big = new_job(payload=b'{"x":"%s"}' % (b"y" * 9000), id="big")
    assert store.enqueue(*sender.next(), [file, big], rate=Rate("scan", 1000, 10)).taken == 2
    first, world.uids["dead"] = (claim.uid for claim in engine.step(2))
    dies = DeadLetter(world.uids["dead"], 1, 1, "failures", line("x"))
    engine.step(0, Ack(first, 1, b"{}"), dies)
    sender.enqueue_new(id="ended")
    engine.step(0, Ack(engine.claim().uid, engine.n))
    for keep_ms in (1000, 90_000_000):
        sender.enqueue_new()
        uid = engine.claim().uid
        engine.step(0, Deliver(uid, engine.n, keep_ms, "done", b"5"))

    sender.enqueue(*(new_job(id=f"suspect-{n}") for n in range(3)))
    for _ in range(2):
        killed = Driver(store)
        killed.step(3)
        store.reap(killed.engine, store.observe()[killed.engine], 9)
    sender.enqueue(new_job("high"), new_job())
    to_end = [dying.step(3)[-1].uid]
    world.uids["parked"] = [sender.enqueue_new(name="unknown") for _ in range(3)]
    claims = engine.step(4)
    engine.step(0, *(Park(c.uid, engine.n, "low", "unknown") for c in claims if not c.suspect))
    *_, world.uids["run"] = sender.enqueue(
        *(new_job(fair=FairKey('"a"') if n % 2 else None) for n in range(7)), new_job(id="held")
    )
    reply = store.step(Step(engine.engine, engine.n + 1, 8, engine.queues, suspect=False))
    assert isinstance(reply, StepReply)
    engine.n += 1
    world.uids["held"] = [(claim.uid, engine.n) for claim in reply.claims]
    to_end.append(reply.claims[-1].uid)
    store.cancel(*sender.next(), [Unwanted(uid, "low", "noop", b"{}", 1000) for uid in to_end])
    cancelled_by(store, *sender.next(), world.uids["parked"][0], "low", "unknown")
    store.breakers(engine.engine, [BreakerNews("api", bad=1)])
    store.declare_limits(engine.engine, {"two": LimitSettings(concurrency=2)})
    store.note(engine.engine, [Note(claim.uid, engine.n, b"1") for claim in reply.claims])

    world.uids["later"] = sender.enqueue_new(delay_ms=48 * 3_600_000, id="later")
    sender.enqueue_new(delay_ms=1000, fair=FairKey('"b"'))
    open_room(sender)
    store.pause(*sender.next(), "=slow", True, Pausing(for_ms=1000))
    world.uids["ready"] = sender.enqueue(
        *(new_job(id=f"ready-{n}", takes=("all",)) for n in range(4))
    )
    sender.enqueue(*(new_job(fair=FairKey('"a"')) for _ in range(2)))
    cancelled = sender.enqueue_new(id="cancelled")
    cancelled_by(store, *sender.next(), cancelled, "low", "noop")
    store.pause(*sender.next(), "high", True)
    held = [uid for uid, _ in world.uids["held"]]
    waiting = [*held, *world.uids["parked"], *world.uids["ready"], world.uids["later"]]
    store.wait_for("c1", [(uid, None) for uid in waiting])
    sender.enqueue_new("crowded")
    in_line(world, new_job("low"))
    clock[0] += 25 * 3_600_000
    world.uids["in line"] = in_line(world, new_job("low"))
    return with_schedules(world)


def step_of(world: World) -> None:
    verbs: list[Callable[[str, int], Settlement]] = [
        Ack,
        lambda uid, n: RetryAt(uid, n, 1000, 1, line("again")),
        lambda uid, n: DeadLetter(uid, n, 1, "failures", line("x")),
        Release,
        lambda uid, n: Park(uid, n, "low", "other"),
        lambda uid, n: Deliver(uid, n, 1000, "done", b"5", b"{}"),
        lambda uid, n: Cancel(uid, n, b"{}", 1000),
        Release,
    ]
    settlements = [verb(uid, n) for verb, (uid, n) in zip(verbs, world.uids["held"], strict=True)]
    admits = (Admit("low", "unknown", 2),)
    n = world.engine.n + 1
    world.store.step(
        Step(world.engine.engine, n, 8, ("high", "low"), True, admits, tuple(settlements))
    )


def claim(world: World) -> None:
    n = world.engine.n + 1
    world.store.step(Step(world.engine.engine, n, 8, ("high", "low"), True))


def enqueue(world: World) -> None:
    jobs = [
        new_job(id="new", takes=("all",)), new_job("other", delay_ms=5),
        new_job(fair=FairKey('"a"')),
        new_job(seen=("another", "1:2")), new_job(payload=b'{"x":"%s"}' % (b"y" * 9000)),
    ]  # fmt: skip
    world.store.enqueue(*world.sender.next(), jobs, rate=Rate("scan", 1000, 10))


def enqueue_plain(world: World) -> None:
    world.store.enqueue(*world.sender.next(), [new_job(), new_job("other"), new_job()])


def bounded(world: World) -> RedisStore:
    """The same as somebody uses it who says of its queues how long they may be."""
    options = attrs.evolve(
        world.store.options,
        max_lengths={"low": 1, "crowded": 1, "roomy": 5},
        when_full={"low": "wait", "crowded": "drop_oldest", "roomy": "wait"},
    )
    return RedisStore(world.store.keys, world.store.lane, options)


def in_line(world: World, job: NewJob) -> str:
    with suppress(MustWait):
        bounded(world).enqueue(*world.sender.next(), [job], who=Enqueuer("c1"))
    return job.uid


def with_schedules(world: World) -> World:
    """One of them has a run."""
    for n, name in enumerate(("nightly", "hourly"), 1):
        world.store.put_schedule(*world.sender.next(), name, b"1", n * TICK_MS)
    ticked(world, "nightly", TICK_MS)
    for digest, name in ("0", "left out"), ("1", "listed"):
        said = SaidList("one", digest, (Listed(name, b"1", 5),))
        assert world.store.list_schedules(world.engine.engine, said).word == "ok"
    return world


def ticked(world: World, name: str, at_ms: int) -> None:
    job = new_job(id=f"schedule:{name}:{at_ms}")
    move = Tick(
        name, b"1", at_ms, max(3 * TICK_MS, at_ms + TICK_MS), (Mark(at_ms, "fired", 0, job.uid),), 1
    )
    assert world.store.tick(*world.sender.next(), move, job) == Ticked("ok")


def enqueue_bounded(*queues: str) -> Callable[[World], Any]:
    return lambda w: bounded(w).enqueue(*w.sender.next(), [new_job(queue) for queue in queues])


def cancel(uid: Callable[[World], str], name: str = "noop") -> Callable[[World], Any]:
    return lambda w: cancelled_by(w.store, *w.sender.next(), uid(w), "low", name)


def replaced(world: World, job: NewJob) -> None:
    assert world.store.replace(*world.sender.next(), Replacing(job)) == Replaced("replaced")


def taken(how: Literal["dead", "again", "supersede"], whose: str) -> Callable[[World], None]:
    """From who has it."""

    def take(w: World) -> None:
        uid, id = w.uids[whose], {"run": "held", "dead": "big"}[whose]
        step = dict(w.uids["held"]).get(uid, 0)
        taking = Taking(uid, how, w.engine.engine, step)
        assert w.store.enqueue(*w.sender.next(), [new_job(id=id)], taking=taking).taken == 1

    return take


OPERATIONS: dict[str, Callable[[World], Any]] = {
    "enqueue": enqueue,
    "enqueue plain": enqueue_plain,
    "step": step_of,
    "step that only claims": claim,
    "beat": lambda w: w.store.beat(w.engine.engine),
    "register": lambda w: w.store.register(f"e.{secrets.token_hex(16)}", b"{}"),
    "reap": lambda w: w.store.reap(w.dying, w.store.observe()[w.dying], 2),
    "reap to death": lambda w: w.store.reap(w.dying, w.store.observe()[w.dying], 1),
    "sign off": lambda w: w.store.sign_off(w.engine.engine),
    "replace ready": lambda w: replaced(w, new_job(id="ready-1", uid=w.uids["ready"][1])),
    "replace scheduled": lambda w: replaced(w, new_job(id="later", uid=w.uids["later"])),
    "take the id of a run": taken("again", "run"),
    "take the id of a run that shall end": taken("supersede", "run"),
    "take the id of a dead job": taken("dead", "dead"),
    "cancel ready": cancel(lambda w: w.uids["ready"][1]),
    "cancel scheduled": cancel(lambda w: w.uids["later"]),
    "cancel parked": cancel(lambda w: w.uids["parked"][1], "unknown"),
    "cancel running": cancel(lambda w: w.uids["held"][0][0]),
    "note": lambda w: w.store.note(w.engine.engine, [Note(*w.uids["held"][0], b"2")]),
    "note files": lambda w: w.store.note_files([Sighting("path", "1:2", True)], 1),
    "revive": lambda w: w.store.revive(*w.sender.next(), [(w.uids["dead"], "low")]),
    "purge": lambda w: w.store.purge(*w.sender.next(), "low", ["unknown"], 100),
    "purge dead": lambda w: w.store.purge_dead(*w.sender.next(), [w.uids["dead"]]),
    "breakers": lambda w: w.store.breakers(w.engine.engine, [BreakerNews("api", turn=1, good=9)]),
    "hasten": lambda w: w.store.hasten(*w.sender.next(), "low", w.uids["later"]),
    "reset breaker": lambda w: w.store.reset_breaker(*w.sender.next(), "api"),
    "pause": lambda w: w.store.pause(*w.sender.next(), "low", True),
    "pause of a name": lambda w: w.store.pause(*w.sender.next(), "@unknown", True),
    "resume": lambda w: w.store.pause(*w.sender.next(), "high", False),
    "pause of a key": lambda w: w.store.pause(*w.sender.next(), "=one", True),
    "resume of a key": lambda w: w.store.pause(*w.sender.next(), "=one", False),
    "forget queues": lambda w: w.store.forget_queues(["high"]),
    "set limits": lambda w: w.store.set_limits({"one": LimitSettings(concurrency=3)}, 3),
    "declare limits": lambda w: w.store.declare_limits(
        w.engine.engine, {"one": LimitSettings(concurrency=3)}
    ),
    "ring bells": lambda w: w.store.ring_bells(["low"]),
    "wait for": lambda w: w.store.wait_for("c2", [(uid, "ready-1") for uid in w.uids["ready"]]),
    "enqueue, and wait": lambda w: in_line(w, new_job("low")),
    "enqueue, and drop": enqueue_bounded("crowded"),
    "enqueue where others wait": enqueue_bounded("roomy"),
    "wait for room": lambda w: w.store.wait_for("c1", [(w.uids["in line"], None)]),
    "step aside": lambda w: w.store.step_aside("low", [w.uids["in line"]]),
    "tick": lambda w: ticked(w, "hourly", 2 * TICK_MS),
    "tick after a run": lambda w: ticked(w, "nightly", 3 * TICK_MS),
    "put a schedule": lambda w: w.store.put_schedule(*w.sender.next(), "new", b"1", 5),
    "change a schedule": lambda w: w.store.put_schedule(*w.sender.next(), "hourly", b"2", 5),
    "remove a schedule": lambda w: w.store.put_schedule(*w.sender.next(), "nightly", b"", None),
    "list schedules": lambda w: w.store.list_schedules(
        w.engine.engine, SaidList("", "1", (Listed("new", b"1", 5),))
    ),
    "unlist schedules": lambda w: w.store.list_schedules(
        w.engine.engine, SaidList("one", "2", (Listed("another", b"1", 5),))
    ),
    "expire": lambda w: w.store.expire_parked("low", "unknown", 1, line("unknown")),
}


@attrs.define
class Stage:
    """Sets the same scene again and again."""

    server: Server
    world: World
    _scene: dict[bytes, bytes]
    _sender_n: int
    _engine_n: int

    def set(self) -> None:
        """As it was when it was built."""
        lane = self.world.store.lane
        lane.pipeline(
            [("FLUSHALL",), *(("RESTORE", key, 0, value) for key, value in self._scene.items())]
        )
        self.world.sender.n, self.world.engine.n = self._sender_n, self._engine_n

    def keys(self) -> dict[bytes, bytes]:
        return all_keys(self.server)


def all_keys(server: Server) -> dict[bytes, bytes]:
    """What each key holds, byte for byte."""
    names = sorted(server.call("KEYS", "*"))
    lane = server.lane("dump")
    values = lane.pipeline([("DUMP", name) for name in names])
    lane.close()
    return dict(zip(names, values, strict=True))


@pytest.fixture(scope="module")
def built() -> Iterator[Stage]:
    """The scene, on a server of this module's own."""
    clock = [NOW_MS]
    server = Server().start()
    # As lists: a table's order changes while it grows, also by being read.
    for what, most in (("value", 100_000), ("entries", 1000)):
        server.call("CONFIG", "SET", f"hash-max-listpack-{what}", most)
    server.call("ACL", "SETUSER", "worker", "on", ">pw", *minimal_acl("t"), "+keys", "+dump",
                "+restore", "+flushall")  # fmt: skip
    lane = Lane(partial(server.dial, username="worker", password="pw"), "worker")
    store = RedisStore(Keys("t"), lane, StoreOptions(clock_ms=lambda: clock[0], pack_max=3))
    world = build(store, clock)
    assert_sound(dump(server.store("t")))
    yield Stage(server, world, all_keys(server), world.sender.n, world.engine.n)
    lane.close()
    server.close()


@pytest.fixture
def stage(built: Stage) -> Stage:
    """As it was built."""
    built.set()
    return built


def refused(stage: Stage, operation: str) -> bool:
    """Try it; whatever is refused must have changed nothing."""
    before = stage.keys()
    try:
        OPERATIONS[operation](stage.world)
    except StoreRefused:
        assert stage.keys() == before
        return True
    return False


@pytest.mark.direct
def test_every_script_is_tried(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, run = set[str](), RedisStore._execute

    def noted(store: RedisStore, name: str, *args: Any, **more: Any) -> Any:
        tried.add(name)
        return run(store, name, *args, **more)

    monkeypatch.setattr(RedisStore, "_execute", noted)
    for operation in OPERATIONS.values():
        stage.set()
        operation(stage.world)
    assert tried == {script.name for script in all_scripts()}


@pytest.mark.direct
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_refused_for_a_key_of_the_wrong_type_changes_nothing(
    stage: Stage, operation: str
) -> None:
    assert not refused(stage, operation), "on whole data it isn't refused"
    used = {doc.name.partition(":")[0] for doc in CATALOGUE if doc.type != "STRING"}
    names = {key.decode().split(":")[1] for key in stage._scene}
    assert used - {"strays", "sampler", "shown"} <= names, "there is something of everything"
    count = 0
    for key in [*stage._scene, b"{t}:strays", b"{t}:limit:scan"]:
        stage.set()
        wrong = ("SET", key, "x") if b":sender:" not in key else ("LPUSH", key, "x")
        stage.server.call("DEL", key)
        stage.server.call(*wrong)
        count += refused(stage, operation)
    assert count > 0


@pytest.mark.direct
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_refused_for_lack_of_a_permission_changes_nothing(
    stage: Stage, operation: str
) -> None:
    count = 0
    for command in sorted(called_by_scripts()):
        stage.set()
        stage.server.call("ACL", "SETUSER", "worker", f"-{command.lower()}")
        try:
            count += refused(stage, operation)
        finally:
            stage.server.call("ACL", "SETUSER", "worker", f"+{command.lower()}")
    assert count > 0
