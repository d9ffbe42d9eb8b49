"""Both stores: a breaker that all engines share is one, and so are its probes."""

from __future__ import annotations

from typing import Any

import attrs

from tests.store.drive import Driver
from tests.store.world import SECOND, Make, World
from trioq.core.calls import BreakerNews, BreakerSeen


@attrs.define
class Teller:
    """An engine that says what it has found."""

    w: World
    driver: Driver
    news: BreakerNews = attrs.field(
        factory=lambda: BreakerNews("api", 0.5, 60 * SECOND, 30 * SECOND, min_samples=4)
    )

    def says(self, *, want: int = 0, **found: int) -> BreakerSeen:
        """So many more of these; it knows the turn that it was told last."""
        more: dict[str, Any] = {k: getattr(self.news, k) + n for k, n in found.items()}
        self.news = attrs.evolve(self.news, want=want, **more)
        (seen,) = self.w.store.breakers(self.driver.engine, [self.news])
        if seen.turn != self.news.turn:
            self.news = attrs.evolve(self.news, turn=seen.turn, good=0, bad=0, ignored=0)
        return seen


def tellers(w: World, count: int = 2) -> list[Teller]:
    return [Teller(w, w.engine()) for _ in range(count)]


def opened(w: World, *others: Teller) -> None:
    """All know it, and that its cooldown is over: it is half-open."""
    first, *rest = others
    assert first.says(bad=4).state == "open"
    w.clock.ms += 30 * SECOND
    assert {each.says().state for each in (first, *rest)} == {"half_open"}


def test_failures_of_all_engines_open_it_for_all(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    assert one.says(bad=2).state == "closed"
    assert other.says(good=1).state == "closed"
    assert other.says(bad=1) == BreakerSeen("open", 1, 0, 30 * SECOND, 0, 0)
    w.clock.ms += 10 * SECOND
    assert one.says() == BreakerSeen("open", 1, 10 * SECOND, 20 * SECOND, 0, 0)


def test_successes_of_another_engine_keep_it_closed(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    other.says(good=6)
    assert one.says(bad=5).state == "closed"
    assert one.says(bad=1).state == "open", "six of twelve"


def test_what_is_said_twice_or_late_counts_once(world: Make) -> None:
    w = world()
    (one,) = tellers(w, 1)
    first = attrs.evolve(one.news, bad=1)
    one.says(bad=1)
    one.says(bad=1)
    for _ in range(5):
        (seen,) = w.store.breakers(one.driver.engine, [first])
    assert seen.state == "closed"
    assert one.says(bad=1).state == "closed"
    assert one.says(bad=1).state == "open"


def test_a_failure_counts_for_its_window_and_no_longer(world: Make) -> None:
    w = world()
    (one,) = tellers(w, 1)
    one.says(bad=3)
    w.clock.ms += 61 * SECOND
    assert one.says(bad=1).state == "closed"
    w.clock.ms += 54 * SECOND
    assert one.says(bad=2).state == "closed"
    assert one.says(bad=1).state == "open", "four within the minute"


def test_half_open_there_is_one_probe_in_all_engines(world: Make) -> None:
    w = world()
    one, other, third = tellers(w, 3)
    opened(w, one, other, third)
    assert one.says(want=5).granted == 1
    assert one.says(want=5).granted == 1, "it has it still"
    assert other.says(want=5).granted == 0
    assert third.says(want=5).granted == 0


def test_each_good_probe_makes_room_for_one_more_wherever_they_run(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    opened(w, one, other)
    one.says(want=1)
    one.says(good=1, want=2)
    assert other.says(want=9).granted == 1, "two may run, and one has the other"
    assert other.says(good=1, want=9).granted == 3
    assert one.says(good=1, want=2).state == "half_open"
    assert other.says(good=1).state == "closed", "four of four"


def test_a_first_probe_that_fails_opens_it_for_all(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    opened(w, one, other)
    one.says(want=1)
    assert one.says(bad=1).state == "open"
    assert other.says(want=1) == BreakerSeen("open", 3, 0, 30 * SECOND, 0, 0)


def test_a_probe_that_says_nothing_is_free_for_another(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    opened(w, one, other)
    one.says(want=1)
    assert one.says(ignored=1).state == "half_open"
    assert other.says(want=1).granted == 1


def test_a_probe_of_an_engine_that_has_died_is_free(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    opened(w, one, other)
    one.says(want=1)
    assert other.says(want=1).granted == 0
    w.reap(one.driver)
    assert other.says(want=1).granted == 1
    assert one.says(good=1, want=2).granted == 0, "nothing is heard of it any more"
    assert other.says(good=1, want=1).state == "half_open"


def test_a_probe_of_an_engine_that_has_signed_off_is_free(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    opened(w, one, other)
    one.says(want=1)
    w.store.sign_off(one.driver.engine)
    assert other.says(want=1).granted == 1


def test_what_was_found_before_it_changed_decides_nothing(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    late = attrs.evolve(other.news, good=3, bad=1)
    opened(w, one, other)
    (seen,) = w.store.breakers(other.driver.engine, [late])
    assert (seen.state, seen.granted) == ("half_open", 0)
    assert w.dump().breakers["api"].good == 0


def test_a_clock_that_was_put_back_does_not_keep_it_open(world: Make) -> None:
    w = world()
    (one,) = tellers(w, 1)
    w.clock.ms += 3600 * SECOND
    one.says(bad=4)
    w.clock.ms -= 3600 * SECOND
    assert one.says().left_ms == 30 * SECOND
    w.clock.ms += 30 * SECOND
    assert one.says().state == "half_open"


def test_it_is_closed_by_hand_for_all_and_once(world: Make) -> None:
    w = world()
    one, other = tellers(w)
    opened(w, one, other)
    write = w.sender.next()
    assert w.store.reset_breaker(*write, "api")
    assert (one.says().state, other.says().resets) == ("closed", 1)
    one.says(bad=4)
    assert w.store.reset_breaker(*write, "api"), "as it was answered before"
    assert one.says().state == "open"
    assert not w.store.reset_breaker(*w.sender.next(), "nobodys")


def test_a_breaker_of_one_engine_leaves_no_trace(world: Make) -> None:
    w = world()
    (one,) = tellers(w, 1)
    assert one.says() == BreakerSeen()
    assert w.dump().breakers == {}
