"""When a job is to be done, or begun: as it is said by whoever enqueues, and as it is written."""

from __future__ import annotations

import datetime
from contextvars import copy_context
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

import trioq
from tests.client.test_client import configured
from tests.support import Server
from trioq.client.jobs import Drafts
from trioq.core.arguments import INHERIT
from trioq.core.call import Call
from trioq.core.config import Config, QueueConfig
from trioq.core.current import running_job
from trioq.core.formats.record import decode
from trioq.core.job import NO_OPTIONS, Job, Options
from trioq.errors import PayloadRejected

DEADLINE_MS = 1_900_000_000_123
AT = datetime.datetime(2030, 3, 17, 17, 46, 40, 123_999, UTC)
"""Within that millisecond."""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def drafts() -> Drafts:
    return Drafts(Config(namespace="t", queues=(QueueConfig("low"),)), knows_queues=False)


def options(**asked: Any) -> Options:
    """What the record of a job says that is enqueued like this."""
    job = drafts().draft("noop", None, **asked)
    return decode(job.uid, job.stored).record.options


def within(job: Job, **asked: Any) -> Options:
    """Likewise, in a handler that runs this job."""
    context = copy_context()
    context.run(running_job.set, job)
    return context.run(options, **asked)


JOB = Job("a", "noop", "low", {}, deadline_ms=DEADLINE_MS)


def test_a_moment_is_what_its_datetime_says_in_whichever_zone() -> None:
    west = datetime.timezone(timedelta(hours=-7))
    assert options(deadline=AT).deadline_ms == DEADLINE_MS
    assert options(deadline=AT.astimezone(west)).deadline_ms == DEADLINE_MS
    assert options(expires=AT) == Options(expires_ms=DEADLINE_MS)


@pytest.mark.parametrize("hour", [3600, 3600.0, "1h", "60m", timedelta(hours=1)])
def test_all_else_is_a_time_from_now(hour: Any) -> None:
    before = datetime.datetime.now(UTC)
    asked = options(deadline=hour, expires=hour)
    after = datetime.datetime.now(UTC)
    assert asked.deadline_ms is not None
    at = datetime.datetime.fromtimestamp(asked.deadline_ms / 1000, UTC)
    ms = timedelta(milliseconds=1)
    assert before - ms <= at - timedelta(hours=1) <= after
    assert asked.expires_ms == asked.deadline_ms


def test_who_says_nothing_asks_for_nothing() -> None:
    assert options() is options(deadline=None) is options(deadline=INHERIT) is NO_OPTIONS


def test_what_a_handler_enqueues_has_its_deadline_unless_it_says_otherwise() -> None:
    assert within(JOB) == Options(deadline_ms=DEADLINE_MS)
    assert within(JOB, timeout=5, id="x") == Options(timeout_s=5.0, deadline_ms=DEADLINE_MS)
    assert within(JOB, deadline=None) is NO_OPTIONS
    assert within(JOB, deadline=AT - timedelta(days=1)).deadline_ms == DEADLINE_MS - 86_400_000
    assert within(Job("a", "noop", "low", {})) is NO_OPTIONS


def test_a_delay_beyond_the_inherited_deadline_says_whose_that_is() -> None:
    soon = Job("a", "noop", "low", {}, deadline_ms=DEADLINE_MS - 10**11)
    with pytest.raises(PayloadRejected, match=r"that of the job here, and deadline=None asks for"):
        within(soon, delay=3e9)
    assert within(soon, delay=3e9, deadline=None) is NO_OPTIONS
    with pytest.raises(PayloadRejected, match=r"it would never be run$"):
        options(deadline=60, delay=61)


def test_a_deadline_that_has_passed_is_no_mistake() -> None:
    """It may pass at any moment, also on the way."""
    past = datetime.datetime(2020, 1, 1, tzinfo=UTC)
    assert options(deadline=past).deadline_ms == 1_577_836_800_000


@pytest.mark.trio
async def test_each_way_to_enqueue_takes_both_and_inherits(server: Server, config: Path) -> None:
    calls = [Call("noop", {}), Call("noop", {"a": 1})]
    store = server.store()

    def stored(uid: str) -> Options:
        kept = store.lane.call("HGET", "{t}:jobs", uid)
        return decode(uid, kept).record.options

    async def all_ways(**asked: Any) -> list[str]:
        async with trioq.connect(config) as client:
            uids = [(await client.enqueue("noop", queue="low", **asked)).uid]
            uids += [h.uid for h in await client.enqueue_many(calls, queue="low", **asked)]
        with trioq.connect_sync(config) as sync:
            uids += [sync.enqueue("noop", queue="low", **asked).uid]
            uids += [h.uid for h in sync.enqueue_many(calls, queue="low", **asked)]
        return uids

    asked = await all_ways(deadline=AT, expires=AT - timedelta(hours=1))
    expected = Options(deadline_ms=DEADLINE_MS, expires_ms=DEADLINE_MS - 3_600_000)
    assert [stored(uid) for uid in asked] == [expected] * 6
    assert [stored(uid) for uid in await all_ways()] == [NO_OPTIONS] * 6
    token = running_job.set(JOB)
    try:
        assert [stored(uid) for uid in await all_ways()] == [Options(deadline_ms=DEADLINE_MS)] * 6
        assert [stored(uid) for uid in await all_ways(deadline=None)] == [NO_OPTIONS] * 6
    finally:
        running_job.reset(token)
    store.lane.close()
