"""What looks at a namespace tell one after the other: what died, and how fast things go."""

from __future__ import annotations

import attrs
import pytest

from tests.scene import Scene
from tests.store.drive import line
from tests.support import new_job
from trioq.core.settlements import DeadLetter
from trioq.store.inspect import QueueStats, Stats
from trioq.store.inspect.overview import EngineView, Overview, Overviews
from trioq.store.inspect.trend import RATE_S, Trend


def test_a_job_that_dies_again_between_two_looks_is_told_with_what_it_died_of_last(
    scene: Scene,
) -> None:
    overviews = Overviews(scene.store, ("low",), None)
    (uid,) = scene.dead(new_job("low"), message="no such file")
    (first,) = overviews.take().failures
    assert first.error == "ValueError: no such file"
    scene.store.revive(*scene.sender.next(), [(uid, "low")])
    claim = scene.driver.claim()
    again = DeadLetter(claim.uid, scene.driver.n, 1, "gave_up", line("not a file"))
    scene.driver.step(0, again)
    # Here it may all have been in one millisecond.
    scene.store.lane.call("ZINCRBY", scene.store.keys.fixed("dead"), 1000, uid)
    (second,) = overviews.take().failures
    assert (second.error, second.then) == ("ValueError: not a file", "dead: gave_up")
    assert second.at_ms >= first.at_ms + 1000


def test_who_is_revived_is_told_no_more(scene: Scene) -> None:
    overviews = Overviews(scene.store, ("low",), None)
    one, other = scene.dead(new_job("low"), new_job("low"))
    assert {failure.uid for failure in overviews.take().failures} == {one, other}
    scene.store.revive(*scene.sender.next(), [(one, "low")])
    assert [failure.uid for failure in overviews.take().failures] == [other]


# -- pure --------------------------------------------------------------------------------------


def overview(at: float, done: int, *, told: bool = True) -> Overview:
    counted = Stats("t", {"low": QueueStats(0, 0, 0, 0, 0, False, True)}, {"done": done}, 0, 0, ())
    engine = EngineView("e.boot", "e", 4, 0, told, done={"low": done} if told else {})
    return Overview(at, 0, counted, (engine,), ())


def trend_of(*overviews: Overview) -> Trend:
    trend = Trend()
    for each in overviews:
        trend.add(each)
    return trend


def test_a_rate_is_over_no_shorter_a_time_where_looks_are_seldom() -> None:
    seldom = 0.8 * RATE_S
    trend = trend_of(overview(0.0, 0), overview(seldom, 0), overview(2 * seldom, 80))
    assert trend.rate("done") == pytest.approx(80 / (2 * seldom))


def test_an_engines_rate_begins_with_what_it_told_first() -> None:
    trend = trend_of(overview(0.0, 0, told=False), overview(1.0, 1000), overview(3.0, 1020))
    assert trend.done_rate("low") == 10.0


def test_an_engine_that_counts_anew_takes_nothing_from_the_others() -> None:
    before, after = overview(0.0, 1000), overview(1.0, 3)
    other = EngineView("f.boot", "f", 4, 0, True, done={"low": 5})
    later = attrs.evolve(other, done={"low": 12})
    trend = trend_of(
        attrs.evolve(before, engines=(*before.engines, other)),
        attrs.evolve(after, engines=(*after.engines, later)),
    )
    assert trend.done_rate("low") == 7.0
