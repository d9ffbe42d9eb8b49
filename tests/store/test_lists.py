"""Lists that stand in one place of the code, asked back one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import ResponseError

from tests.scene import Scene
from tests.store.dialling import configured
from tests.support import Server, new_job, wait_until
from trioq.core.calls import Rate
from trioq.errors import StoreBusy, StoreRefused, StoreUnreachable
from trioq.store import inspect
from trioq.store.answers import translated
from trioq.store.connect import open_store

NOT_NOW = (
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "ASK 3999 127.0.0.1:6381",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down",
    "NOREPLICAS Not enough good replicas to write",
    "MISCONF Redis is configured to save RDB snapshots, but it can't",
    "OOM command not allowed when used memory > 'maxmemory'",
    "READONLY You can't write against a read only replica",
    "UNBLOCKED force unblock from blocking operation",
    "max number of clients reached",
)
NO = (
    "ERR unknown command 'X'",
    "BUSYKEY Target key name already exists",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "DENIED Redis is running in protected mode",
    "EXECABORT Transaction discarded because of previous errors",
    "MOVED 3999 127.0.0.1:6381",
    "NOAUTH Authentication required",
    "NOPERM this user has no permissions",
    "NOPROTO unsupported protocol version",
    "NOSCRIPT No matching script",
    "NOTBUSY No scripts in execution right now",
    "UNKILLABLE The busy script can't be killed",
    "WRONGPASS invalid username-password pair",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
)
LOST = ("ERR upstream failure", "ERR connection refused", "WHATEVER it says", "ERR no server")


@pytest.mark.parametrize("said", NOT_NOW)
def test_not_now(said: str) -> None:
    assert type(translated(ResponseError(said))) is StoreBusy
    wrapped = ResponseError(f"ERR Error running script (call to f_1): -{said}")
    assert said.startswith("max") or type(translated(wrapped)) is StoreBusy


@pytest.mark.parametrize("said", NO)
def test_no(said: str) -> None:
    assert type(translated(ResponseError(said))) is StoreRefused


@pytest.mark.parametrize("said", LOST)
def test_no_answer(said: str) -> None:
    assert type(translated(ResponseError(said))) is StoreUnreachable


def test_the_embedded_server_is_set_up_like_this(tmp_path: Path) -> None:
    expected = {
        "port": b"0",
        "unixsocketperm": b"700",
        "appendonly": b"yes",
        "aof-load-truncated": b"yes",
        "save": b"",
        "maxmemory": b"0",
        "maxmemory-policy": b"noeviction",
        "hash-max-listpack-entries": b"32",
    }
    with open_store(configured("embedded:data", tmp_path)) as connector:
        lane = connector.lane("look")
        seen = {name: lane.call("CONFIG", "GET", name)[1] for name in expected}
    assert seen == expected


HOUR_MS = 3_600_000


def test_keys_that_end_by_themselves_and_no_others(server: Server, scene: Scene) -> None:
    """Nothing that is right depends on one of these; each ends when nobody can ask any more."""
    rate = Rate("producer", 1_000_000, 3)
    scene.store.enqueue(*scene.sender.next(), [new_job() for _ in range(3)], rate=rate)
    scene.store.enqueue(*scene.sender.next(), [new_job(delay_ms=60_000), new_job(id="mine")])
    inspect.glance(
        scene.store, "e", had_turn=False, turn_ms=6000, queues=("low",), rate=rate
    )  # fmt: skip
    scene.driver.step(2)
    ends = {}
    for key in server.call("KEYS", "*"):
        name = key.decode().removeprefix("{t}:").partition(":")[0]
        if (ttl := server.call("PTTL", key)) != -1:
            ends[name] = ttl
    assert ends.keys() == {"sender", "limit", "sampler"}
    assert HOUR_MS - 30_000 < ends["sender"] <= HOUR_MS
    assert 0 < ends["limit"] <= 3000 + 1000
    assert 0 < ends["sampler"] <= 6000


def test_a_limit_is_forgotten_once_all_its_permits_are_back(server: Server, scene: Scene) -> None:
    rate = Rate("producer", 100_000, 3)
    scene.store.enqueue(*scene.sender.next(), [new_job()], rate=rate)
    wait_until(lambda: server.call("EXISTS", "{t}:limit:producer") == 0, timeout_s=10)
