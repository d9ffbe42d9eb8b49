"""What engines add to what a job takes: all that they know of, and never to and fro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import new_job
from trioq.core.flow import NO_PLAN, Limit, Plan
from trioq.core.limits import TAKES_MAX, limit_of
from trioq.engine.claim import Claimer, Held
from trioq.engine.shard import takes as module
from trioq.engine.shard.takes import Takes

NAMES = [f"limit{n}" for n in range(12)]
limits = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([None, "tenant", "x.y", "none"]))


def claimed(takes: tuple[str, ...] = ()) -> Held:
    stored = new_job("low", "charge", payload=b'{"tenant":"acme","x":{"y":7}}').stored
    return Held(cast(Claimer, None), "1" * 32, 1, 1, suspect=False, stored=stored, takes=takes)


def engine(limits: Mapping[str, str | None]) -> Takes:
    plan = Plan(tuple(Limit(name, concurrency=1, key=key) for name, key in limits.items()))
    return Takes(lambda name, queue: plan if limits else NO_PLAN, bool(limits))


def test_what_is_missing_is_added_behind_what_is_there() -> None:
    takes = engine({"a": None, "b": "tenant", "c": None})
    assert takes.of(claimed()) == ("a", 'b:"acme"', "c")
    assert takes.of(claimed(("c", "old"))) == ("c", "old", "a", 'b:"acme"')


def test_who_lacks_nothing_runs() -> None:
    takes = engine({"a": None, "b": "tenant", "d": "no.such"})
    for _ in range(2):
        assert takes.of(claimed(("a", 'b:"acme"'))) == ()
        assert takes.of(claimed(("x", 'b:"another"', "a"))) == (), "by whatever field"


def test_what_jobs_of_a_kind_take_is_asked_once_for_as_many_kinds_as_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    asked = list[str]()

    def plan(name: str, queue: str) -> Plan:
        asked.append(name)
        return NO_PLAN

    takes = Takes(plan, any=True)
    for name in ("a", "b", "c", "a", "b", "c"):
        stored = new_job("low", name).stored
        held = Held(cast(Claimer, None), "1" * 32, 1, 1, suspect=False, stored=stored)
        assert takes.of(held) == ()
    assert asked == ["a", "b", "c", "c"]


def test_the_most_that_a_job_can_take_is_kept() -> None:
    full = tuple(f"old{n}" for n in range(TAKES_MAX - 1))
    takes = engine({"a": None, "b": None})
    assert takes.of(claimed(full)) == (*full, "a")
    assert takes.of(claimed((*full, "more"))) == ()


@given(
    st.lists(limits, min_size=1, max_size=4),
    st.lists(st.integers(0, 3), max_size=40),
    st.lists(st.sampled_from(NAMES), unique=True, max_size=3),
)
def test_each_engine_has_a_job_go_back_once_at_most(
    configurations: list[dict[str, str | None]], claims: list[int], had: list[str]
) -> None:
    engines = [engine(each) for each in configurations]
    back, held = list[int](), claimed(tuple(had))
    for nth in claims:
        who = nth % len(engines)
        if takes := engines[who].of(held):
            assert takes[: len(held.takes)] == held.takes
            back.append(who)
            held = attrs.evolve(held, takes=takes)
    assert len(back) == len(set(back))
    names = [limit_of(take) for take in held.takes]
    assert len(names) == len(set(names)) <= TAKES_MAX
