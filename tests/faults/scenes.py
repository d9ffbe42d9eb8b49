"""A namespace in which each script has something to do, and one call of each.

The same jobs can stand in several namespaces, name for name, so that what happened to them
can be compared.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import attrs

from tests.support import Server, new_job
from trioq.core.calls import (
    BreakerNews,
    Enqueuer,
    MustWait,
    NewJob,
    Note,
    Replacing,
    Step,
    StepReply,
    Unwanted,
)
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.seen import Sighting
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

BEGINNING_MS = 1_764_000_000_000


@attrs.frozen
class Asked:
    """One call of a store's method, to be made on any store, in any process."""

    method: str
    arguments: tuple[Any, ...]

    def __call__(self, store: RedisStore) -> Any:
        return getattr(store, self.method)(*self.arguments)


@attrs.define
class Scene:
    """One namespace, led to where the call makes sense; the same in each, name for name."""

    store: RedisStore
    jobs: dict[str, NewJob]
    n: int = 0
    """The last step of the engine ``e.1``."""
    written: int = 0
    """The last write of the sender ``s``."""

    def write(self) -> tuple[str, int]:
        self.written += 1
        return "s", self.written

    def step(self, want: int = 0, *settlements: Settlement) -> StepReply:
        reply = self.store.step(self.next_step(want, *settlements))
        assert isinstance(reply, StepReply)
        return reply

    def next_step(self, want: int = 0, *settlements: Settlement) -> Step:
        self.n += 1
        return Step("e.1", self.n, want, ("low",), settlements=settlements)

    def job(self, name: str) -> NewJob:
        return self.jobs[name]

    def uid(self, name: str) -> str:
        return self.jobs[name].uid


def prepared(scene: Scene) -> None:
    """Five jobs run, one waits, one is due later, one is dead, one is parked."""
    store = scene.store
    store.enqueue(*scene.write(), [scene.job(name) for name in "abcdefgh"])
    store.register("e.1", b"{}")
    scene.step(7)
    line = b'{"attempt":1}'
    scene.step(
        0,
        DeadLetter(scene.uid("f"), 1, 1, "failures", line),
        Park(scene.uid("g"), 1, "low", "stranger"),
    )
    store.enqueue(*scene.write(), [scene.job("later")])


def step(scene: Scene) -> Asked:
    """All verbs at once, and a claim."""
    a, b, c, d, e = (scene.uid(name) for name in "abcde")
    batch = scene.next_step(
        2, Ack(a, 1, b"{}"), RetryAt(b, 1, 500, 1, b'{"attempt":1}'),
        DeadLetter(c, 1, 1, "gave_up", b'{"attempt":1}'), Release(d, 1),
        Park(e, 1, "low", "stranger"),
    )  # fmt: skip
    return Asked("step", (batch,))


def enqueue(scene: Scene) -> Asked:
    write, jobs = scene.write(), [scene.job("new"), scene.job("named")]
    return Asked(
        "enqueue",
        (
            *write,
            jobs,
        ),
    )


def cancel(scene: Scene) -> Asked:
    write, uid = scene.write(), scene.uid("h")
    return Asked(
        "cancel",
        (
            *write,
            [Unwanted(uid, "low", "noop")],
        ),
    )


def replace(scene: Scene) -> Asked:
    later = attrs.evolve(scene.job("later"), delay_ms=7)
    return Asked("replace", (*scene.write(), Replacing(later)))


def revive(scene: Scene) -> Asked:
    write, uid = scene.write(), scene.uid("f")
    return Asked(
        "revive",
        (
            *write,
            [(uid, "low")],
        ),
    )


def purge_dead(scene: Scene) -> Asked:
    write, uid = scene.write(), scene.uid("f")
    return Asked(
        "purge_dead",
        (
            *write,
            [uid],
        ),
    )


def purge(scene: Scene) -> Asked:
    write = scene.write()
    return Asked(
        "purge",
        (
            *write,
            "low",
            ["stranger"],
            10,
        ),
    )


def pause(scene: Scene) -> Asked:
    write = scene.write()
    return Asked(
        "pause",
        (
            *write,
            "low",
            True,
        ),
    )


def wait_for(scene: Scene) -> Asked:
    return Asked("wait_for", ("c1", [(scene.uid("h"), None), (scene.uid("f"), None)]))


def step_aside(scene: Scene) -> Asked:
    """Somebody has found the queue full, and waits in line."""
    options = attrs.evolve(scene.store.options, max_lengths={"low": 1}, when_full={"low": "wait"})
    bounded = RedisStore(scene.store.keys, scene.store.lane, options)
    with suppress(MustWait):
        bounded.enqueue(*scene.write(), [scene.job("last")], who=Enqueuer("c1"))
    return Asked("step_aside", ("low", [scene.uid("last"), "nobody"]))


def note(scene: Scene) -> Asked:
    return Asked("note", ("e.1", [Note(scene.uid("a"), 1, b"{}")]))


def beat(scene: Scene) -> Asked:
    return Asked("beat", ("e.1",))


def sign_off(scene: Scene) -> Asked:
    return Asked("sign_off", ("e.1",))


def reap(scene: Scene) -> Asked:
    seen = scene.store.observe()["e.1"]
    return Asked(
        "reap",
        (
            "e.1",
            seen,
            3,
        ),
    )


def expire_parked(scene: Scene) -> Asked:
    return Asked(
        "expire_parked",
        (
            "low",
            "stranger",
            1000,
            b'{"attempt":0}',
        ),
    )


def breakers(scene: Scene) -> Asked:
    return Asked("breakers", ("e.1", [BreakerNews("api", 0.5, 1000, 1000, 2, bad=2)]))


def reset_breaker(scene: Scene) -> Asked:
    write = scene.write()
    return Asked("reset_breaker", (*write, "api"))


def hasten(scene: Scene) -> Asked:
    return Asked("hasten", (*scene.write(), "low", scene.job("later").uid))


def forget_queues(scene: Scene) -> Asked:
    scene.store.lane.call("SADD", scene.store.keys.fixed("queues"), "nobodys")
    return Asked("forget_queues", (["low", "nobodys"],))


def set_limits(scene: Scene) -> Asked:
    return Asked("set_limits", ({"all": LimitSettings(concurrency=2)}, 1))


def schedule(scene: Scene) -> Asked:
    return Asked("put_schedule", (*scene.write(), "nightly", b"{}", BEGINNING_MS))


def declare_limits(scene: Scene) -> Asked:
    return Asked("declare_limits", ("e.1", {"all": LimitSettings(concurrency=2)}))


def list_schedules(scene: Scene) -> Asked:
    listed = Listed("nightly", b"{}", BEGINNING_MS)
    return Asked("list_schedules", ("e.1", SaidList("", "1", (listed,))))


def note_files(scene: Scene) -> Asked:
    scene.store.lane.call("HSET", scene.store.keys.fixed("seen"), "a", "1:2", "b", "1:2")
    sightings = [Sighting("a", "1:2", True), Sighting("b", "1:2", False, "1:2:3")]
    return Asked("note_files", (sightings, 1000))


def ring_bells(scene: Scene) -> Asked:
    scene.store.lane.call("DEL", scene.store.keys.of("bell", "low"))
    return Asked("ring_bells", (["low"],))


SCRIPTS = {
    f.__name__: f
    for f in (
        step, enqueue, replace, cancel, revive, purge_dead, purge, pause, beat, sign_off, reap,
        expire_parked, forget_queues, wait_for, step_aside, note, breakers, reset_breaker, hasten,
        set_limits, declare_limits, ring_bells, schedule,
        list_schedules, note_files,
    )
}  # fmt: skip

#: A second execution of these is harmless but answered otherwise: see the scripts' headers.
TOLD_OTHERWISE = {"beat", "reap", "expire_parked"}


def new_scenes(server: Server, *namespaces: str) -> list[Scene]:
    """The same scene in each; their clock stands, two seconds after they were prepared."""
    names = ("a", "b", "c", "d", "e", "f", "g", "h", "new", "last")
    jobs = {name: new_job() for name in names}
    jobs |= {"later": new_job(delay_ms=60_000, id="later"), "named": new_job(id="the caller's")}
    for script in all_scripts():
        server.call("SCRIPT", "LOAD", script.text)
    scenes = [Scene(server.store(n, at(BEGINNING_MS)), jobs) for n in namespaces]
    for scene in scenes:
        prepared(scene)
        scene.store.options = NOW
    return scenes


def at(now_ms: int) -> StoreOptions:
    return StoreOptions(clock_ms=lambda: now_ms)


NOW = at(BEGINNING_MS + 2000)


def contents(store: RedisStore) -> dict[bytes, Any]:
    """Everything in a store's namespace, by key."""
    prefix = f"{{{store.keys.tag}}}:".encode()
    keys = store.lane.call("KEYS", prefix + b"*")
    types = store.lane.pipeline([("TYPE", key) for key in keys])
    values = store.lane.pipeline(
        [(READ[kind][0], key, *READ[kind][1:]) for key, kind in zip(keys, types, strict=True)]
    )
    return {
        key.removeprefix(prefix): value if kind in (b"string", b"list") else members(kind, value)
        for key, kind, value in zip(keys, types, values, strict=True)
    }


READ: dict[bytes, tuple[Any, ...]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", 0, -1),
    b"set": ("SMEMBERS",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
}


def members(kind: bytes, flat: list[bytes]) -> Any:
    """What has no order, in a form that compares."""
    return sorted(flat) if kind == b"set" else pairs(flat)


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
