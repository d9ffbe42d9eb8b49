"""Pictures: scales, and that what is measured can be seen in them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from benchmarks import svg
from benchmarks.pictures import of_peers, of_run
from benchmarks.suite.result import Result
from benchmarks.suite.row import Curve

NS = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture).iter(f"{NS}text")]


def test_a_scale_begins_at_zero_and_ends_at_a_round_value() -> None:
    axis = svg.axis([3.0, 18.0], 0, 100)
    assert (axis(0.0), axis(25.0)) == (0, 100)
    assert axis.ticks == [0, 5, 10, 15, 20, 25]


def test_a_scale_is_logarithmic_where_values_lie_far_apart() -> None:
    axis = svg.axis([10.0, 1000.0], 0, 100)
    assert [axis(value) for value in (10.0, 100.0, 1000.0)] == [0, 50, 100]
    assert axis.ticks == [10, 100, 1000]


def test_a_scale_with_a_zero_is_not_logarithmic() -> None:
    assert not svg.axis([0.0, 1000.0], 0, 100).is_log


@pytest.mark.parametrize(("value", "next_"), [(3.4, 5), (0.11, 0.2), (10, 10), (1000.1, 2000)])
def test_steps_are_round(value: float, next_: float) -> None:
    assert svg.nice(value) == pytest.approx(next_)


@pytest.mark.parametrize(("value", "shown"), [(20_000, "20k"), (1e6, "1M"), (0.5, "0.5"), (7, "7")])
def test_values_are_short(value: float, shown: str) -> None:
    assert svg.short(value) == shown


def test_labels_do_not_touch() -> None:
    assert svg.apart([100, 101, 30]) == [100, 116, 30]


def test_a_line_passes_through_its_points_and_has_its_name_at_its_end() -> None:
    picture = svg.lines("Depth", "jobs", "µs", {"server": [(1, 4), (1000, 8)], "client": [(1, 2)]})
    paths = [p.get("d") for p in ElementTree.fromstring(picture).iter(f"{NS}path")]
    assert any(d and d.startswith("M64.0 ") and "L588.0 " in d for d in paths)
    assert {"Depth", "jobs", "µs", "server", "client"} <= set(texts(picture))


def test_bars_are_as_long_as_their_values_and_ours_stand_out() -> None:
    picture = svg.bars("Jobs", "jobs/s", {"trioq": 200.0, "other": 100.0}, ours="trioq")
    ours, other = ElementTree.fromstring(picture).iter(f"{NS}rect")
    assert float(ours.get("width", 0)) == 2 * float(other.get("width", 0)) > 0
    assert (ours.get("class"), other.get("class")) == ("ours", "bar")


def test_names_are_escaped() -> None:
    assert "a < b & c" in texts(svg.bars("a < b & c", "", {"x": 1.0}, ours="y"))


def test_each_curve_of_a_run_is_a_picture() -> None:
    run = Result(curves={"queues": Curve("Queues", "n", "µs", {"server": ((1.0, 2.0),)})})
    assert "Queues" in texts(of_run(json.dumps(run.as_json()))["queues.svg"])


def test_a_void_peer_has_no_bar_and_the_best_comes_first() -> None:
    def peer(rate: float, void: str = "") -> dict[str, object]:
        return {"figures": {"one/s": rate}, "void": void}

    told = {"peers": {"slow": peer(1), "void": peer(9, "no"), "trioq": peer(5)}}
    (picture,) = of_peers(told).values()
    names = [text for text in texts(picture) if text in told["peers"]]
    assert names == ["trioq", "slow"]
