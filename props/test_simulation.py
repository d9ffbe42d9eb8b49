"""Whole engines on bad networks, in virtual time: every job is accounted for.

A seed that fails is run again, with its whole trace, by ``python -m props.simulation SEED``.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import cache

import attrs
import pytest

from props.simulation.trace import Asked
from props.simulation.verdict import unexplained
from props.simulation.world import play
from trioq.core.calls import End, EndWord

IS_LONG = os.environ.get("TRIOQ_TEST_PROPS") == "long"
SEEDS = range(1000 if IS_LONG else 16)

run = cache(play)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_is_accounted_for_and_every_second_start_explained(seed: int) -> None:
    assert unexplained(run(seed)) == []


def test_a_seed_is_the_same_run_again() -> None:
    first, second = play(7), play(7)
    assert first.log.runs == second.log.runs
    assert first.store.reaps == second.store.reaps


def test_much_goes_wrong_in_these_runs() -> None:
    """A calm sea would prove nothing."""
    worlds = [run(seed) for seed in range(12)]
    struck = sum((world.network.struck for world in worlds), Counter[str]())
    for fate in ("request lost", "reply lost", "late", "twice", "refused"):
        assert struck[fate] > 50
    ends = Counter(end for world in worlds for end in world.store.ends.values())
    assert set(ends) >= {"ack", "retry", "snooze", "dead", "release", "park", "reaped"}
    assert ends["cancel"] + ends["called off"] >= 10, "running jobs are cancelled"
    assert ends["called off"] >= 1, "what would have gone back is cancelled instead"
    assert sum(len(world.store.cancelled) for world in worlds) >= 10, "waiting ones, too"
    told = Counter(end.state for world in worlds for _, _, end in world.told)
    assert min(told[state] for state in ("done", "dead", "cancelled")) >= 10
    assert sum(len(world.store.reaps) for world in worlds) >= 40
    assert sum(len(world.lost) for world in worlds) >= 2, "the living lose their jobs too"
    assert sum(process.was_killed for world in worlds for process in world.processes) >= 30


# -- the verdict notices -------------------------------------------------------------------------


def test_a_lost_job_is_noticed() -> None:
    world = play(3)
    claim = next(c for c, end in world.store.ends.items() if end == "ack")
    del world.store.ends[claim]
    assert any("was done 0 times" in line for line in unexplained(world))


def test_a_second_start_without_a_reason_is_noticed() -> None:
    world = play(3)
    done = next(run for run in world.log.runs if run.how == "done")
    world.log.runs.append(done)
    assert any("began again" in line for line in unexplained(world))


def test_an_overlap_is_noticed() -> None:
    world = play(3)
    careful = next(run for run in world.log.runs if run.name == "careful")
    world.log.runs.append(careful)
    assert any("ran twice at the same time" in line for line in unexplained(world))


def test_a_start_after_a_cancel_is_noticed() -> None:
    world = play(3)
    run = next(run for run in world.log.runs if run.how == "done")
    world.store.cancelled[run.claim.uid] = run.began - 1
    assert any("and was cancelled before" in line for line in unexplained(world))


def test_a_start_after_an_ask_is_noticed() -> None:
    world = play(3)
    run = next(run for run in world.log.runs if run.how == "done")
    earlier = attrs.evolve(run.claim, n=0)
    world.store.asked[run.claim.uid] = Asked(run.began - 1, earlier)
    assert any("though it was asked to end" in line for line in unexplained(world))


@pytest.mark.parametrize("said", ["cancelled", "dead", "unknown"])
def test_a_success_that_is_told_otherwise_is_noticed(said: EndWord) -> None:
    world = play(3)
    at, uid, _ = next(
        (at, uid, end)
        for at, uid, end in world.told
        if uid in world.promised and end.state == "done"
    )
    world.told.append((at, uid, End(said)))
    assert any(f"told End(state='{said}'" in line for line in unexplained(world))


def test_a_result_that_got_lost_is_noticed() -> None:
    world = play(3)
    uid = next(uid for uid, end in world.kept.items() if end.value and end.state == "done")
    world.kept[uid] = End("done")
    assert any("and that wasn't its result" in line for line in unexplained(world))


def test_who_waits_for_ever_is_noticed() -> None:
    world = play(3)
    world.waiting += 1
    assert any("wait for ever" in line for line in unexplained(world))
