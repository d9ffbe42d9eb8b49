"""What engines add to what a job takes: all that they know of, and never to and fro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import new_job
from trioq.core.events import Event, LimitLeftOut, Report
from trioq.core.flow import NO_PLAN, Limit, Plan
from trioq.core.limits import TAKES_KEPT, TAKES_MAX, limit_of
from trioq.engine.claim import Claimer, Held
from trioq.engine.shard import takes as module
from trioq.engine.shard.takes import Takes

NAMES = [f"limit{n}" for n in range(12)]
limits = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([None, "tenant", "x.y", "none"]))


def claimed(takes: tuple[str, ...] = ()) -> Held:
    stored = new_job("low", "charge", payload=b'{"tenant":"acme","x":{"y":7}}').stored
    return Held(cast(Claimer, None), "1" * 32, 1, 1, suspect=False, stored=stored, takes=takes)


def engine(limits: Mapping[str, str | None], told: list[Event] | None = None) -> Takes:
    plan = Plan(tuple(Limit(name, concurrency=1, key=key) for name, key in limits.items()))
    report: Report = list[Event]().append if told is None else told.append
    return Takes(lambda name, queue: plan if limits else NO_PLAN, bool(limits), report)


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

    takes = Takes(plan, any=True, report=list[Event]().append)
    for name in ("a", "b", "c", "a", "b", "c"):
        stored = new_job("low", name).stored
        held = Held(cast(Claimer, None), "1" * 32, 1, 1, suspect=False, stored=stored)
        assert takes.of(held) == ()
    assert asked == ["a", "b", "c", "c"]


def test_limits_that_are_gone_hinder_none_that_holds() -> None:
    gone = tuple(f"gone{n}" for n in range(TAKES_MAX))
    holds = {f"new{n}": None for n in range(TAKES_MAX)}
    assert engine(holds).of(claimed(gone)) == (*gone, *holds)


def test_it_is_told_which_limit_finds_no_place_and_never_to_and_fro() -> None:
    told = list[Event]()
    gone = tuple(f"gone{n}" for n in range(TAKES_KEPT - 1))
    takes = engine({"a": None, "b": "tenant", "c": "none"}, told)
    had = takes.of(claimed(gone))
    assert had == (*gone, "a")
    assert told == [], "it goes back, and doesn't run yet"
    assert takes.of(claimed(had)) == ()
    assert told == [LimitLeftOut("1" * 32, "charge", "low", "b")]
    assert takes.of(claimed((*gone, "a", 'b:"acme"'))) == ()
    assert len(told) == 1, "it has what it needs"


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
    assert len(names) == len(set(names))
    asked = {name for who in back for name, key in configurations[who].items() if key != "none"}
    assert asked <= {*names}, "whoever ran it ran it with all of its limits"
