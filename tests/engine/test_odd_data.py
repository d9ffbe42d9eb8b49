"""What another client, or another version, has written beside our jobs: it harms none of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

import trioq
from tests.cli.conftest import Cli, write_config
from tests.engine.rig import Rig, config_of, noop, rig_on
from tests.support import Server
from trioq.core.config import (
    Config,
    ObservabilityConfig,
    QueueConfig,
    ReaperConfig,
    RedisConfig,
    WorkerConfig,
)
from trioq.core.events import Event, JobDied, JobSucceeded
from trioq.store.inspect import Overviews, stats, watch

HEADER = b'{"v":1,"name":"noop","queue":"low","at":1}'

ODD_RECORDS = [
    b"",
    b"\n",
    b"null\n{}",
    b"\xff\n{}",
    b"[" * 5000 + b"\n{}",
    HEADER + b"\nnull",
    HEADER + b"\n" + b"[" * 100_000,
    HEADER + b'\n{"a":NaN',
    b'{"v":2,"name":"noop","queue":"low","at":1}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":%s}\n{}' % (b"9" * 400),
    b'{"v":1,"name":"noop","queue":"low","at":1,"due":%s}\n{}' % (b"9" * 400),
    b'{"v":1,"name":"\\ud800","queue":"low","at":1}\n{}',
    b'{"v":1,"name":"noop","queue":"\\ud800","at":1}\n{}',
    b'{"v":1,"name":"nobody","queue":"high:er","at":1}\n{}',
    b'{"v":1,"name":"nobody","queue":"elsewhere","at":1}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":1,"id":"\\udfff"}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":1,"id":[]}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":NaN}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":1,"max_attempts":1e400}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":1,"timeout_s":%s}\n{}' % (b"9" * 400),
    b'{"v":1,"name":"noop","name":7,"queue":"low","at":1}\n{}',
    b'{"v":1,"name":"noop","queue":"low","at":1,"big":true}\n',
]

ODD_VALUES = [
    b"", b"abc", b"-1", b"1.5", b"9" * 400, b"\xff\xfe", b"null", b"NaN", b"[]", b"{}",
    b'{"queues": null}', b'{"names": 3, "queues": 3}', b'{"names": [[], 1, "\\ud800"]}',
    b'{"lease_s": "x"}', b"1:2:3", b":::", b"a b:c", b"done:", b"0:0:s:low",
]  # fmt: skip
ODD_NAMES = [b"", b"a", b"\xff", b"a b", b"low:noop", b"low:\xff", b"\xc3\xa9", b"x" * 300, b"low"]

#: The keys that are one of a kind, by how something is put into them.
HASHES = ["jobs", "big", "attempts", "reaps", "history", "reasons", "ids", "id_of", "engines",
          "beats", "stats", "parked", "seen"]  # fmt: skip
SETS = ["queues", "paused", "dropped:low"]
LISTS = ["done", "strays", "parked:low:odd"]
SORTED = ["dead", "ended", "scheduled:low"]
STRINGS = ["limit:producer", "watched"]
SCORES = [b"inf", b"-inf", b"-5", b"1.5", b"1e300", b"0"]

values = st.sampled_from(ODD_VALUES) | st.binary(max_size=12)
names = st.sampled_from(ODD_NAMES) | st.binary(min_size=1, max_size=6)
fields = {
    "stats": st.sampled_from(["done", "claimed", "parked_version", "strays", "released"]),
    "parked": st.sampled_from(["low:odd", "low:noop", "low:\xff", "low", ":"]),
}


def hash_writes(key: str) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just("HSET"), st.just(key), fields.get(key, names), values)


WRITES = st.one_of(
    *map(hash_writes, HASHES),
    *(st.tuples(st.just("SADD"), st.just(key), names) for key in SETS if key != "paused"),
    # "low" itself must not be paused here: then nothing would run.
    st.tuples(st.just("SADD"), st.just("paused"), names.filter(lambda name: name != b"low")),
    *(st.tuples(st.just("LPUSH"), st.just(key), values) for key in LISTS),
    *(st.tuples(st.just("ZADD"), st.just(key), st.sampled_from(SCORES), names) for key in SORTED),
    *(st.tuples(st.just("SET"), st.just(key), values) for key in STRINGS),
)


def jobs_with(rig: Rig, records: list[bytes]) -> list[bytes]:
    """Put these records into the queue, under uids of which some aren't UTF-8."""
    uids = [b"odd-%d\xff \n" % i if i % 2 else b"odd-%d" % i for i in range(len(records))]
    for uid, record in zip(uids, records, strict=True):
        rig.key("HSET", "jobs", uid, record)
        rig.key("LPUSH", "ready:low", uid)
    return uids


@pytest.fixture
def rig(server: Server) -> Any:
    with rig_on(server, config=config_of(("low",))) as made:
        noop(made)
        yield made


@pytest.mark.trio
async def test_a_record_that_cannot_be_is_dead_and_its_neighbours_run(rig: Rig) -> None:
    before = rig.enqueue("noop", 3)
    uids = jobs_with(rig, ODD_RECORDS)
    after = rig.enqueue("noop", 3)
    async with rig.running():
        await rig.reported(JobSucceeded, 6)
        died = await rig.reported(JobDied, len(ODD_RECORDS))
    assert {event.uid for event in rig.of(JobSucceeded)} == {*before, *after}
    assert {event.reason for event in died} == {"undecodable"}
    assert {uid.encode("utf-8", "surrogateescape") for uid in (e.uid for e in died)} == set(uids)
    assert rig.stats().dead == len(ODD_RECORDS)
    for uid in uids:
        (line,) = map(json.loads, rig.key("HGET", "history", uid).splitlines())
        assert line["dead"] == "undecodable"


def nothing(event: Event) -> None:
    """Nobody listens."""


def engine_config(server: Server) -> Config:
    """With everything that reads what lies in Redis: sampler, metrics, limiter, reaper."""
    return Config(
        namespace="t",
        queues=(QueueConfig("low"),),
        redis=RedisConfig(url=server.url),
        worker=WorkerConfig(
            count=2, grace_s=1.0, lease_s=1.0, heartbeat_interval_s=0.2, unknown_name_after_s=0.2
        ),
        reaper=ReaperConfig(interval_s=0.2),
        observability=ObservabilityConfig(bind="", queue_sample_interval_s=0.05),
    )


app = trioq.App()


@app.job("noop")
async def does_nothing() -> None: ...


async def another_look(rig: Rig) -> None:
    """Wait until the sampler has looked around, counted, and told those who watch."""

    def told() -> list[bytes]:
        keys: list[bytes] = rig.store.lane.call("KEYS", "{t}:shown:*")
        return keys

    for key in told():
        rig.store.lane.call("DEL", key)
    await rig.until(told)


async def runs_beside(server: Server, spoil: Callable[[Rig], None], looks: int = 4) -> None:
    """Jobs are done and the engine lives on, with these things in Redis."""
    with rig_on(server, config=config_of(("low",))) as rig:
        spoil(rig)
        watch(rig.store)
        done = trio.Event()
        uids: set[str] = set()

        def report(event: Event) -> None:
            if isinstance(event, JobSucceeded):
                uids.discard(event.uid)
                if not uids:
                    done.set()

        engine = trioq.Engine(app, engine_config(server), report=report)
        async with trio.open_nursery() as nursery:
            core = await nursery.start(engine.run)
            for _ in range(looks):
                done = trio.Event()
                uids.update(rig.enqueue("noop", 3))
                with trio.fail_after(20):
                    await done.wait()
                await another_look(rig)
                generate_latest(engine.metrics.registry)
            stats(rig.store, ["low"]).as_json()
            core.drain()


@pytest.mark.trio
async def test_an_engine_lives_beside_everything_odd_at_once(server: Server) -> None:
    def spoil(rig: Rig) -> None:
        for key in HASHES:
            for i, value in enumerate(ODD_VALUES):
                rig.key("HSET", key, ODD_NAMES[i % len(ODD_NAMES)], value)
        for field in ("done", "claimed", "parked_version", "enqueued", "dead_letters", "strays"):
            rig.key("HSET", "stats", field, "abc")
        for key in SETS:
            rig.key("SADD", key, *(name for name in ODD_NAMES if name != b"low"))
        for key in LISTS:
            rig.key("LPUSH", key, *ODD_VALUES)
        for key in SORTED:
            for i, name in enumerate(ODD_NAMES):
                rig.key("ZADD", key, SCORES[i % len(SCORES)], name)
        for key in STRINGS:
            rig.key("SET", key, b"\xffabc")

    await runs_beside(server, spoil)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(writes=st.lists(WRITES, min_size=1, max_size=25))
def test_an_engine_lives_beside_anything(server: Server, writes: list[tuple[Any, ...]]) -> None:
    server.call("FLUSHALL")

    def spoil(rig: Rig) -> None:
        for write in writes:
            rig.key(*write)

    trio.run(runs_beside, server, spoil, 1)


@pytest.mark.trio
async def test_what_a_dead_engine_held_is_reaped_whatever_was_written_there(server: Server) -> None:
    with rig_on(server, config=config_of(("low",))) as rig:
        noop(rig)
        (held, lost) = rig.enqueue("noop", 2)
        rig.key("DEL", "ready:low")
        rig.key("HSET", "steps", "gone.1", "7")
        rig.key("HSET", "beats", "gone.1", "7")
        rig.key("HSET", "engines", "gone.1", b'{"queues": null}')
        rig.key("HSET", "running:gone.1", held, "7:1::low", lost, "nonsense", b"\xff", ":::")
        rig.key("HSET", "reaps", held, "abc")
        async with rig.running():
            await rig.reported(JobSucceeded, uid=held)
            await rig.until(lambda: rig.key("EXISTS", "running:gone.1") == 0)
        assert rig.key("HGET", "reasons", lost) == b"worker_lost"
        assert rig.stats().dead == 1


@pytest.mark.parametrize(
    "command",
    [["dead list"], ["dead list", "--error", "x"], ["dead export"], ["stats"],
     ["stats", "--keys"], ["engines"], ["doctor"], ["peek", "low"], ["job", "healthy"],
     ["jobs"], ["jobs", "--state", "dead"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("json_", [False, True], ids=["people", "json"])
def test_people_are_told_of_the_odd_ones_and_of_all_others(
    server: Server, tmp_path: Path, command: list[str], json_: bool
) -> None:
    cli = Cli(write_config(tmp_path, server))
    with rig_on(server) as rig:
        (healthy,) = rig.enqueue("noop", 1)
        for uid, score in ((b"odd\xff", b"inf"), (b"minus", b"-inf"), (healthy.encode(), b"5")):
            rig.key("ZADD", "dead", score, uid)
            rig.key("HSET", "jobs", uid, b'{"v":1,"name":"noop","queue":"low","at":1}\n{}')
            rig.key("HSET", "history", uid, b"\xff\n{}\n[]")
            rig.key("HSET", "reasons", uid, b"\xffx")
            rig.key("HSET", "reaps", uid, b"x")
        rig.key("HSET", "engines", b"e\xff", b'{"queues": null}')
        rig.key("HSET", "engines", b"e.1", b'{"queues": 3, "names": 3}')
        rig.key("HSET", "running:e.1", b"\xff", b"x", "odd", b"\xff")
        rig.key("SADD", "queues", b"\xff", b"low")
        rig.key("HSET", "parked", b"\xff", "x", b"low:\xff", "x")
        rig.key("HSET", "stats", "done", "abc", b"\xff", "3")
        rig.key("LPUSH", "done", b"x", b"\xff", b'{"uid":3}', b'{"uid":"a","at_ms":1e99}')
        rig.key("HSET", "ids", "healthy", healthy)
        rig.key("LPUSH", "ready:low", b"odd\xff")
        as_json = json_ and command != ["dead export"]
        result = cli(*command, *(["--json"] if as_json else []))
        look = Overviews(rig.store, ("low",), None).take()
        assert {each.uid for each in look.failures} == {"odd\udcff", "minus", healthy}
    assert result.exit_code == 0 or command == ["doctor"], result.output
    assert "Traceback" not in result.stderr
    if as_json:
        json.loads(result.stdout)
    if command in (["dead list"], ["dead export"]):
        assert "healthy" in result.stdout or healthy in result.stdout
        assert "odd\\udcff" in result.stdout
        assert "minus" in result.stdout
