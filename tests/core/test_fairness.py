"""Which queue is claimed from first."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from trioq.core.fairness import order


def no_draw() -> float:
    raise AssertionError("strict priority draws no lots")


def shares(queues: list[tuple[str, float | None]], place: int = 0) -> dict[str, float]:
    draw, rounds = random.Random(1).random, 20_000
    counted = Counter(order(queues, draw)[place] for _ in range(rounds))
    return {name: counted[name] / rounds for name, _ in queues}


def test_without_weights_priority_is_strict_and_draws_no_lots() -> None:
    assert order([("high", None), ("mid", None), ("low", None)], no_draw) == ["high", "mid", "low"]
    assert order([], no_draw) == []


def test_each_order_has_each_queue_once() -> None:
    draw = random.Random(1).random
    for _ in range(100):
        assert sorted(order([("a", 8), ("b", None), ("c", 0.001)], draw)) == ["a", "b", "c"]


def test_shares_converge_to_the_weights() -> None:
    first = shares([("high", 8), ("mid", 2), ("low", 1)])
    expected = {"high": 8 / 11, "mid": 2 / 11, "low": 1 / 11}
    assert first == pytest.approx(expected, abs=0.01)


def test_what_is_left_is_shared_by_weight_when_the_first_is_empty() -> None:
    second = shares([("high", 1e6), ("mid", 2), ("low", 1)], place=1)
    assert second == pytest.approx({"high": 0, "mid": 2 / 3, "low": 1 / 3}, abs=0.01)


def test_queue_without_a_weight_counts_one() -> None:
    assert shares([("a", 3), ("b", None)]) == pytest.approx({"a": 0.75, "b": 0.25}, abs=0.01)


@pytest.mark.parametrize("scale", [1e-300, 1e-4, 1e7, 1e300])
def test_only_the_ratio_of_weights_matters(scale: float) -> None:
    first = shares([("a", scale), ("b", 3 * scale)])
    assert first == pytest.approx({"a": 0.25, "b": 0.75}, abs=0.01)


@pytest.mark.parametrize("lot", [0.0, 1 - 2**-53])
def test_every_lot_can_be_drawn(lot: float) -> None:
    assert sorted(order([("a", 1), ("b", 2)], lambda: lot)) == ["a", "b"]
