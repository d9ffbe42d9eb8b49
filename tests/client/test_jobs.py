"""How jobs go to the server: in batches that are bounded in jobs and in bytes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.support import new_job
from trioq.client.jobs import Drafts, batches
from trioq.client.outbox import BATCH_BYTES, BATCH_JOBS
from trioq.core.call import Call
from trioq.core.calls import NewJob
from trioq.core.config import Config, QueueConfig
from trioq.core.formats.record import decode, split_big
from trioq.core.job import NO_HEADERS
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


@pytest.mark.parametrize("asked", [None, "high"])
@pytest.mark.parametrize("of_handler", [None, "high", "low"])
@pytest.mark.parametrize("name", ["noop", 'a "name" é'])
@pytest.mark.parametrize("size", [0, BIG, BIG + 1])
def test_the_second_job_of_a_handler_is_drafted_as_the_first_was(
    asked: str | None, of_handler: str | None, name: str, size: int
) -> None:
    made, call = drafts(), Call(name, {"pad": "x" * size}, of_handler)
    jobs = [made.draft(call, None, queue=asked) for _ in range(2)]
    jobs.append(made.plain(call, asked, NO_HEADERS))
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


@pytest.mark.parametrize(
    ("call", "queue", "error", "told"),
    [
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
    call: Call, queue: Any, error: type[Exception], told: str
) -> None:
    made = drafts()
    made.plain(Call("noop", {}), None, NO_HEADERS)
    for _ in range(2):
        with pytest.raises(error, match=told):
            made.plain(call, queue, NO_HEADERS)


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
