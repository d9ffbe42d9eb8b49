"""What a run found: medians, goals, and how it compares with another."""

from __future__ import annotations

import json

import pytest

from benchmarks.goals import FIGURES, Goal, at_least, at_most
from benchmarks.suite.result import Result, above_line, laid_out, span, unlike
from benchmarks.suite.row import Curve

DRAIN, START = "drain, one engine", "serve → first job"


def result(**rounds: list[float]) -> Result:
    made = Result({"cores": 2})
    for name, values in rounds.items():
        for value in values:
            made.add({{"drain": DRAIN, "start": START}[name]: value})
    return made


def test_a_goal_is_met_at_its_limit_and_on_its_good_side() -> None:
    assert [at_least(5, "/s").met(value) for value in (4.9, 5, 6)] == [False, True, True]
    assert [at_most(5, "ms").met(value) for value in (4, 5, 5.1)] == [True, True, False]
    assert Goal("/s", "more").met(5) is None


def test_a_gain_above_one_is_better_whichever_way_the_figure_goes() -> None:
    assert at_least(1, "/s").gain(200, before=100) == 2
    assert at_most(1, "ms").gain(200, before=100) == 0.5


@pytest.mark.parametrize(
    ("goal", "shown"),
    [
        (at_least(95_000, ""), "≥ 95,000"),
        (at_most(1.15 / 0.85, ""), "≤ 1.35"),
        (at_most(30, ""), "≤ 30"),
        (at_most(0.6, ""), "≤ 0.6"),
        (Goal("", "more"), ""),
    ],
)
def test_a_goal_is_shown_in_few_digits(goal: Goal, shown: str) -> None:
    assert str(goal) == shown


def test_a_result_has_the_median_of_its_rounds() -> None:
    assert result(drain=[90_000, 10, 100_000]).medians == {DRAIN: 90_000}


def test_figures_are_told_in_the_order_of_the_goals() -> None:
    names = list(result(start=[1], drain=[2]).medians)
    assert names == [DRAIN, START]
    assert list(FIGURES).index(DRAIN) < list(FIGURES).index(START)


def test_a_figure_that_has_no_goal_entry_is_refused() -> None:
    with pytest.raises(KeyError, match="speed of light"):
        Result().add({"speed of light": 3e8})


def test_the_table_says_which_goals_are_missed() -> None:
    drain, start = laid_out(result(drain=[96_000], start=[0.7])).splitlines()[1:]
    assert drain.split()[-1] == "yes"
    assert start.split()[-1] == "NO"


def test_the_table_says_how_many_times_better_each_figure_is_than_before() -> None:
    now, before = result(drain=[90_000], start=[0.5]), result(drain=[30_000], start=[0.25])
    drain, start = laid_out(now, before).splitlines()[1:]
    assert drain.split()[-1] == "3.00"
    assert start.split()[-1] == "0.50"


def test_a_figure_that_was_not_measured_before_has_no_ratio() -> None:
    assert laid_out(result(drain=[90_000]), result(start=[1])).splitlines()[1].split()[-1] == "–"


def test_a_saved_run_is_read_back_as_it_was() -> None:
    made = result(drain=[1, 2, 3])
    made.curves["queues"] = Curve("Queues", "queues", "µs", {"server": ((1.0, 2.0), (10.0, 3.0))})
    made.failed.append("latency: no")
    assert Result.from_json(json.dumps(made.as_json())) == made


def test_a_saved_figure_that_is_measured_no_more_is_left_out() -> None:
    told = result(drain=[1]).as_json()
    told["figures"]["of old"] = told["figures"][DRAIN]
    assert list(Result.from_json(json.dumps(told)).rounds) == [DRAIN]


def test_machines_that_differ_are_told_with_what() -> None:
    assert unlike({"cores": 2, "trio": "1"}, {"cores": 4, "trio": "1"}) == ["cores: 4, now 2"]
    assert unlike({"cores": 2}, {}) == ["cores: unknown, now 2"]


def test_a_flat_curve_has_a_span_of_one() -> None:
    assert span([(1, 4.0), (10, 4.0)]) == 1
    assert span([(1, 4.0), (10, 10.0), (100, 5.0)]) == 2.5


def test_a_cost_of_so_much_a_job_and_so_much_a_byte_is_on_the_line_and_a_step_above_it() -> None:
    straight = [(size, 10 + size * 0.001) for size in (100, 8_000, 1_000_000)]
    assert above_line(straight) == pytest.approx(1)
    assert above_line([straight[0], (8_000, 180.0), straight[2]]) == pytest.approx(10)
