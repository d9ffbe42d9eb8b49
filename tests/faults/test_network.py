"""Each thing that a network can do to a request, done to each script: it counts once.

Every call goes through a proxy that hurts it, and is then sent again, as its sender would.
Beside it the same call is made once, with nothing in between. Both namespaces must then be
equal, key by key; and a copy that the server executes when life has gone on changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from redis.connection import AbstractConnection, Connection

from tests.faults.proxy import (
    CutReply,
    CutRequest,
    Delay,
    Drip,
    Fault,
    HalfClose,
    Hold,
    LoseReply,
    LoseRequest,
    Proxy,
    Reset,
    Swallow,
    Twice,
)
from tests.support import Server, new_job
from trioq.errors import StoreUnreachable
from trioq.store.keys import Keys
from trioq.store.lane import Dialer, Lane, no_retries
from trioq.store.protocol import (
    Ack,
    Admit,
    DeadLetter,
    NewJob,
    Park,
    Release,
    RetryAt,
    Settlement,
    Step,
    StepReply,
)
from trioq.store.redis import RedisStore, StoreOptions
from trioq.store.scripts import all_scripts

#: How long a reply is waited for: shorter than any silence, longer than any delay.
READ_S = 0.15

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"

FAULTS: dict[str, Fault] = {
    "request lost": LoseRequest(),
    "reply lost": LoseReply(),
    "executed twice": Twice(),
    "executed late": Hold(),
    "delayed": Delay(0.01, jitter=0.01),
    "request cut": CutRequest(60),
    "reply cut": CutReply(2),
    "reply drips": Drip(0.0),
    "request swallowed": Swallow(executed=False),
    "reply swallowed": Swallow(executed=True),
    "half closed": HalfClose(),
    "reset before": Reset(executed=False),
    "reset after": Reset(executed=True),
}

# -- one call of each script ---------------------------------------------------------------------


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


def step(scene: Scene) -> Callable[[RedisStore], Any]:
    """All verbs at once, and a claim."""
    a, b, c, d, e = (scene.uid(name) for name in "abcde")
    batch = scene.next_step(
        2, Ack(a, 1, b"{}"), RetryAt(b, 1, 500, 1, b'{"attempt":1}'),
        DeadLetter(c, 1, 1, "gave_up", b'{"attempt":1}'), Release(d, 1),
        Park(e, 1, "low", "stranger"),
    )  # fmt: skip
    return lambda store: store.step(batch)


def enqueue(scene: Scene) -> Callable[[RedisStore], Any]:
    write, jobs = scene.write(), [scene.job("new"), scene.job("named")]
    return lambda store: store.enqueue(*write, jobs)


def cancel(scene: Scene) -> Callable[[RedisStore], Any]:
    write, uid = scene.write(), scene.uid("h")
    return lambda store: store.cancel(*write, uid, "low", "noop")


def revive(scene: Scene) -> Callable[[RedisStore], Any]:
    write, uid = scene.write(), scene.uid("f")
    return lambda store: store.revive(*write, [(uid, "low")])


def purge_dead(scene: Scene) -> Callable[[RedisStore], Any]:
    write, uid = scene.write(), scene.uid("f")
    return lambda store: store.purge_dead(*write, [uid])


def purge(scene: Scene) -> Callable[[RedisStore], Any]:
    write = scene.write()
    return lambda store: store.purge(*write, "low", ["stranger"], 10)


def pause(scene: Scene) -> Callable[[RedisStore], Any]:
    write = scene.write()
    return lambda store: store.pause(*write, "low", True)


def beat(scene: Scene) -> Callable[[RedisStore], Any]:
    return lambda store: store.beat("e.1")


def sign_off(scene: Scene) -> Callable[[RedisStore], Any]:
    return lambda store: store.sign_off("e.1")


def reap(scene: Scene) -> Callable[[RedisStore], Any]:
    seen = scene.store.observe()["e.1"]
    return lambda store: store.reap("e.1", seen, 3)


def expire_parked(scene: Scene) -> Callable[[RedisStore], Any]:
    return lambda store: store.expire_parked("low", "stranger", 1000, b'{"attempt":0}')


SCRIPTS = {
    f.__name__: f
    for f in (
        step, enqueue, cancel, revive, purge_dead, purge, pause, beat, sign_off, reap,
        expire_parked,
    )
}  # fmt: skip

#: A second execution of these is harmless but answered otherwise: see the scripts' headers.
TOLD_OTHERWISE = {"beat", "reap", "expire_parked"}

# -- two namespaces side by side -------------------------------------------------------------------


@attrs.define
class Sides:
    """The same story twice: once through the proxy, once with nothing in between."""

    proxy: Proxy
    hurt: Scene
    unhurt: Scene
    far: RedisStore
    """On the hurt side's namespace, through the proxy."""

    def until_answered(self, call: Callable[[RedisStore], Any]) -> Any:
        """Send it, and send it again, as whoever made it does."""
        for _ in range(3):
            try:
                return call(self.far)
            except StoreUnreachable:
                pass
        raise AssertionError("one fault cost three tries")

    def both(self) -> tuple[dict[bytes, Any], dict[bytes, Any]]:
        return dump(self.hurt.store), dump(self.unhurt.store)


@pytest.fixture
def sides(server: Server) -> Iterator[Sides]:
    names = ("a", "b", "c", "d", "e", "f", "g", "h", "new", "last")
    jobs = {name: new_job() for name in names}
    jobs |= {"later": new_job(delay_ms=60_000), "named": new_job(id="the caller's")}
    clock = Clock()
    options = StoreOptions(clock_ms=lambda: clock.now_ms)
    hurt, unhurt = (Scene(server.store(n, options), jobs) for n in ("hurt", "unhurt"))
    for script in all_scripts():
        server.call("SCRIPT", "LOAD", script.text)
    for scene in (hurt, unhurt):
        prepared(scene)
    clock.now_ms += 2000
    # On a TCP port, where a reset is a reset.
    with Proxy(server.direct) as proxy:
        lane = Lane(dialer(proxy), "far")
        yield Sides(proxy, hurt, unhurt, RedisStore(Keys("hurt"), lane, options))
        lane.close()
    hurt.store.lane.close()
    unhurt.store.lane.close()


@attrs.define
class Clock:
    now_ms: int = 1_764_000_000_000


def dialer(proxy: Proxy) -> Dialer:
    def dial(name: str) -> AbstractConnection:
        return Connection(  # type: ignore[abstract]
            host="127.0.0.1", port=proxy.port, protocol=2, retry=no_retries(), client_name=name,
            driver_info=None, socket_timeout=READ_S,
        )  # fmt: skip

    return dial


def dump(store: RedisStore) -> dict[bytes, Any]:
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


def without_beats(data: dict[bytes, Any]) -> dict[bytes, Any]:
    """A sign of life that counts twice is allowed: it was given."""
    return {key: value for key, value in data.items() if key != b"beats"}


# -- the claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_sent_until_it_is_answered_is_done_once(
    sides: Sides, fault: str, script: str
) -> None:
    strikes = sides.proxy.on(FAULTS[fault], script)
    answer = sides.until_answered(SCRIPTS[script](sides.hurt))
    expected = SCRIPTS[script](sides.unhurt)(sides.unhurt.store)

    assert strikes.struck == 1
    hurt, unhurt = sides.both()
    if script == "beat":
        hurt, unhurt = without_beats(hurt), without_beats(unhurt)
    assert hurt == unhurt
    if isinstance(answer, StepReply):
        answer = attrs.evolve(answer, word="ok")
    if script not in TOLD_OTHERWISE:
        assert answer == expected


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_copy_that_is_executed_when_life_has_gone_on_changes_nothing(
    sides: Sides, script: str
) -> None:
    sides.proxy.on(Hold(), script)
    sides.until_answered(SCRIPTS[script](sides.hurt))
    life_goes_on(sides.hurt)
    before, _ = sides.both()
    (reply,) = sides.proxy.let_go()
    after, _ = sides.both()

    assert not reply.startswith(b"-")
    if script == "beat":
        before, after = without_beats(before), without_beats(after)
    assert after == before


def life_goes_on(scene: Scene) -> None:
    """What the call has brought about ends, and the like of it begins."""
    store = scene.store
    store.pause(*scene.write(), "low", False)
    scene.store.step(scene.next_step())
    store.register("e.2", b"{}")
    reply = store.step(Step("e.2", 1, 20, ("low",), admits=(Admit("low", "stranger", 5),)))
    assert isinstance(reply, StepReply)
    settlements: list[Settlement] = []
    for claim in reply.claims:
        if claim.uid == scene.uid("f"):  # what was revived dies again
            settlements.append(DeadLetter(claim.uid, 1, 1, "failures", b'{"attempt":1}'))
        elif claim.uid == scene.uid("g"):  # what was parked is parked again
            settlements.append(Park(claim.uid, 1, "low", "stranger"))
        else:
            settlements.append(Ack(claim.uid, 1))
    store.step(Step("e.2", 2, 0, ("low",), settlements=tuple(settlements)))
    store.enqueue(*scene.write(), [scene.job("last")])


@pytest.mark.parametrize("what", [CutRequest, CutReply])
def test_a_connection_that_ends_after_any_byte_costs_nothing(
    sides: Sides, what: type[CutRequest] | type[CutReply]
) -> None:
    """Step after step is cut a few bytes later, until one is whole."""
    held = frozenset(map(sides.hurt.uid, "abcde"))
    n_of = dict.fromkeys(held, 1)
    cut = 0
    while True:
        cut += 1 if LONG else 7
        strikes = sides.proxy.on(what(cut), "step")
        batch = sides.hurt.next_step(5, *(Release(uid, n) for uid, n in n_of.items()))
        reply = sides.until_answered(lambda store, batch=batch: store.step(batch))
        assert isinstance(reply, StepReply)
        assert not reply.refused
        assert reply.held == len(reply.claims) == 5
        assert {claim.uid for claim in reply.claims} == held
        n_of = {claim.uid: batch.n for claim in reply.claims}
        if strikes.struck == 0:
            break  # all of it has passed
        assert reply.word == ("ok" if what is CutRequest else "again")
    assert cut > 300


def test_a_registration_that_arrives_late_is_nobodys_and_is_reaped(sides: Sides) -> None:
    sides.proxy.on(Hold(), "register")
    with pytest.raises(StoreUnreachable):
        sides.far.register("e.3", b"{}")
    assert sides.far.register("e.4", b"{}")
    sides.proxy.let_go()
    before, _ = sides.both()
    assert set(sides.far.observe()) == {"e.1", "e.3", "e.4"}
    assert sides.far.reap("e.3", 0, 3).word == "reaped"
    after, _ = sides.both()
    assert set(sides.far.observe()) == {"e.1", "e.4"}
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {b"steps", b"beats", b"engines", b"stats"}
