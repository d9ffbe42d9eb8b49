"""There are two ways through a worker, and they mean the same.

The same jobs are run by an engine that runs what it can in one go, and by one that doesn't.
Whatever can be seen of the two is compared: what each handler saw, what was told of each job, what
is kept of it, what was counted.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any
from unittest.mock import patch

import attrs
import pytest
import trio
import trio._core._run as trio_run
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from props import ways
from props.behaviours import ACTS, stage
from props.ways import ROUNDS, Draft, Seen, holds, misfits, names, options, plain_acts, play
from trioq.core.job import Options
from trioq.engine.runs.shop import Shop


def both(
    drafts: list[Draft], workers: int = 1, *, breaks: bool = False, traces: bool = False
) -> tuple[Seen, Seen]:
    """What is seen of an engine that runs what it can in one go, and of one that doesn't."""

    def run() -> Seen:
        clock = MockClock(autojump_threshold=0)
        with patch.object(trio_run, "_r", random.Random(1)):
            play_them = partial(play, stage(clock), drafts, workers, breaks=breaks, traces=traces)
            return trio.run(play_them, clock=clock)

    with_it = run()
    with patch.object(Shop, "spree", lambda shop: attrs.evolve(_spree(shop), is_off=True)):
        return with_it, run()


_spree = Shop.spree


def assert_same(
    drafts: list[Draft], workers: int = 1, *, breaks: bool = False, traces: bool = False
) -> int:
    """Returns how many jobs were run in one go where that was allowed."""
    return ways.assert_same(*both(drafts, workers, breaks=breaks, traces=traces))


acts = st.sampled_from(sorted(ACTS))
drafts = st.one_of(
    st.builds(Draft, names, plain_acts),
    st.builds(Draft, names, acts),
    st.builds(Draft, names, acts, has_id=st.booleans(), options=options),
    st.builds(Draft, names, plain_acts | acts, has_id=st.booleans(), is_traced=st.booleans()),
    st.builds(Draft, names, plain_acts, options=options, is_traced=st.booleans()),
    st.builds(Draft, names, acts, delay_ms=st.sampled_from([0, 700])),
    st.builds(Draft, names, acts, misfits),
)


(
    test_what_is_run_in_one_go_means_the_same,
    test_a_breaker_counts_the_same_and_opens_at_the_same_job,
    test_so_it_is_with_many_workers,
) = holds(drafts, assert_same)


def test_so_it_is_where_one_keeps_the_loop_from_the_next_for_long() -> None:
    long, short = (
        Draft("careful", what) for what in ("works_too_long_and_waits", "returns nothing")
    )
    assert_same([long, short], 4)


#: Ids of spans are random, and a job can ask for them.
@settings(max_examples=ROUNDS)
@given(
    st.lists(drafts.filter(lambda d: not d.what.startswith("asks_for")), min_size=1, max_size=30)
)
def test_so_it_is_where_they_are_traced(jobs: list[Draft]) -> None:
    assert_same(jobs, traces=True)


def test_traced_jobs_are_run_in_one_go_too() -> None:
    drafts = [Draft("plain", "returns nothing", is_traced=n % 3 == 0) for n in range(12)]
    one, other = both(drafts, traces=True)
    assert one.spans == other.spans
    assert len(one.spans) == 6
    assert (one.quick, other.quick) == (12, 0)


@pytest.mark.parametrize("what", sorted(ACTS))
@pytest.mark.parametrize("name", ["plain", "typed"])
def test_each_act_means_the_same_between_others(name: str, what: str) -> None:
    before, after = Draft("plain", "marks_its_context"), Draft("told", "looks_at_its_context")
    quick = assert_same([before, before, Draft(name, what), Draft(name, what), after, after])
    assert quick >= 2


@pytest.mark.parametrize(
    "own",
    [
        {"has_id": True}, {"options": Options(3, None)}, {"options": Options(None, 0.25)},
        {"is_traced": True}, {"delay_ms": 700}, {"has_id": True, "is_traced": True},
    ],
)  # fmt: skip
def test_jobs_that_say_something_of_their_own_are_run_in_one_go_too(own: dict[str, Any]) -> None:
    drafts = [Draft(name, "asks_for_its_job", **own) for name in ("plain", "told", "typed")] * 2
    drafts += [Draft("told", "asks_how_long_it_has_and_returns", **own)] * 2
    assert assert_same(drafts) == len(drafts)
