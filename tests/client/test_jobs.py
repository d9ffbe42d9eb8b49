"""How jobs go to the server: in batches that are bounded in jobs and in bytes."""

from __future__ import annotations

import pytest

from tests.support import new_job
from trioq.client.jobs import BATCH_BYTES, BATCH_JOBS, batches
from trioq.core.calls import NewJob

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
