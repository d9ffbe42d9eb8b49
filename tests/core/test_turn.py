"""What decides when a job may start, from its queue and its payload."""

from __future__ import annotations

from typing import Any

import pytest

from trioq.core.config import Config, QueueConfig
from trioq.core.fair import Asked, FairKey
from trioq.core.flow import NO_PLAN, Plan, flow, told_apart

PAYLOAD = {"tenant": "acme", "order": {"customer": {"id": 7}}, "nothing": None}


def test_the_field_of_a_fair_queue_is_what_its_jobs_take_turns_by() -> None:
    config = Config(queues=(QueueConfig("pay", fair="order.customer.id"), QueueConfig("low")))
    assert flow(config).plan("x", "pay").turn(PAYLOAD) == FairKey("7")
    assert flow(config).plan("x", "pay").reads
    assert flow(config).plan("x", "low") is NO_PLAN
    assert not NO_PLAN.reads
    assert NO_PLAN.turn(PAYLOAD) is None


def test_keys_have_the_weights_that_are_configured_whoever_asks_for_them() -> None:
    weights = {"acme": 3.0, "7": 0.5, "true": 2.0, "x" * 1000: 5.0}
    queues = (QueueConfig("pay", fair="k", fair_weights=weights), QueueConfig("low"))
    plan = flow(Config(queues=queues)).plan("x", "pay")
    assert plan.turn({"k": "acme"}) == FairKey('"acme"', 3.0)
    assert plan.turn({"k": 7}) == FairKey("7", 0.5)
    assert plan.turn({"k": "7"}) == FairKey('"7"', 0.5)
    assert plan.turn({"k": True}) == FairKey("true", 2.0)
    assert plan.turn({"k": "other"}) == FairKey('"other"', 1.0)
    assert (long := plan.turn({"k": "x" * 1000})) is not None
    assert long.weight == 5.0
    assert plan.turn({"k": "other"}, Asked("acme")) == FairKey('"acme"', 3.0)
    assert plan.turn({"k": "acme"}, Asked(weight=4.0)) == FairKey('"acme"', 4.0)
    assert plan.turn({"k": "acme"}, Asked(7, 4.0)) == FairKey("7", 4.0)
    assert plan.turn({}, Asked(weight=4.0)) is None
    assert flow(Config(queues=queues)).plan("x", "low") is NO_PLAN


def test_weights_hold_in_a_queue_that_goes_by_no_field_too() -> None:
    queues = (QueueConfig("pay", fair_weights={"acme": 3.0}), QueueConfig("low"))
    plan = flow(Config(queues=queues)).plan("x", "pay")
    assert plan.turn({"k": "acme"}, Asked("acme")) == FairKey('"acme"', 3.0)
    assert plan.turn({"k": "acme"}) is None
    assert not plan.reads
    with pytest.raises(TypeError, match="needs a fair_key, or a queue that is fair"):
        plan.turn({"k": "acme"}, Asked(weight=2.0))


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
