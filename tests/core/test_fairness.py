"""Which queue is claimed from first, and how much."""

from __future__ import annotations

from collections import Counter

import pytest

from trioq.core.fairness import Shares


def served(shares: Shares, count: int, backlog: dict[str, int], want: int = 1) -> list[str]:
    """The queues of so many claims, of a backlog that there is at the beginning."""
    claims: list[str] = []
    while len(claims) < count:
        order = shares.order()
        most = shares.most()
        got = list[str]()
        for name in order:
            room = min(want, want if most is None else most) - len(got)
            taken = min(room, backlog.get(name, 0))
            backlog[name] = backlog.get(name, 0) - taken
            got += [name] * taken
        shares.claimed(order, Counter(got), is_all=not any(backlog.values()))
        claims += got
        if not got:
            break
    return claims


ENDLESS = 1_000_000


def test_without_weights_priority_is_strict() -> None:
    shares = Shares([("high", None), ("mid", None), ("low", None)])
    assert shares.order() == ("high", "mid", "low")
    assert not shares.are_counted
    assert shares.most() is None
    assert set(served(shares, 100, {"low": ENDLESS, "high": ENDLESS})) == {"high"}
    assert Shares([]).order() == ()


def test_claims_one_by_one_are_shared_by_weight_to_within_one() -> None:
    shares = Shares([("high", 8), ("mid", 2), ("low", 1)])
    claims = served(shares, 1100, {"high": ENDLESS, "mid": ENDLESS, "low": ENDLESS})
    for start in range(1100 - 11):
        counted = Counter(claims[start : start + 11])
        assert abs(counted["high"] - 8) <= 2
        assert abs(counted["mid"] - 2) <= 1
        assert abs(counted["low"] - 1) <= 1


def test_what_is_left_is_shared_by_weight_when_the_heaviest_is_empty() -> None:
    shares = Shares([("high", 1e6), ("mid", 2), ("low", 1)])
    claims = Counter(served(shares, 300, {"mid": ENDLESS, "low": ENDLESS}))
    assert claims["mid"] == pytest.approx(200, abs=2)


def test_queue_without_a_weight_counts_one() -> None:
    claims = served(Shares([("a", 3), ("b", None)]), 400, {"a": ENDLESS, "b": ENDLESS})
    assert Counter(claims)["a"] == pytest.approx(300, abs=1)


@pytest.mark.parametrize("scale", [1e-300, 1e-4, 1e7, 1e300])
def test_only_the_ratio_of_weights_matters(scale: float) -> None:
    shares = Shares([("a", scale), ("b", 3 * scale)])
    claims = served(shares, 400, {"a": ENDLESS, "b": ENDLESS})
    assert Counter(claims)["b"] == pytest.approx(300, abs=1)


def test_a_weight_of_almost_nothing_is_one_still() -> None:
    shares = Shares([("a", 5e-324), ("b", 1e7)])
    assert served(shares, 3, {"a": 2, "b": 1}) == ["b", "a", "a"]


def test_an_empty_queue_saves_nothing_up() -> None:
    shares = Shares([("a", 1), ("b", 1)])
    served(shares, 500, {"a": ENDLESS})
    claims = served(shares, 100, {"a": ENDLESS, "b": ENDLESS})
    assert Counter(claims)["b"] == pytest.approx(50, abs=1)


def test_who_was_alone_pays_nothing_back() -> None:
    shares = Shares([("a", 1), ("b", 1)])
    served(shares, 501, {"a": 501}, want=600)
    claims = served(shares, 100, {"a": ENDLESS, "b": ENDLESS})
    assert Counter(claims)["a"] == pytest.approx(50, abs=1)


def test_a_queue_that_was_not_looked_into_keeps_its_turn() -> None:
    shares = Shares([("a", 1), ("b", 1)])
    shares.claimed(("a", "b"), {"a": 5}, is_all=False)
    assert shares.order() == ("b", "a")
    shares.claimed(("b", "a"), {}, is_all=False)
    assert shares.order() == ("b", "a"), "a step that claims nothing tells nothing"


def test_where_only_one_queue_has_jobs_a_claim_has_no_bound() -> None:
    shares = Shares([("a", 1), ("b", 1)])
    assert shares.most() == 32, "who knows?"
    served(shares, 1000, {"a": ENDLESS}, want=500)
    assert shares.most() is None
    served(shares, 1000, {"a": ENDLESS, "b": ENDLESS}, want=500)
    assert shares.most() == 32


def test_what_is_of_no_known_queue_is_nobodys_turn() -> None:
    shares = Shares([("a", 1), ("b", 1)])
    shares.claimed(("a", "b"), {"": 3, "gone": 1, "a": 1}, is_all=False)
    assert shares.order() == ("b", "a")
    assert set(served(shares, 10, {"a": ENDLESS, "b": ENDLESS})) == {"a", "b"}


# -- queues that must not starve -----------------------------------------------------------


def test_one_of_four_claims_goes_to_a_late_queue_first() -> None:
    shares = Shares([("high", None), ("low", None)])
    shares.late = {"low": 1.5}
    claims = served(shares, 40, {"high": ENDLESS, "low": ENDLESS})
    assert claims == ["high", "high", "high", "low"] * 10


def test_the_latest_of_several_comes_first() -> None:
    shares = Shares([("high", None), ("mid", None), ("low", None)])
    shares.late = {"mid": 1.2, "low": 3.0}
    claims = served(shares, 4, {"high": ENDLESS, "mid": ENDLESS, "low": ENDLESS})
    assert claims == ["high", "high", "high", "low"]


def test_a_late_queue_that_is_empty_now_is_late_no_more() -> None:
    shares = Shares([("high", None), ("low", None)])
    shares.late = {"low": 1.5}
    assert shares.are_counted
    served(shares, 8, {"high": ENDLESS, "low": 1})
    assert shares.late == {}
    assert not shares.are_counted


def test_claims_that_brought_nothing_are_no_turns() -> None:
    shares = Shares([("high", None), ("low", None)])
    shares.late = {"low": 1.5}
    for _ in range(10):
        shares.claimed(shares.order(), {}, is_all=False)
        assert shares.order() == ("high", "low")


def test_a_late_queue_pays_for_its_turn_with_its_share() -> None:
    shares = Shares([("a", 3), ("b", 1)])
    shares.late = {"b": 2.0}
    claims = served(shares, 400, {"a": ENDLESS, "b": ENDLESS})
    assert Counter(claims)["b"] == pytest.approx(100, abs=2)


def test_many_queues_are_claimed_from_for_longer_than_their_share_of_a_turn() -> None:
    for count, most in (2, 32), (3, 24), (50, 24):
        assert Shares([(f"q{n}", 5) for n in range(count)]).most() == most
    heavy = Shares([("light", 1), ("heavy", 4), *((f"q{n}", 4) for n in range(10))])
    assert (heavy.order()[0], heavy.most()) == ("heavy", 24)
    for _ in range(11):
        heavy.claimed(order := heavy.order(), {order[0]: 1}, is_all=False)
    assert (heavy.order()[0], heavy.most()) == ("light", 6)


def test_who_may_have_something_by_now_is_claimed_from_for_a_turn_at_most() -> None:
    shares = Shares([("a", 1), ("b", 4), ("c", 1000)])
    served(shares, 10, {"a": ENDLESS, "b": ENDLESS})
    assert (shares.order()[0], shares.most()) == ("c", 64)
