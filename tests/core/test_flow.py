"""What jobs take of limits, from their names, queues and payloads."""

from __future__ import annotations

from typing import Any

import pytest

import trioq
from trioq.core.config import Config, LimitConfig, QueueConfig
from trioq.core.fair import Asked, FairKey, fair_key
from trioq.core.flow import NO_PLAN, VALUE_MAX, Limit, Plan, allows, flow, told_apart, value_at
from trioq.core.limits import LimitSettings

PAYLOAD = {"tenant": "acme", "order": {"customer": {"id": 7}}, "nothing": None}


def of(*limits: Limit) -> Plan:
    return Plan(limits)


# -- a limit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "limits nothing: expected a rate, a concurrency, or both"),
        ({"rate": 0}, "the limit's rate: expected a rate from 0.0001 to 1000000"),
        ({"rate": -1}, "the limit's rate"),
        ({"rate": "5/x"}, r"""the limit's rate: .*, such as 100 \(in a second\), "5/m" or"""),
        ({"rate": True}, "the limit's rate"),
        ({"concurrency": 0}, "the limit's concurrency: expected a whole number from 1"),
        ({"concurrency": 1.5}, "the limit's concurrency"),
        ({"rate": 1, "burst": 0}, "the limit's burst: expected a whole number from 1"),
        ({"concurrency": 1, "burst": 2}, "has a burst, which needs a rate"),
        ({"rate": 1, "key": ""}, "the limit's key: expected a field of the payload"),
        ({"rate": 1, "key": "a..b"}, "the limit's key"),
        ({"rate": 1, "key": 5}, "the limit's key"),
    ],
)
def test_what_cannot_be_a_limit_is_told(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        trioq.Limit("stripe", **wrong)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 65, None])
def test_a_limit_has_a_name_that_takes_can_begin_with(name: Any) -> None:
    with pytest.raises(ValueError, match="the limit's name: expected a name"):
        trioq.Limit(name, rate=1)


@pytest.mark.parametrize(
    ("rate", "us"), [(100, 10_000), ("100/s", 10_000), ("5/m", 12_000_000), ("1000/h", 3_600_000)]
)
def test_a_rate_is_kept_as_the_time_between_two_starts(rate: Any, us: int) -> None:
    assert Limit("a", rate=rate, burst=3).settings == LimitSettings(us, 3, 0)
    assert Limit("a", concurrency=2).settings == LimitSettings(0, 1, 2)


def test_limits_agree_that_say_the_same_of_other_fields() -> None:
    limit = Limit("a", rate=1, key="tenant")
    assert limit.agrees(Limit("a", rate="60/m", key="order.tenant"))
    assert not limit.agrees(Limit("a", rate=2, key="tenant"))
    assert not limit.agrees(Limit("a", rate=1, burst=2, key="tenant"))
    assert not limit.agrees(Limit("a", rate=1, concurrency=2, key="tenant"))
    assert not limit.agrees(Limit("a", rate=1)), "one for all isn't one for each"


@pytest.mark.parametrize("rate", ["100/s", "3/s", "5/m", "1000/h", "11/d"])
def test_a_rate_is_told_as_it_was_written(rate: str) -> None:
    assert Limit("a", rate=rate).words == f"{rate} started"


def test_what_a_limit_allows_is_told_in_words() -> None:
    limit = Limit("a", rate=2, burst=5, concurrency=1000, key="tenant")
    assert limit.words == "2/s started, 5 at once and 1,000 running, for each tenant"
    assert allows(LimitSettings()) == "any"


# -- takes -------------------------------------------------------------------------------------


def test_a_job_takes_of_each_limit_once_and_of_those_with_a_key_last() -> None:
    config = Config(
        queues=(QueueConfig("pay", concurrency=2), QueueConfig("low")),
        limits={
            "each": LimitConfig(name="each", jobs=("charge",), concurrency=1, key="tenant"),
            "all": LimitConfig(name="all", queue="pay", rate=5),
        },
    )
    plan = flow(config).plan("charge", "pay", [Limit("all", rate=5), Limit("own", rate=1)])
    assert plan.takes(PAYLOAD) == ("pay", "all", "own", 'each:"acme"')
    assert flow(config).plan("charge", "low").takes(PAYLOAD) == ('each:"acme"',)
    assert flow(config).plan("other", "low") is NO_PLAN


def test_the_short_form_of_a_queue_is_a_limit_of_its_name() -> None:
    (bound,) = flow(Config(queues=(QueueConfig("pay", rate=5, concurrency=2),))).bound
    assert bound.limit == Limit("pay", rate=5, concurrency=2)


@pytest.mark.parametrize("key", ["absent", "nothing", "tenant.id", "order.customer.name"])
def test_a_limit_does_not_bind_a_job_that_lacks_its_key(key: str) -> None:
    assert of(Limit("a", rate=1, key=key), Limit("b", rate=1)).takes(PAYLOAD) == ("b",)


def test_a_key_reaches_into_a_payload() -> None:
    assert of(Limit("a", rate=1, key="order.customer.id")).takes(PAYLOAD) == ("a:7",)


def test_lists_and_tables_are_told_apart_by_one_text_whatever_their_order() -> None:
    assert told_apart({"b": 1, "a": [2]}) == told_apart({"a": (2,), "b": 1}) == '{"a":[2],"b":1}'
    assert told_apart({"b": 1, 2: 3}) == '{"2":3,"b":1}'


def test_values_of_other_types_are_told_apart() -> None:
    each = of(Limit("a", rate=1, key="k"))
    takes = [each.takes({"k": value}) for value in (True, 1, "1", "true", False, 0, "")]
    assert takes[:2] == [("a:true",), ("a:1",)]
    assert len(set(takes)) == len(takes)


def test_a_value_is_told_as_it_is_until_it_is_long() -> None:
    longest = "x" * (VALUE_MAX - 2)
    assert told_apart(longest) == longest
    assert told_apart(longest + "x") != longest + "x"


def test_values_of_any_length_are_told_apart() -> None:
    long, other = "x" * 10_000, "x" * 9_999 + "y"
    (take,) = of(Limit("a", rate=1, key="k")).takes({"k": long})
    assert len(take) < 100
    assert told_apart(long) != told_apart(other)
    assert told_apart(long) == told_apart("x" * 10_000)


def test_the_server_is_told_of_all_limits_of_configuration_and_handlers() -> None:
    queues = (QueueConfig("pay", concurrency=2), QueueConfig("low"))
    limits = {"each": LimitConfig(name="each", jobs=("x",), rate=1, burst=3, key="tenant")}
    settings = flow(Config(queues=queues, limits=limits)).settings([Limit("own", rate=4)])
    assert settings == {
        "own": LimitSettings(250_000),
        "pay": LimitSettings(concurrency=2),
        "each": LimitSettings(1_000_000, 3, keyed=True),
    }


def test_whose_turn_a_job_is_its_payload_tells() -> None:
    queue = QueueConfig("pay", fair="order.customer.id")
    plan = flow(Config(queues=(queue,))).plan("charge", "pay")
    assert plan.turn(PAYLOAD) == fair_key(7)
    assert plan.turn({"order": {"customer": {"id": None}}}) is None
    assert plan.turn({}) is None
    assert plan.turn({"order": {"customer": {"id": 0}}}) == fair_key(0)
    assert plan.reads


def test_only_a_plan_with_a_key_reads_payloads() -> None:
    assert not of(Limit("a", rate=1)).reads
    assert of(Limit("a", rate=1, key="x")).reads
    assert value_at({"x": None}, "x") is None


def test_a_weight_is_the_enqueues_then_the_keys_then_one() -> None:
    plan = Plan(fair="of", weights={"a": 3.0, "true": 2.0})
    assert plan.turn({"of": "a"}, Asked(weight=5.0)) == FairKey('"a"', 5.0)
    assert plan.turn({"of": "a"}) == FairKey('"a"', 3.0)
    assert plan.turn({"of": True}) == FairKey("true", 2.0)
    assert plan.turn({"of": "b"}) == FairKey('"b"')
