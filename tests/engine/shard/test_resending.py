"""What an engine does when a step isn't answered: it sends the same again, and waits."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import trio

from tests.engine.rig import Rig, gated, noop
from trioq.core import pace
from trioq.core.calls import Gone
from trioq.core.events import (
    BootLost,
    JobStarted,
    JobSucceeded,
    RedisAway,
    RedisBack,
    SettlementRefused,
)

pytestmark = pytest.mark.trio


@pytest.mark.direct  # it brings a network of its own, and counts
@pytest.mark.parametrize("fate", ["request", "reply"])
async def test_a_step_that_was_not_answered_is_sent_again_byte_for_byte(
    rig: Rig, fate: str
) -> None:
    gate = gated(rig)
    async with rig.running():
        rig.enqueue("gated", 2)
        await rig.reported(JobStarted, 2)
        wire = rig.wires["step"]
        wire.only_settling, wire.lose = True, [fate, fate, fate]
        gate.set()
        await rig.until(lambda: not wire.lose)
        await rig.until(lambda: rig.stats().counters.get("done") == 2)
    assert max(Counter(wire.sent).values()) >= 4, "three were lost"  # a busy machine loses more
    assert len(rig.of(JobStarted)) == 2, "nothing ran twice"
    assert rig.of(SettlementRefused) == rig.of(BootLost) == []


@pytest.mark.parametrize("word", ["poke", "gone"])
async def test_what_is_told_while_a_step_is_in_flight_has_a_step_of_its_own(
    rig: Rig, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one may have looked before there was what this is about."""
    monkeypatch.setattr(pace, "POLL_S", 3600.0)  # so that it isn't that of the next poll
    noop(rig)
    async with rig.running() as engine:
        dispatcher, wire = engine.shards[0].living, rig.wires["step"]
        assert dispatcher is not None
        loop = trio.lowlevel.current_trio_token()
        gone = partial(dispatcher.beat_answered, Gone())
        tell, told_at = dispatcher.poke if word == "poke" else gone, trio.Event()

        def tell_in_flight(_: str) -> None:
            wire.before = lambda _: None
            trio.from_thread.run_sync(tell, trio_token=loop)
            trio.from_thread.run_sync(told_at.set, trio_token=loop)

        wire.before = tell_in_flight
        dispatcher.poke()
        await told_at.wait()
        sent = wire.at_once
        await rig.until(lambda: wire.at_once > sent)


async def test_a_claim_whose_reply_got_lost_is_run_once(rig: Rig) -> None:
    noop(rig)
    engine = rig.engine()
    engine.access("step")
    rig.wires["step"].lose = ["", "reply", "reply"]  # registered; then the first claims
    rig.enqueue("noop", 4)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await rig.reported(JobSucceeded, 4)
        engine.drain()
    assert len(rig.of(JobStarted)) == 4
    assert rig.stats().counters["done"] == 4


async def test_outcomes_wait_while_redis_is_away_and_the_log_says_so_once(own_rig: Rig) -> None:
    rig = own_rig
    gate = gated(rig)
    uids = rig.enqueue("gated", 4)
    async with rig.running():
        await rig.reported(JobStarted, 4)
        rig.server.pause()
        gate.set()
        await rig.reported(JobSucceeded, 4)
        await rig.reported(RedisAway)
        # Longer than the lease: nobody else is there to take the jobs.
        await trio.sleep(2 * rig.config.worker.lease_s)
        rig.server.resume()
        await rig.until(lambda: rig.stats().counters.get("done") == 4)
        await rig.reported(RedisBack)
    assert {event.uid for event in rig.of(JobStarted)} == set(uids)
    assert len(rig.of(JobStarted)) == 4
    assert len(rig.of(RedisAway)) == 1
    assert rig.of(BootLost) == rig.of(SettlementRefused) == []


async def test_nothing_is_claimed_on_less_than_half_a_lease(own_rig: Rig) -> None:
    rig = own_rig
    noop(rig)
    async with rig.running():
        await rig.until(lambda: rig.stats().engines)
        rig.server.pause()
        await rig.reported(RedisAway)
        sent = rig.wires["step"].sent
        in_flight = sent[-1]
        await trio.sleep(rig.config.worker.lease_s)
        assert sent[-1] == in_flight, "no new step was made meanwhile"
        rig.server.resume()
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
