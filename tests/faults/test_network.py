"""Each thing that a network can do to a request, done to each script: it counts once.

Every call goes through a proxy that hurts it, and is then sent again, as its sender would.
Beside it the same call is made once, with nothing in between. Both namespaces must then be
equal, key by key; and a copy that the server executes when life has gone on changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
from tests.faults.scenes import NOW, SCRIPTS, TOLD_OTHERWISE, Asked, Scene, contents, new_scenes
from tests.support import Server
from trioq.core.calls import Admit, Step, StepReply
from trioq.core.settlements import Ack, DeadLetter, Park, Release, Settlement
from trioq.errors import StoreUnreachable
from trioq.store.keys import Keys
from trioq.store.lane import Dialer, Lane, no_retries
from trioq.store.redis import RedisStore

#: How long a reply is waited for: shorter than any silence, longer than any delay.
READ_S = 0.15
TRIES = 30

#: They bring a network of their own.
pytestmark = pytest.mark.direct

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"

FAULTS: dict[str, Fault] = {
    "request lost": LoseRequest(),
    "reply lost": LoseReply(),
    "executed twice": Twice(),
    "executed late": Hold(),
    "delayed": Delay(0.01, jitter=0.01),
    "request cut": CutRequest(40),
    "reply cut": CutReply(2),
    "reply drips": Drip(0.0),
    "request swallowed": Swallow(executed=False),
    "reply swallowed": Swallow(executed=True),
    "half closed": HalfClose(),
    "reset before": Reset(executed=False),
    "reset after": Reset(executed=True),
}

# -- two namespaces side by side -------------------------------------------------------------------


@attrs.define
class Sides:
    """The same story twice: once through the proxy, once with nothing in between."""

    proxy: Proxy
    hurt: Scene
    unhurt: Scene
    far: RedisStore
    """On the hurt side's namespace, through the proxy."""

    def until_answered(self, call: Asked) -> Any:
        """Send it, and send it again, as whoever made it does."""
        # A second would do, if no answer ever came late: others are on the machine.
        for _ in range(TRIES):
            try:
                return call(self.far)
            except StoreUnreachable:
                pass
        raise AssertionError(f"one fault cost {TRIES} tries")

    def both(self) -> tuple[dict[bytes, Any], dict[bytes, Any]]:
        return contents(self.hurt.store), contents(self.unhurt.store)


@pytest.fixture
def sides(server: Server) -> Iterator[Sides]:
    hurt, unhurt = new_scenes(server, "hurt", "unhurt")
    # On a TCP port, where a reset is a reset.
    with Proxy(server.direct) as proxy:
        lane = Lane(dialer(proxy), "far")
        yield Sides(proxy, hurt, unhurt, RedisStore(Keys("hurt"), lane, NOW))
        lane.close()
    hurt.store.lane.close()
    unhurt.store.lane.close()


def dialer(proxy: Proxy) -> Dialer:
    def dial(name: str) -> AbstractConnection:
        return Connection(  # type: ignore[abstract]
            host="127.0.0.1", port=proxy.port, protocol=2, retry=no_retries(), client_name=name,
            driver_info=None, socket_timeout=READ_S,
        )  # fmt: skip

    return dial


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
        reply = sides.until_answered(Asked("step", (batch,)))
        assert isinstance(reply, StepReply)
        assert not reply.refused
        assert reply.held == len(reply.claims) == 5
        assert {claim.uid for claim in reply.claims} == held
        n_of = {claim.uid: batch.number for claim in reply.claims}
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
