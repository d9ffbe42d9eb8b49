"""What another client wrote is far larger than anything of ours: its neighbours run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs
import pytest

from tests.engine.rig import Rig, config_of, noop, rig_on
from tests.support import PATIENCE_S, Server
from trioq import GiveUp
from trioq.core.events import JobDied, JobSucceeded, RedisAway
from trioq.store import redis, replies

MIB = 1 << 20
HEADER = b'{"v":1,"name":"noop","queue":"low","at":1}'
BIG = HEADER[:-1] + b',"big":true}\n'


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    # However long a machine takes for so much: that is no outage.
    with rig_on(server, config=config_of(("low",)), read_timeout_s=PATIENCE_S) as made:
        noop(made)
        yield made


async def dies_beside_others(rig: Rig, uid: str, record: bytes) -> None:
    """A job with this record is dead as one that can't be read; those around it are done."""
    rig.enqueue("noop", 2)
    rig.key("HSET", "jobs", uid, record)
    rig.key("LPUSH", "ready:low", uid)
    rig.enqueue("noop", 2)
    async with rig.running():
        await rig.reported(JobSucceeded, 4)
        (died,) = await rig.reported(JobDied)
    assert (died.uid, died.reason) == (uid, "undecodable")
    assert rig.key("HGET", "reasons", uid) == b"undecodable"


@pytest.mark.direct  # where replies get lost, and the next ones take long, that is one
@pytest.mark.trio
@pytest.mark.parametrize(
    "record",
    [HEADER + b'\n{"a":"%s"}' % (b"x" * 20 * MIB), b"x" * 20 * MIB, b"[" * 20 * MIB],
    ids=["its payload", "no header", "nested"],
)
async def test_a_huge_record_is_dead_and_no_outage(rig: Rig, record: bytes) -> None:
    await dies_beside_others(rig, "huge", record)
    assert rig.of(RedisAway) == []
    assert rig.key("HSTRLEN", "jobs", "huge") == len(record), "it is kept as it is"


@pytest.mark.trio
async def test_a_payload_above_all_bounds_is_dead(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With smaller bounds: the real one is 256 MiB."""
    shape = attrs.evolve(replies.COMMANDS["HGET"], bytes_max=MIB)
    monkeypatch.setitem(replies.COMMANDS, "HGET", shape)  # type: ignore[arg-type]
    monkeypatch.setattr(redis, "MOST", MIB)
    rig.key("HSET", "big", "huge", b'{"a":"%s"}' % (b"x" * 2 * MIB))
    await dies_beside_others(rig, "huge", BIG)
    (line,) = rig.history("huge")
    assert "2,097,160 bytes" in line["message"]


@pytest.mark.trio
async def test_payloads_far_larger_than_their_records_say_hold_nobody_up(rig: Rig) -> None:
    payload = b'{"a":"%s"}' % (b"x" * 20 * MIB)
    for n in range(3):
        rig.key("HSET", "big", f"huge{n}", payload)
        rig.key("HSET", "jobs", f"huge{n}", HEADER[:-1] + b',"big":9000}\n')
        rig.key("LPUSH", "ready:low", f"huge{n}")
        rig.enqueue("noop", payload={"text": "x" * 9000})
    async with rig.running():
        await rig.reported(JobDied, 6, reason="bad_payload")
    assert rig.of(RedisAway) == []


@pytest.mark.trio
async def test_a_huge_history_is_not_carried_along(rig: Rig) -> None:
    @rig.app.job("fails")
    async def fails() -> None:
        raise GiveUp("no")

    (uid,) = rig.enqueue("fails")
    rig.key("HSET", "history", uid, b"x" * 20 * MIB)
    async with rig.running():
        await rig.reported(JobDied)
    (line,) = map(json.loads, rig.key("HGET", "history", uid).splitlines())
    assert line["message"] == "no"
