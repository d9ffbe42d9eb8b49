"""How jobs go to the server: in batches that are bounded in jobs and in bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from tests.support import new_job
from trioq.client.jobs import Drafts
from trioq.client.many import batches, drafted
from trioq.client.outbox import BATCH_BYTES, BATCH_JOBS
from trioq.core.call import Call
from trioq.core.calls import NewJob
from trioq.core.config import Config, QueueConfig
from trioq.core.fair import FairKey
from trioq.core.formats.record import decode, split_big
from trioq.core.job import NO_HEADERS, Headers
from trioq.core.wall import shown_by
from trioq.errors import PayloadRejected, QueueUnknown

BIG = 8192  # more than that lies apart


def jobs(count: int, payload_bytes: int) -> list[NewJob]:
    return [new_job(payload=b"x" * payload_bytes) for _ in range(count)]


def size_of(job: NewJob) -> int:
    return len(job.stored) + len(job.big)


@pytest.mark.parametrize("payload_bytes", [10, BIG // 2, 3 * BIG, BATCH_BYTES // 3, BATCH_BYTES])
def test_a_batch_is_as_large_as_it_may_be_and_no_larger(payload_bytes: int) -> None:
    asked = jobs(1200 if payload_bytes <= 3 * BIG else 10, payload_bytes)
    made = list(batches(asked))
    assert [job for batch in made for job in batch] == asked, "all of them, in their order"
    for batch, after in zip(made, [*made[1:], None], strict=True):
        size = sum(map(size_of, batch))
        assert len(batch) <= BATCH_JOBS
        assert size <= BATCH_BYTES or len(batch) == 1
        if after is not None:
            assert len(batch) == BATCH_JOBS or size + size_of(after[0]) > BATCH_BYTES


def test_no_jobs_are_no_batch() -> None:
    assert list(batches([])) == []


# -- one of many -------------------------------------------------------------------------------


def drafts() -> Drafts:
    queues = (QueueConfig("low"), QueueConfig("high"))
    return Drafts(Config(namespace="t", queues=queues, max_payload_bytes=10_000), knows_queues=True)


@pytest.mark.parametrize("what", [Call("work", {}), "work"])
def test_a_job_that_says_nothing_but_its_time_has_it(what: Call | str) -> None:
    at = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    job = drafts().draft(what, None, at=at)
    assert (job.at_ms, job.delay_ms) == (1_893_495_600_000, 0)
    assert decode(job.uid, job.stored).record.due_ms == job.at_ms


def one_of_many(
    made: Drafts, call: Call, queue: str | None = None, trace: Headers = NO_HEADERS
) -> NewJob:
    ((job,),) = drafted([call], made, trace, queue=queue)
    return job


@pytest.mark.parametrize("asked", [None, "high"])
@pytest.mark.parametrize("of_handler", [None, "high", "low"])
@pytest.mark.parametrize("name", ["noop", 'a "name" é'])
@pytest.mark.parametrize("size", [0, BIG, BIG + 1])
def test_the_second_job_of_a_handler_is_drafted_as_the_first_was(
    asked: str | None, of_handler: str | None, name: str, size: int
) -> None:
    made, call = drafts(), Call(name, {"pad": "x" * size}, of_handler)
    jobs = [made.draft(call, None, queue=asked) for _ in range(2)]
    jobs.append(one_of_many(made, call, asked))
    assert len({job.uid for job in jobs}) == 3
    first, *others = jobs
    before = decode(first.uid, first.stored)
    for job in others:
        assert (job.queue, job.big, job.delay_ms, job.id) == (first.queue, first.big, 0, None)
        assert split_big(job.stored)[1] == split_big(first.stored)[1] == len(job.big)
        read = decode(first.uid, job.stored)
        assert 0 <= read.record.enqueued_ms - before.record.enqueued_ms < 60_000
        at = attrs.evolve(read.record, enqueued_ms=before.record.enqueued_ms)
        assert attrs.evolve(read, record=at) == before


class Like:
    """It has what a call has, and is none."""

    name, payload, queue = "noop", dict[str, Any](), None


@pytest.mark.parametrize(
    ("call", "queue", "error", "told"),
    [
        (Like(), None, TypeError, "call"),
        (Call("noop", {}, ["low"]), None, TypeError, "queue"),  # type: ignore[arg-type]
        (Call("noop", {}, 5), None, TypeError, "queue"),  # type: ignore[arg-type]
        (Call("noop", {}), [], TypeError, "queue"),
        (Call("noop", {"a": {1, 2}}), None, PayloadRejected, "payload.a"),
        (Call("noop", {1: 2}), None, PayloadRejected, "names"),  # type: ignore[dict-item]
        (Call("noop", []), None, PayloadRejected, "JSON object"),  # type: ignore[arg-type]
        (Call("noop", {"a": "x" * 20_000}), None, PayloadRejected, "bytes"),
        (Call("noop", {"a": float("nan")}), None, PayloadRejected, "payload.a"),
        (Call("", {}), None, PayloadRejected, "name"),
        (Call(["noop"], {}), None, PayloadRejected, "name"),  # type: ignore[arg-type]
        (Call("noop", {}), "nobodys", QueueUnknown, "nobodys"),
        (Call("noop", {}), ["low"], TypeError, "queue"),
        (Call("noop", {}, "nobodys"), None, QueueUnknown, "nobodys"),
    ],
)
def test_what_was_right_once_makes_nothing_else_right(
    call: Any, queue: Any, error: type[Exception], told: str
) -> None:
    made = drafts()
    made.draft(Call("noop", {}), None)
    for _ in range(2):
        with pytest.raises(error, match=told):
            next(drafted([Call("noop", {}), call], made, queue=queue))
        with pytest.raises(error, match=told):
            made.draft(call, None, queue=queue)


@pytest.mark.parametrize("size", [0, BIG + 1])
def test_one_of_many_has_the_trace_that_one_alone_has(size: int) -> None:
    made, call, trace = drafts(), Call("noop", {"pad": "x" * size}), {"traceparent": "00-a-b-01"}
    job, alone = one_of_many(made, call, trace=trace), made.draft(call, None, trace=trace)
    read, wanted = (decode("uid", each.stored) for each in (job, alone))
    at = attrs.evolve(read.record, enqueued_ms=wanted.record.enqueued_ms)
    assert attrs.evolve(read, record=at) == wanted
    assert wanted.record.trace == trace


def test_each_of_many_is_its_own_calls_job() -> None:
    class Name(str):
        """A member of an enumeration, say."""

    many, names = drafts(), ["noop", "other", Name("noop"), "noop", Name("third")]
    queues = [None, "high", "high", "low", None]
    calls = [
        Call(name, {"n": n}, queue)
        for n, (name, queue) in enumerate(zip(names * 300, queues * 300, strict=True))
    ]
    made = [job for batch in drafted(calls, many) for job in batch]
    assert len({job.uid for job in made}) == len(calls)
    assert [job.uid for job in made] == sorted(job.uid for job in made)
    for n, (call, job) in enumerate(zip(calls, made, strict=True)):
        record = decode(job.uid, job.stored).record
        assert (record.name, record.queue) == (call.name, call.queue or many.config.default_queue)
        assert (job.queue, record.payload) == (record.queue, b'{"n":%d}' % n)


def test_many_are_enqueued_when_their_batch_is_full() -> None:
    now_ms = 1_764_072_000_000

    def calls() -> Iterator[Call]:
        nonlocal now_ms
        for _ in range(2 * BATCH_JOBS):
            now_ms += 10
            yield Call("noop", {})

    with shown_by(lambda: now_ms / 1000):
        for batch in drafted(calls(), drafts()):
            assert len(batch) == BATCH_JOBS
            said = {decode(job.uid, job.stored).record.enqueued_ms for job in batch}
            assert said == {now_ms}


@pytest.mark.parametrize("payload_bytes", [10, BIG // 2, 3 * BIG, BATCH_BYTES // 3])
@pytest.mark.parametrize("name", ["noop", "é" * 200])
def test_a_batch_of_calls_is_as_large_as_it_may_be_and_no_larger(
    payload_bytes: int, name: str
) -> None:
    made = drafts()
    made.config = attrs.evolve(made.config, max_payload_bytes=BATCH_BYTES)
    calls = [Call(name, {"pad": "x" * payload_bytes})] * (1200 if payload_bytes <= BIG else 10)
    batches = list(drafted(calls, made))
    assert sum(map(len, batches)) == len(calls)
    for batch in batches:
        size = sum(map(size_of, batch))
        assert len(batch) <= BATCH_JOBS
        assert size <= BATCH_BYTES
        if batch is not batches[-1]:
            one_more = size_of(batch[0]) + 32  # a little less, since an end may be a little longer
            assert len(batch) == BATCH_JOBS or size + one_more * (len(batch) + 1) > BATCH_BYTES


def test_a_job_that_asks_for_something_has_it_after_many_that_asked_for_nothing() -> None:
    made, call = drafts(), Call("noop", {})
    for _ in range(2):
        made.draft(call, None)
    asks = made.draft(call, None, id="mine", delay=5, max_attempts=3, trace={"traceparent": "x"})
    record = decode(asks.uid, asks.stored).record
    assert (asks.id, asks.delay_ms, record.id, record.options.max_attempts) == (
        "mine",
        5000,
        "mine",
        3,
    )
    assert record.trace == {"traceparent": "x"}
    assert record.due_ms == record.enqueued_ms + 5000
    with pytest.raises(TypeError, match="delay"):
        made.draft(call, None, delay=False)


@pytest.mark.parametrize("asked", [
    {"timeout": 7}, {"max_attempts": 3}, {"trace": {"traceparent": "x"}}, {"delay": 5}, {"id": "x"},
])  # fmt: skip
def test_one_thing_alone_is_asked_for_each_time(asked: dict[str, Any]) -> None:
    made, call = drafts(), Call("noop", {})
    for _ in range(3):
        job = made.draft(call, None, **asked)
        record = decode(job.uid, job.stored).record
        told = {
            "timeout": record.options.timeout_s,
            "max_attempts": record.options.max_attempts,
            "trace": dict(record.trace),
            "delay": (record.due_ms - record.enqueued_ms) // 1000 if record.due_ms else 0,
            "id": record.id,
        }
        nothing = {"timeout": None, "max_attempts": None, "trace": {}, "delay": 0, "id": None}
        assert told == nothing | asked


def test_a_fair_key_is_asked_for_with_its_weight() -> None:
    made, call = drafts(), Call("noop", {})
    assert made.draft(call, None).fair is None
    assert made.draft(call, None, fair_key="acme").fair == FairKey('"acme"')
    assert made.draft("noop", {}, queue="low", fair_key=7, weight=2).fair == FairKey("7", 2.0)
    for weight in (0.01, 100):
        drafted = made.draft(call, None, fair_key="x" * 254, weight=weight)
        assert drafted.fair == FairKey(f'"{"x" * 254}"', weight)
    with_id = made.draft(call, None, fair_key="ä\n", id="x")
    assert (with_id.fair, with_id.id) == (FairKey('"\\u00e4\\n"'), "x")


@pytest.mark.parametrize(("asked", "error", "says"), [
    ({"fair_key": 1.5}, TypeError, "fair_key is 1.5: expected a text or a whole number"),
    ({"fair_key": True}, TypeError, "fair_key is True"),
    ({"weight": 2}, TypeError, "a weight needs a fair_key, or a queue that is fair"),
    ({"fair_key": "a", "weight": "2"}, TypeError, "weight is '2': expected a number"),
    ({"fair_key": "a", "weight": True}, TypeError, "weight is True: expected a number"),
    ({"fair_key": "a", "weight": 0}, PayloadRejected, "a weight is from 0.01 to 100, not 0"),
    ({"fair_key": "a", "weight": 101}, PayloadRejected, "not 101"),
    ({"fair_key": "a", "weight": float("nan")}, PayloadRejected, "not nan"),
    ({"fair_key": "a", "weight": 0.0099}, PayloadRejected, "not 0.0099"),
    ({"fair_key": "x" * 255}, PayloadRejected, r'the fair_key "x{40}"… has 257 bytes, 256 at most'),
])  # fmt: skip
def test_a_fair_key_that_can_be_none_is_refused(
    asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        drafts().draft(Call("noop", {}), None, **asked)
