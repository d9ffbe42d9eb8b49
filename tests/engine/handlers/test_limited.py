"""Limits that don't fit the handlers: each fault in a line, all at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import pytest

import trioq
from trioq.core.config import Config, LimitConfig, QueueConfig
from trioq.errors import ConfigError
from trioq.registry import registry


@attrs.frozen
class Customer:
    id: int


@dataclasses.dataclass
class Order:
    customer: Customer
    note: str = ""


def app(*limits: trioq.Limit) -> trioq.App:
    made = trioq.App()

    @made.job("charge", limits=limits)
    async def charge(
        tenant: str, order: Order | None = None, more: dict[str, Any] | None = None
    ) -> None: ...

    @made.job("any")
    async def any_(**fields: Any) -> None: ...

    return made


def faults(app: trioq.App, **config: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        registry(app, Config(**config))
    return caught.value.faults


def test_a_limit_that_fits_is_no_fault() -> None:
    limit = LimitConfig(name="a", jobs=("charge", "fingerprint"), rate=1)
    registry(app(trioq.Limit("a", rate=1)), Config(limits={"a": limit}))


def test_all_that_does_not_fit_is_told_at_once() -> None:
    told = faults(
        app(trioq.Limit("stripe", rate=2), trioq.Limit("each", rate=1, key="tenannt")),
        queues=(QueueConfig("high"), QueueConfig("low")),
        limits={
            "stripe": LimitConfig(name="stripe", jobs=("chrage",), rate=1),
            "keyed": LimitConfig(name="keyed", jobs=("charge", "x"), rate=1, key="order.id"),
        },
    )
    assert told == (
        "limits.stripe.jobs[0]: no handler is called 'chrage'; did you mean \"charge\"?",
        'limits.keyed.jobs[1]: no handler is called \'x\'; there are "fingerprint", "charge",'
        ' "any"',
        "app: the handler 'charge' says of the limit 'stripe': 2/s started; and limits.stripe:"
        " 1/s started: let them say the same",
        "app: the limit 'each' of 'charge': its payload has no field 'tenannt'; did you mean"
        ' "tenant"?',
        "limits.keyed.key: the payload of 'charge' has no field 'order.id'; did you mean"
        ' "order.note"?',
    )


def test_each_handler_that_a_limit_lists_has_its_field() -> None:
    limit = LimitConfig(name="a", jobs=("any", "charge", "fingerprint"), rate=1, key="tenant")
    (told,) = faults(app(), limits={"a": limit})
    assert told.startswith("limits.a.key: the payload of 'fingerprint' has no field 'tenant'")


def test_a_limit_of_a_queue_needs_one_handler_with_its_field() -> None:
    limit = LimitConfig(name="a", queue="low", rate=1, key="tenant")
    registry(app(), Config(limits={"a": limit}))
    (told,) = faults(trioq.App(), limits={"a": limit})
    assert told == (
        'limits.a.key: no handler\'s payload has a field \'tenant\'; there are "path", "size",'
        ' "mtime"'
    )


def test_a_job_takes_of_no_more_limits_than_a_claim_looks_at() -> None:
    eight = [trioq.Limit(f"l{i}", rate=1) for i in range(8)]
    same = LimitConfig(name="l0", jobs=("charge",), rate=1)
    registry(app(*eight), Config(limits={"l0": same}))
    one_more = LimitConfig(name="all", queue="low", rate=1)
    (told,) = faults(app(*eight), limits={"all": one_more})
    assert told == (
        "limits: jobs of 'charge' in low take of 9, 8 at most: all, l0, l1, l2, l3, l4, l5, l6, l7"
    )


def test_a_handler_that_asks_for_more_by_itself_is_told_where_it_is() -> None:
    (told,) = faults(app(*(trioq.Limit(f"l{i}", rate=1) for i in range(9))))
    assert told.startswith("app: jobs of 'charge' take of 9, 8 at most: l0, ")


# -- in one app --------------------------------------------------------------------------------


def test_two_handlers_that_differ_in_one_limit_are_both_named() -> None:
    made = app(trioq.Limit("a", rate=1))
    made.job("same", limits=[trioq.Limit("a", rate="60/m")])(print_it)
    registry(made, Config())
    made.job("other", limits=trioq.Limit("a", rate=1, concurrency=3, key="text"))(print_it)
    (told,) = faults(made)
    assert told == (
        "app: the handler 'other' says of the limit 'a': 1/s started and 3 running, for each text;"
        " and the handler 'charge': 1/s started: let them say the same"
    )


def test_two_handlers_that_differ_in_one_breaker_are_told_with_the_limits() -> None:
    made = app(trioq.Limit("a", rate=1))
    made.job("one", breaker=trioq.Breaker("b", window=60, cooldown=5))(print_it)
    made.job("two", breaker=trioq.Breaker("b", window="1m"))(print_it)
    made.job("three", limits=trioq.Limit("a", rate=2))(print_it)
    limit, breaker = faults(made)
    assert limit.startswith("app: the handler 'three' says of the limit 'a': 2/s started; and")
    assert breaker == (
        "app: the handlers 'one' and 'two' say different things of the breaker 'b', cooldown=5 and"
        " nothing: let them say the same, or let [breakers.b] say what holds"
    )


def test_limits_are_limits_and_no_two_have_one_name() -> None:
    with pytest.raises(TypeError, match=r"limits has 'stripe': expected trioq.Limit\(…\)"):
        trioq.App().job("x", limits="stripe")(print_it)  # type: ignore[call-overload]
    twice = [trioq.Limit("a", rate=1), trioq.Limit("a", concurrency=1)]
    with pytest.raises(ValueError, match="two that are called 'a'"):
        trioq.App().job("x", limits=twice)(print_it)


async def print_it(text: str = "") -> None:
    print(text)
