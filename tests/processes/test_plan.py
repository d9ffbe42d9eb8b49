"""What a supervisor does next."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.config import ServeConfig
from trioq.core.config.numbers import Growth
from trioq.processes.plan import (
    ENDS,
    FIRST_S,
    LONGEST_S,
    Drain,
    Limits,
    Phase,
    Restarts,
    Seen,
    Start,
    Usage,
    next_act,
)

FIRST, ANOTHER = Start(leads=True), Start(leads=False)


def ready(*numbers: int, leaving: tuple[int, ...] = (), leads: int = 1) -> list[Seen]:
    return [Seen(n, "ready", "old code" if n in leaving else "", n == leads) for n in numbers]


def test_children_are_started_in_turn() -> None:
    assert next_act([], 2) == FIRST
    assert next_act([Seen(1, "starting")], 2) is None
    assert next_act(ready(1), 2) == ANOTHER
    assert next_act(ready(1, 2), 2) is None


def test_one_that_is_to_be_replaced_drains_when_another_is_ready() -> None:
    assert next_act(ready(1, 2, leaving=(2,)), 2) == ANOTHER
    assert next_act([*ready(1, 2, leaving=(1,)), Seen(3, "starting")], 2) is None
    assert next_act(ready(1, 2, 3, leaving=(1,)), 2) == Drain(1, "old code")


def test_two_are_never_replaced_at_once() -> None:
    draining = Seen(1, "draining", "old code")
    assert next_act([draining, *ready(2, 3, leaving=(2,))], 2) is None


def test_a_child_that_is_missing_is_started_while_another_drains() -> None:
    assert next_act([Seen(1, "draining", "old code"), *ready(2, leads=2)], 2) == ANOTHER


def test_there_is_one_that_leads_also_when_it_is_replaced_or_fewer_are_wanted() -> None:
    assert next_act(ready(2), 2) == FIRST
    assert next_act(ready(1, 2, leaving=(1,)), 2) == FIRST
    assert next_act([Seen(1, "draining", leads=True), *ready(2)], 2) == FIRST
    assert next_act(ready(1, 2, leads=2), 1) == Drain(1, "fewer are wanted")


def test_the_youngest_goes_when_fewer_are_wanted() -> None:
    assert next_act(ready(1, 2, 3), 2) == Drain(3, "fewer are wanted")
    assert next_act(ready(1), 0) == Drain(1, "fewer are wanted")


PHASES: tuple[Phase, ...] = ("starting", "ready", "draining")


@given(
    st.lists(st.tuples(st.sampled_from(PHASES), st.booleans(), st.booleans()), max_size=6),
    st.integers(0, 4),
)
def test_it_settles_whatever_there_is(
    children: list[tuple[Phase, bool, bool]], wanted: int
) -> None:
    """And never fewer are ready on the way than were, or than are wanted."""
    seen = {
        n: Seen(n, phase, "old" if old else "", leads)
        for n, (phase, old, leads) in enumerate(children, 1)
    }
    at_least = min(wanted, sum(child.phase == "ready" for child in seen.values()))
    number = len(seen)
    for _ in range(60):
        match next_act(list(seen.values()), wanted):
            case Start(leads):
                number += 1
                seen[number] = Seen(number, "starting", leads=leads)
            case Drain(n, _):
                seen[n] = evolve(seen[n], phase="draining")
            case None:
                unfinished = [c for c in seen.values() if c.phase != "ready"]
                if not unfinished:
                    break
                first = unfinished[0]
                if first.phase == "starting":
                    seen[first.number] = evolve(first, phase="ready")
                else:
                    del seen[first.number]
        assert sum(c.phase == "ready" for c in seen.values()) >= at_least
        assert len(seen) <= max(len(children), wanted) + 2
    assert [c.phase for c in seen.values()] == ["ready"] * wanted
    assert not any(c.leaving for c in seen.values())


def test_each_end_is_followed_by_a_longer_wait() -> None:
    restarts = Restarts()
    waits = [restarts.ended(100.0 * n, 1.0) for n in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert (waits[0], waits[-1]) == (FIRST_S, LONGEST_S)


def test_who_lived_for_a_minute_has_the_waits_begin_anew() -> None:
    restarts = Restarts()
    assert [restarts.ended(t, 1.0) for t in (0.0, 100.0)] == [0.5, 1.0]
    assert restarts.ended(200.0, 60.0) == 0.5


def test_five_ends_in_a_minute_are_the_end() -> None:
    restarts = Restarts()
    assert None not in [restarts.ended(n, 0.1) for n in range(ENDS - 1)]
    assert restarts.ended(59.9, 0.1) is None


def test_five_ends_in_more_than_a_minute_are_not() -> None:
    restarts = Restarts()
    assert None not in [restarts.ended(15.0 * n, 0.1) for n in range(ENDS + 3)]


def test_each_limit_is_told_when_it_is_passed() -> None:
    def told(limits: Limits, **usage: int) -> str:
        return limits.passed(Usage(**{"jobs": 0, "rss": 0, "rss_at_start": 0} | usage), 9.0)

    assert told(Limits(max_jobs=10), jobs=9) == ""
    assert told(Limits(max_jobs=10), jobs=10) == "it has run 10 jobs"
    assert told(Limits(max_age_s=9.1)) == ""
    assert told(Limits(max_age_s=9.0)) == "it is 9 s old"
    assert told(Limits(max_rss=5 << 20), rss=(5 << 20) - 1) == ""
    assert told(Limits(max_rss=5 << 20), rss=5 << 20) == "it has 5 MiB of memory"
    grown = Limits(max_growth=2 << 20)
    assert told(grown, rss=5 << 20, rss_at_start=4 << 20) == ""
    assert told(grown, rss=6 << 20, rss_at_start=4 << 20).startswith("it has 2 MiB of memory more")


def test_a_childs_own_limits_differ_by_a_fifth_at_most() -> None:
    limits = Limits(max_jobs=1000, max_age_s=100.0, max_rss=500, max_growth=50)
    least = limits.jittered(lambda low, high: low)
    most = limits.jittered(lambda low, high: high)
    assert least == Limits(800, 80.0, 400, 40)
    assert most == Limits(1200, 120.0, 600, 60)
    assert Limits().jittered() == Limits()
    assert Limits(max_jobs=1).jittered(lambda low, high: 0.1).max_jobs == 1


def test_what_a_fresh_one_wouldnt_mend_is_no_reason_to_replace() -> None:
    limits = Limits(max_rss=5 << 20)
    assert limits.is_futile(Usage(0, 6 << 20, 5 << 20))
    assert limits.passed(Usage(0, 6 << 20, 5 << 20), 1.0) == ""
    assert not limits.is_futile(Usage(0, 6 << 20, (5 << 20) - 1))
    assert not Limits().is_futile(Usage(0, 6 << 20, 5 << 20))


def test_limits_are_as_configured() -> None:
    assert Limits.of(ServeConfig(max_jobs=3, max_age_s=4.0)) == Limits(3, 4.0)
    assert Limits.of(ServeConfig(max_rss=5)) == Limits(max_rss=5)
    assert Limits.of(ServeConfig(max_rss=Growth(5))) == Limits(max_growth=5)
