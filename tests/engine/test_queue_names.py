"""Clients may invent queues: what is left of them when they are empty."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from tests.engine.rig import Rig, config_of, noop, rig_on
from tests.support import Server
from trioq.core.config import ObservabilityConfig
from trioq.core.events import JobSucceeded

INVENTED = tuple(f"invented-{i}" for i in range(300))

#: As another client may have written them.
ODD = [b"", b"\xff\xfe", b"a:b", b"{other}:ready", b"x" * 300, "ü ✓".encode()]


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    with rig_on(server) as made:
        noop(made)
        yield made


@pytest.mark.trio
async def test_queues_that_nobody_uses_any_more_leave_nothing(rig: Rig) -> None:
    looks = ObservabilityConfig(queue_sample_interval_s=0.05)
    rig.config = attrs.evolve(config_of(("low", *INVENTED)), observability=looks)
    for queue in ("low", *INVENTED):
        rig.enqueue("noop", queue=queue)
    async with rig.running():
        await rig.reported(JobSucceeded, len(INVENTED) + 1)
        # So many that the engine looks only into those that are named.
        await rig.until(lambda: rig.key("SMEMBERS", "queues") == [])
    rig.key("SADD", "queues", "low")
    rig.key("SADD", "queues", *ODD)
    rig.key("LPUSH", "ready:a:b", "stray")
    rig.config = attrs.evolve(config_of(("low",)), observability=looks)
    left = {b"low", b"a:b"}
    async with rig.running():
        await rig.until(lambda: {*rig.key("SMEMBERS", "queues")} == left)
    rings = {key for key in rig.store.lane.call("KEYS", "*") if key.startswith(b"{t}:bell:")}
    assert rings <= {b"{t}:bell:low"}
