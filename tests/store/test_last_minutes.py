"""History for the pictures, as an engine keeps it and an operator reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioq
from tests.support import PATIENCE_S, Server, new_job
from trioq.store import inspect
from trioq.store.inspect import last_minutes, note_minute, sample
from trioq.store.redis import RedisStore


def test_what_was_kept_is_told_with_the_gaps_between(server: Server) -> None:
    store = server.store()
    this = store.now_ms() // 60_000
    note_minute(store, this - 5, sample(store, ["low"]))
    store.enqueue("s", 1, [new_job("low"), new_job("low")])
    note_minute(store, this - 4, sample(store, ["low"]))
    note_minute(store, this - 1, sample(store, ["low"]))
    store.enqueue("s", 2, [new_job("low")])
    note_minute(store, this, sample(store, ["low"]))
    told = last_minutes(store, 1)
    assert [(each.at_ms // 60_000 - this, each.enqueued, each.waiting) for each in told] == [
        (-5, 2, 0), (-1, 1, 2),
    ]  # fmt: skip
    assert told[0].oldest_ms is None
    assert told[1].oldest_ms is not None
    assert last_minutes(store, 0.01) == told[1:]
    store.lane.close()


def test_it_doesnt_grow(server: Server) -> None:
    store = server.store()
    counted = sample(store, ["low"])
    for minute in (0, 1440, 1441, 10_000_000):
        note_minute(store, minute, counted)
    assert store.lane.call("GETEX", store.keys.fixed("minutes")) is not None
    assert len(store.lane.call("GET", store.keys.fixed("minutes"))) <= 1441 * 32
    store.lane.close()


@pytest.mark.trio
async def test_the_engine_that_counts_keeps_each_minute_once(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "q.toml"
    path.write_text(f"""
        namespace = "t"
        redis = {{ url = "{server.url}" }}
        observability = {{ bind = "", queue_sample_interval = "10ms" }}
    """)
    store = server.store()
    key, before = store.keys.fixed("minutes"), writes(server)
    async with trio.open_nursery() as nursery:
        engine = trioq.Engine(trioq.App(), path)
        await nursery.start(engine.run)
        with trio.fail_after(PATIENCE_S):
            while not await trio.to_thread.run_sync(_has, store, key):  # noqa: ASYNC110
                await trio.sleep(0.01)
        engine.drain()
    assert writes(server) - before <= 2, "once a minute"
    with trioq.connect_admin(path) as admin:
        assert admin.minutes(24) == inspect.last_minutes(admin.store, 24)
    store.lane.close()


def writes(server: Server) -> int:
    """How often a minute was kept."""
    told = server.call("INFO", "commandstats").decode().partition("cmdstat_setrange:calls=")[2]
    return int(told.partition(",")[0] or 0)


def test_who_may_not_keep_history_counts_on(server: Server) -> None:
    store = server.store()
    key = store.keys.fixed("minutes")
    store.lane.call("HSET", key, "a", "b")
    note_minute(store, 7, sample(store, ["low"]))
    assert store.lane.call("HGETALL", key) == [b"a", b"b"]
    store.lane.close()


def _has(store: RedisStore, key: str) -> bool:
    return store.lane.call("GET", key) is not None
