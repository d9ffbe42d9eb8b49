"""Between queues: of any 1,000 claims each has its share, whatever the batches are."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from trioq.core.fairness import Shares

WINDOW = 1000
CLAIMS = 2500

weights = st.floats(0.01, 100.0)
wants = st.lists(st.integers(1, 1000), min_size=1, max_size=20)


@given(weights=st.lists(weights, min_size=2, max_size=20), wants=wants)
def test_of_any_1000_claims_each_queue_has_its_share(
    weights: list[float], wants: list[int]
) -> None:
    names = [f"q{place}" for place in range(len(weights))]
    shares = Shares(list(zip(names, weights, strict=True)))
    claims = list[str]()
    for turn in range(CLAIMS):
        order, most = shares.order(), shares.most()
        want = wants[turn % len(wants)]
        count = want if most is None else min(want, most)
        shares.claimed(order, {order[0]: count}, is_all=False)
        claims += [order[0]] * count
        if len(claims) >= CLAIMS:
            break
    for name, weight in zip(names, weights, strict=True):
        due = weight / sum(weights) * WINDOW
        counts = [0, *accumulate(each == name for each in claims)]
        for start in range(len(claims) - WINDOW):
            assert abs(counts[start + WINDOW] - counts[start] - due) <= 0.05 * WINDOW


@given(
    weights=st.lists(weights, min_size=2, max_size=5),
    late=st.dictionaries(st.integers(0, 4), st.floats(1.1, 9.0), min_size=1),
)
def test_one_of_four_claims_goes_to_a_late_queue_first(
    weights: list[float], late: dict[int, float]
) -> None:
    names = [f"q{place}" for place in range(len(weights))]
    shares = Shares(list(zip(names, weights, strict=True)))
    shares.late = {names[place]: by for place, by in late.items() if place < len(names)}
    if not shares.late:
        return
    by_the_late = 0
    for turn in range(1, 401):
        order = shares.order()
        by_the_late += order[0] in shares.late
        shares.claimed(order, {order[0]: 1}, is_all=False)
        assert by_the_late >= turn // 4
