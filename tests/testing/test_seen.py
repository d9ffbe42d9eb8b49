"""Jobs as they are seen, and those that come nearest."""

from __future__ import annotations

import pytest

from tests.testing.jobs import put
from trioq.testing import World


def test_a_big_payload_that_lies_apart_is_seen_as_any_other(tq: World) -> None:
    text = "x" * 100_000
    put(tq, "mail", text=text, to="ann")
    (job,) = tq.assert_enqueued("mail", text=text)
    assert job.payload == {"text": text, "to": "ann"}
    assert len(str(job)) < 300


def test_the_same_handlers_jobs_come_nearest_whatever_else_is_otherwise(tq: World) -> None:
    put(tq, "refund", queue="urgent", order=7, amount=5)
    put(tq, "charge", order=8, amount=6)
    with pytest.raises(AssertionError) as caught:
        tq.assert_enqueued("charge", queue="urgent", order=7, amount=5)
    told = str(caught.value)
    assert told.index("  charge(order=8") < told.index("  refund(order=7")
