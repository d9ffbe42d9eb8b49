"""What a call asks for itself: the same alone as among many, and after what its enqueue says."""

from __future__ import annotations

import asyncio
import datetime
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trioq
import trioq.aio
from tests.client.test_client import configured, greet
from tests.support import Server
from trioq import Call
from trioq.client import many
from trioq.client.jobs import Drafts
from trioq.client.many import drafted
from trioq.client.outbox import BATCH_BYTES
from trioq.core.arguments import INHERIT
from trioq.core.call_options import apart, over
from trioq.core.calls import NewJob
from trioq.core.config import Config
from trioq.core.formats import record
from trioq.errors import IdTaken, PayloadRejected

AT = datetime.datetime(2031, 5, 1, tzinfo=datetime.UTC)

Enqueues = Callable[[Path, Sequence[Call], dict[str, Any]], Sequence[trioq.Handle]]


def from_ordinary_code(config: Path, calls: Sequence[Call], asked: dict[str, Any]) -> Any:
    with trioq.connect_sync(config) as client:
        return client.enqueue_many(calls, **asked)


def from_trio(config: Path, calls: Sequence[Call], asked: dict[str, Any]) -> Any:
    async def enqueue() -> Any:
        async with trioq.connect(config) as client:
            return await client.enqueue_many(calls, **asked)

    return trio.run(enqueue)


def from_asyncio(config: Path, calls: Sequence[Call], asked: dict[str, Any]) -> Any:
    async def enqueue() -> Any:
        async with trioq.aio.connect(config) as client:
            return await client.enqueue_many(calls, **asked)

    return asyncio.run(enqueue())


each_client = pytest.mark.parametrize("enqueue_many", [from_ordinary_code, from_trio, from_asyncio])


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def told(job: NewJob) -> tuple[Any, ...]:
    """All of a job but what no two have in common."""
    there = record.decode(job.uid, job.stored).record
    same = attrs.evolve(there, uid="", enqueued_ms=0, due_ms=0)
    fields = attrs.asdict(job, recurse=False) | {"uid": "", "stored": b""}
    return same, fields


@pytest.mark.parametrize(
    "options",
    [
        {"id": "ada"},
        {"delay": datetime.timedelta(seconds=5)},
        {"at": AT},
        {"queue": "low"},
        {"max_attempts": 3, "timeout": 7},
        {"result": "1h"},
        {"deadline": AT, "expires": AT},
        {"deadline": None},
        {"fair_key": "acme", "weight": 2.0},
        {"id": "ada", "id_retention": 0, "cooldown": "2s"},
        {"id": "ada", "on_conflict": "existing", "id_dead": "block"},
    ],
    ids="+".join,
)
def test_a_job_of_many_is_what_it_would_be_alone(options: dict[str, Any]) -> None:
    drafts = Drafts(Config(), knows_queues=False)
    call = greet.call("Ada").with_options(**options)
    same, others = apart(options)
    alone = drafts.draft(greet.call("Ada"), None, same=same, **others)
    plain = drafts.draft(greet.call("Eve"), None)
    (batch,) = drafted([call, greet.call("Eve"), call], drafts)
    assert [told(job) for job in batch] == [told(alone), told(plain), told(alone)]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_each_of_many_is_in_one_batch_at_its_place_whether_it_asks_for_something_or_not(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(many, "BATCH_JOBS", 4)
    calls = [
        Call("noop", {"n": n}).with_options(max_attempts=None if n % every else 2)
        for n in range(11)
    ]
    batches = list(drafted(calls, Drafts(Config(), knows_queues=False)))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    jobs = [record.decode(job.uid, job.stored).record for batch in batches for job in batch]
    assert [job.payload for job in jobs] == [b'{"n":%d}' % n for n in range(11)]
    assert [job.options.max_attempts for job in jobs] == [
        None if n % every else 2 for n in range(11)
    ]
    assert len({job.uid for job in jobs}) == 11


def test_a_batch_of_calls_with_options_is_no_larger_than_it_may_be() -> None:
    drafts = Drafts(attrs.evolve(Config(), max_payload_bytes=BATCH_BYTES), knows_queues=False)
    call = Call("noop", {"pad": "x" * (BATCH_BYTES * 2 // 3)}).with_options(max_attempts=2)
    assert [len(batch) for batch in drafted([call] * 3, drafts)] == [1, 1, 1]


@each_client
def test_each_of_many_has_its_own_id_and_time_and_result(
    config: Path, server: Server, enqueue_many: Enqueues
) -> None:
    calls = [
        greet.call("a").with_options(id="a", result="1h"),
        greet.call("b"),
        greet.call("c").with_options(delay=60),
        greet.call("d").with_options(id="a"),
        greet.call("e").with_options(queue="low", at=AT),
    ]
    handles = enqueue_many(config, calls, {})
    assert [handle.id for handle in handles] == ["a", None, None, "a", None]
    assert [handle.existing for handle in handles] == [None, None, None, "live", None]
    assert handles[3].uid == handles[0].uid
    with trioq.connect_admin(config) as admin:
        views = [admin.job(handle.uid) for handle in handles]
    there = [(view.state, view.record.queue) for view in views if view and view.record]
    assert there == [
        ("ready", "high"), ("ready", "high"), ("scheduled", "high"), ("ready", "high"),
        ("scheduled", "low"),
    ]  # fmt: skip


@each_client
def test_what_is_said_of_all_goes_before_what_one_says(
    config: Path, enqueue_many: Enqueues
) -> None:
    call = greet.call("a").with_options(queue="high", fair_key="own", deadline=5)
    (handle,) = enqueue_many(config, [call], {"queue": "low", "fair_key": "all", "deadline": None})
    with trioq.connect_admin(config) as admin:
        view = admin.job(handle.uid)
    assert view is not None
    assert view.record is not None
    assert (view.record.queue, view.record.options.deadline_ms) == ("low", None)


@pytest.mark.parametrize(
    "asked",
    [{"on_conflict": "replace"}, {"on_conflict": "raise"}, {"debounce": 2}, {"id_dead": "free"}],
    ids=str,
)
def test_what_many_cannot_ask_for_is_refused_by_its_name(asked: dict[str, Any]) -> None:
    ((name, value),) = asked.items()
    call = greet.call("b").with_options(id="b", **asked)
    with pytest.raises(TypeError, match=rf"enqueue_many can't do {name}={value!r}.*enqueue\(…\)"):
        list(drafted([greet.call("a"), call], Drafts(Config(), knows_queues=False)))


@each_client
def test_a_call_among_many_that_is_refused_is_told_and_its_batch_not_queued(
    config: Path, enqueue_many: Enqueues
) -> None:
    calls = [greet.call("a"), greet.call("b").with_options(id="b", on_conflict="again")]
    with pytest.raises(TypeError, match="enqueue_many can't do on_conflict='again'"):
        enqueue_many(config, calls, {})
    with trioq.connect_admin(config) as admin:
        assert admin.peek("high", 1) == []


def test_an_enqueue_goes_before_what_its_call_says(config: Path) -> None:
    with trioq.connect_sync(config) as client, trioq.connect_admin(config) as admin:
        call = greet.call("a").with_options(id="a", delay=60, max_attempts=3)
        first = client.enqueue(call)
        assert first.id == "a"
        now = client.enqueue(call, id="b", delay=0)
        assert now.id == "b"
        views = [admin.job(first.uid), admin.job(now.uid)]
        assert [view and view.state for view in views] == ["scheduled", "ready"]
        assert [v.record.options.max_attempts for v in views if v and v.record] == [3, 3]
        # One of the three that say when takes the place of another.
        assert client.enqueue(call, id="c", at=AT).is_new
        assert client.enqueue(call, id="c", debounce=2.0).happened == "replaced"
        with pytest.raises(IdTaken):
            client.enqueue(call.with_options(on_conflict="raise"))


@pytest.mark.direct  # a lost answer isn't waited for
def test_call_waits_for_what_its_call_asks_for(config: Path) -> None:
    with trioq.connect_sync(config) as client, trioq.connect_admin(config) as admin:
        call = greet.call("a").with_options(id="a", timeout=7, result="2h")
        with pytest.raises(trioq.WaitTimeout) as error:
            client.call(call, timeout=0)
        view = admin.job(error.value.uid)
    assert view is not None
    assert view.record is not None
    assert (view.record.options.timeout_s, view.record.options.result_s) == (7.0, 7200.0)


def test_what_is_said_later_goes_before_what_was_said_earlier() -> None:
    first = greet.call("a").with_options(id="a", debounce=5, max_wait=9)
    assert first.with_options(id="b").options == {"id": "b", "debounce": 5, "max_wait": 9}
    assert first.with_options(delay=0).options == {"id": "a", "delay": 0}
    assert first.with_options(deadline=None).options == {**first.options, "deadline": None}
    assert first.with_options().options == first.options


def test_all_that_is_wrong_is_told_at_once_where_it_is_said() -> None:
    wrong: Any = {"id": 5, "delay": "5", "at": 7, "max_attempts": 0, "on_conflict": "replce"}
    with pytest.raises(TypeError) as error:
        greet.call("a").with_options(**wrong)
    for part in ("id is a text", "delay is '5'", "at is 7", "max_attempts is 0"):
        assert part in str(error.value)
    with pytest.raises(PayloadRejected, match=r"timeout is -1.*; expires is 0"):
        greet.call("a").with_options(timeout=-1, expires=0)
    naive = datetime.datetime(2031, 5, 1)
    with pytest.raises(TypeError, match="in no time zone"):
        greet.call("a").with_options(at=naive)
    with pytest.raises(TypeError, match="no argument 'countdown': did you mean 'delay'"):
        greet.call("a").with_options(countdown=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="says how long an enqueue waits"):
        greet.call("a").with_options(full_timeout=5)  # type: ignore[arg-type]


def test_what_is_about_an_id_may_come_before_the_id() -> None:
    call = greet.call("a").with_options(on_conflict="replace")
    drafts = Drafts(Config(), knows_queues=False)
    same, others = apart(over(call.options, {"id": "a", "deadline": INHERIT}))
    assert drafts.draft(call, None, same=same, **others).id == "a"


def test_a_schedule_refuses_them(config: Path) -> None:
    call = greet.call("a").with_options(id="a", delay=5)
    with trioq.connect_sync(config) as client:
        with pytest.raises(TypeError, match="a schedule can't have options: delay, id"):
            client.schedules.put("hourly", call, every="1h")
        assert client.schedules.put("hourly", greet.call("a").with_options(queue="low"), every="1h")


def test_a_call_with_options_can_be_pickled() -> None:
    call = Call("greet", {"name": "Ada"}).with_options(id="a", delay=5)
    assert pickle.loads(pickle.dumps(call)) == call != Call("greet", {"name": "Ada"})
