"""Among fair keys, as the specification has them: nobody waits for more than a turn of the others.

That the scripts do the same, the machine in ``props/test_store.py`` sees.
"""

from __future__ import annotations

from collections import Counter, deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.fair import FairKey, turn_of
from trioq.core.model.turns import Keyed, Turns

weights = st.sampled_from([0.01, 0.3, 1.0, 2.0, 7.0, 100.0])


class Line:
    """One queue, whose jobs are named by their keys and numbers."""

    def __init__(self) -> None:
        self.turns, self.keyed, self.plain = Turns(), Keyed(), deque[str]()
        self.made = 0

    def enqueue(self, key: str, weight: float = 1.0, count: int = 1) -> None:
        """No key: an empty one."""
        for _ in range(count):
            uid, self.made = f"{key}.{self.made:08}", self.made + 1
            if key:
                self.keyed.put(uid, self.turns.tag("q", FairKey(key, weight)))
            else:
                self.plain.append(uid)

    def claim(self, want: int = 1) -> list[str]:
        taken = self.turns.merged("q", self.plain, self.keyed, want)
        for _, tag in taken:
            self.turns.claimed("q", tag)
        return [uid for uid, _ in taken]


def key_of(uid: str) -> str:
    return uid.partition(".")[0]


@pytest.mark.parametrize("flood", ["a", ""])
@pytest.mark.parametrize("late", ["b", ""])
def test_a_hundred_thousand_jobs_delay_anothers_first_by_one_turn_at_most(
    flood: str, late: str
) -> None:
    if flood == late:
        return
    line = Line()
    line.enqueue(flood, count=100_000)
    if not flood:
        line.enqueue("c", count=10)  # without any key there are no turns
    line.claim(5)
    line.enqueue(late)
    assert late in map(key_of, line.claim(3))


@given(
    floods=st.dictionaries(st.sampled_from("abcd"), st.integers(5, 40), min_size=1),
    plain=st.integers(0, 30),
    before=st.integers(0, 60),
)
def test_who_comes_first_with_a_key_waits_for_one_job_of_each_other(
    floods: dict[str, int], plain: int, before: int
) -> None:
    line = Line()
    for key, count in floods.items():
        line.enqueue(key, count=count)
    line.enqueue("", count=plain)
    line.claim(min(before, sum(floods.values()) - 1))
    line.enqueue("new")
    others = len(floods) + (plain > 0)
    assert "new" in map(key_of, line.claim(2 * others + 1))


@given(of=st.dictionaries(st.sampled_from("abcd"), weights, min_size=2), want=st.integers(1, 50))
def test_keys_have_turns_by_their_weights(of: dict[str, float], want: int) -> None:
    line = Line()
    for key, weight in of.items():
        line.enqueue(key, weight, count=1000)
    had = Counter[str]()
    while sum(had.values()) < 500:
        had.update(map(key_of, line.claim(want)))
        if any(count == 1000 for count in had.values()):
            return
        shares = {key: had[key] / weight for key, weight in of.items()}
        for key, share in shares.items():
            for other, others in shares.items():
                assert abs(share - others) <= 1 / of[key] + 1 / of[other] + 1e-6


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b"]), weights, st.integers(0, 3)), max_size=60)
)
def test_the_order_within_a_key_is_kept(calls: list[tuple[str, float, int]]) -> None:
    line, claimed = Line(), list[str]()
    for key, weight, want in calls:
        line.enqueue(key, weight)
        claimed += line.claim(want)
    claimed += line.claim(1000)
    assert len(claimed) == len(calls)
    for key in ("", "a", "b"):
        mine = [uid for uid in claimed if key_of(uid) == key]
        assert mine == sorted(mine)


@given(
    enqueued=st.lists(st.tuples(st.sampled_from("abc"), weights, st.integers(0, 2)), min_size=1),
    order=st.randoms(use_true_random=False),
    left=st.integers(0, 5),
)
def test_what_a_key_is_given_next_comes_behind_those_that_had_their_turns_or_wait_for_them(
    enqueued: list[tuple[str, float, int]], order: Random, left: int
) -> None:
    line, through = Line(), dict[str, tuple[str, float, int]]()
    for key, weight, want in enqueued:
        line.enqueue(key, weight)
        (uid,) = [uid for uid in line.keyed.tags if uid not in through]
        through[uid] = key, weight, line.keyed.tags[uid]
        line.claim(want)
    waiting = list(line.keyed.tags)
    order.shuffle(waiting)
    for uid in waiting[left:]:
        key, weight, tag = through.pop(uid)
        line.turns.give_back("q", FairKey(key, weight), tag)
    for key in "abc":
        ends = [tag + turn_of(weight) for of, weight, tag in through.values() if of == key]
        now = line.turns.now.get("q", 0)
        assert line.turns.tag("q", FairKey(key)) == max([now, *ends])
