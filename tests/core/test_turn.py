"""What decides when a job may start, from its queue and its payload."""

from __future__ import annotations

from typing import Any

import pytest

from trioq.core.config import Config, QueueConfig
from trioq.core.fair import FairKey
from trioq.core.flow import NO_PLAN, Plan, flow, told_apart

PAYLOAD = {"tenant": "acme", "order": {"customer": {"id": 7}}, "nothing": None}


def test_the_field_of_a_fair_queue_is_what_its_jobs_take_turns_by() -> None:
    config = Config(queues=(QueueConfig("pay", fair="order.customer.id"), QueueConfig("low")))
    assert flow(config).plan("x", "pay").turn(PAYLOAD) == FairKey("7")
    assert flow(config).plan("x", "pay").reads
    assert flow(config).plan("x", "low") is NO_PLAN
    assert not NO_PLAN.reads
    assert NO_PLAN.turn(PAYLOAD) is None


@pytest.mark.parametrize("field", ["absent", "nothing", "tenant.id", "order.customer.name"])
def test_a_job_that_lacks_the_field_has_no_key(field: str) -> None:
    assert Plan(fair=field).turn(PAYLOAD) is None


@pytest.mark.parametrize(
    ("value", "key"), [("acme", '"acme"'), (7, "7"), ("7", '"7"'), (True, "true"), (1.5, "1.5")]
)
def test_values_of_all_kinds_have_keys_of_their_own(value: Any, key: str) -> None:
    assert Plan(fair="f").turn({"f": value}) == FairKey(key)


def test_lists_and_tables_are_told_apart_by_one_text_whatever_their_order() -> None:
    assert told_apart({"b": 1, "a": [2]}) == told_apart({"a": (2,), "b": 1}) == '{"a":[2],"b":1}'
    assert told_apart({"b": 1, 2: 3}) == '{"2":3,"b":1}'


def test_values_of_any_length_are_told_apart() -> None:
    long, other = "x" * 10_000, "x" * 9_999 + "y"
    turn = Plan(fair="f").turn({"f": long})
    assert turn is not None
    assert len(turn.key) < 100
    assert told_apart(long) != told_apart(other)
    assert told_apart(long) == told_apart("x" * 10_000)
