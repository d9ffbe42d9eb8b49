"""When a reaper takes an engine for dead."""

from __future__ import annotations

import pytest

from trioq.core.watch import FULL_LOOK_EVERY, Watch, look, next_three

LEASE, INTERVAL = 5.0, 1.0
ENGINES = [f"e{i}" for i in range(10)]


@pytest.fixture
def watch() -> Watch:
    return Watch(LEASE, INTERVAL)


def looks(watch: Watch, times: range, counter: int = 7) -> list[tuple[str, int]]:
    """Look at an engine whose counter stands still; return the last answer."""
    answers = [watch.saw(float(now), {"e": counter}, 1) for now in times]
    assert not any(answers[:-1])
    return answers[-1]


def test_engine_is_dead_when_its_counter_stood_still_for_a_whole_lease(watch: Watch) -> None:
    assert looks(watch, range(6)) == [("e", 7)]


def test_dead_engine_is_named_until_it_is_reaped(watch: Watch) -> None:
    looks(watch, range(6))
    assert watch.saw(6, {"e": 7}, 1) == [("e", 7)]
    watch.forget("e")
    assert watch.saw(7, {"e": 7}, 1) == []
    watch.forget("unheard of")


def test_beat_within_the_lease_starts_the_watch_over(watch: Watch) -> None:
    looks(watch, range(5))
    assert watch.saw(5, {"e": 8}, 1) == []
    assert looks(watch, range(6, 11), counter=8) == [("e", 8)]


def test_counter_that_went_back_is_a_sign_of_life_too(watch: Watch) -> None:
    looks(watch, range(5))
    assert watch.saw(5, {"e": 6}, 1) == []


def test_fewer_than_three_looks_prove_nothing() -> None:
    watch = Watch(lease_s=2, interval_s=2)
    assert watch.saw(0, {"e": 7}, 1) == []
    assert watch.saw(3, {"e": 7}, 1) == []  # longer than the lease, but only two looks
    assert watch.saw(4, {"e": 7}, 1) == [("e", 7)]


def test_reaper_that_was_cut_off_has_seen_nothing(watch: Watch) -> None:
    looks(watch, range(5))
    assert watch.saw(6.1, {"e": 7}, 1) == []  # 2.1 s after the last look
    assert [watch.saw(t, {"e": 7}, 1) for t in (7.0, 8.0, 9.0, 10.0, 11.0)] == [[]] * 5
    assert watch.saw(11.1, {"e": 7}, 1) == [("e", 7)]


def test_gap_of_two_intervals_is_none(watch: Watch) -> None:
    assert looks(watch, range(0, 7, 2)) == [("e", 7)]


def test_a_reaper_that_can_read_and_not_write_has_seen_nothing(watch: Watch) -> None:
    looks(watch, range(5))
    assert [watch.saw(t, {"e": 7}, None) for t in (5.0, 6.0, 7.0)] == [[]] * 3
    assert looks(watch, range(8, 14)) == [("e", 7)]


def test_new_connection_may_mean_anything(watch: Watch) -> None:
    looks(watch, range(5))
    assert watch.saw(5, {"e": 7}, 2) == []
    assert watch.saw(6, {"e": 7}, 2) == []
    assert watch.saw(7, {"e": 7}, 1) == []


def test_engine_that_this_look_left_out_is_not_reaped(watch: Watch) -> None:
    looks(watch, range(5))
    assert watch.saw(5, {}, 1) == []


def test_engines_seen_only_at_full_looks_are_found_dead_at_one(watch: Watch) -> None:
    found = {}
    for poll in range(2 * FULL_LOOK_EVERY + 1):
        counters = {"near": poll} | ({"far": 7} if look(poll) else {})
        found[poll] = watch.saw(poll * INTERVAL, counters, 1)
    assert [poll for poll, dead in found.items() if dead] == [10, 20]
    assert found[10] == [("far", 7)]


def test_engine_that_vanished_is_forgotten(watch: Watch) -> None:
    looks(watch, range(3))
    for now in range(3, 3 + FULL_LOOK_EVERY):
        watch.saw(now, {}, 1)
    assert watch._boots.keys() == {"e"}
    watch.saw(3 + FULL_LOOK_EVERY, {}, 1)
    assert watch._boots.keys() == set()


def test_each_engine_watches_its_next_three_by_name() -> None:
    assert next_three("e3", ENGINES) == ["e4", "e5", "e6"]
    assert next_three("e8", ENGINES) == ["e9", "e0", "e1"]
    assert next_three("e35", ENGINES) == ["e4", "e5", "e6"]  # the ring needn't have its own name
    assert next_three("z", iter(["b", "a"])) == ["a", "b"]


def test_few_engines_watch_all_others_and_nobody_watches_itself() -> None:
    assert next_three("b", ["a", "b", "c", "d"]) == ["c", "d", "a"]
    assert next_three("a", ["a"]) == []
    assert next_three("a", []) == []


def test_every_engine_is_watched_by_three() -> None:
    watched = [engine for me in ENGINES for engine in next_three(me, ENGINES)]
    assert sorted(watched) == sorted(ENGINES * 3)


def test_first_and_every_tenth_poll_is_a_full_look() -> None:
    assert [poll for poll in range(25) if look(poll)] == [0, 10, 20]
