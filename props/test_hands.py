"""There are two ways through a thread, and they mean the same.

The same jobs are run by an engine whose threads run ``def`` handlers one after the other, in one
thread if they are quick or beside each other if they are short, and by one that starts a thread for
each. Whatever can be seen of the two is compared, as in
:mod:`props.ways`.
"""

from __future__ import annotations

import math
import random
from functools import partial
from unittest.mock import patch

import pytest
import trio
import trio._core._run as trio_run
from hypothesis import strategies as st

from props import ways
from props.in_threads import ACTS, ALONE, Part, PatientClock, stage
from props.ways import Draft, Seen, holds, misfits, names, options, plain_acts, play
from trioq.core import ahead, tempo
from trioq.engine.handlers.grace import NoPatience
from trioq.engine.handlers.threads import ThreadLeftBehind, run_in_thread
from trioq.engine.runs.hands import LOOK_S, Hands


def both(
    drafts: list[Draft], workers: int, *, breaks: bool, quick: bool = True
) -> tuple[Seen, Seen]:
    """What is seen of an engine that runs them in a row, and of one that doesn't.

    Args:
      quick: They are; else short.
    """

    def run() -> Seen:
        clock = PatientClock()
        with patch.object(trio_run, "_r", random.Random(1)):
            play_them = partial(play, stage(clock), drafts, workers, breaks=breaks)
            return trio.run(partial(play_them, ready=partial(_watch, clock)), clock=clock)

    # However slow this machine is; and from the beginning there are several to be run.
    with (
        patch.object(tempo, "QUICK_S", math.inf if quick else -math.inf),
        patch.object(tempo, "SHORT_S", math.inf),
        patch.object(ahead, "AHEAD_S", 1.0),
    ):
        in_a_row = run()
        with patch.object(Hands, "fits", lambda hands, held: None):
            return in_a_row, run()


def _watch(clock: PatientClock, threads: trio.CapacityLimiter) -> None:
    clock.threads = threads


@pytest.mark.timeout(30)
def test_time_goes_on_while_a_thread_waits_until_it_is_left_alone() -> None:
    """Who looks for such threads may begin to wait when one has made it later already."""
    clock, scope = PatientClock(), trio.CancelScope()

    async def run() -> None:
        clock.threads = trio.CapacityLimiter(1)
        act = Part(0, 1, [], clock).computes_until_cancelled
        with scope, pytest.raises(ThreadLeftBehind):
            await run_in_thread(act, "", clock.threads, tempo.Tempo(), NoPatience())

    async def look() -> None:
        while not clock.now:
            await trio.lowlevel.checkpoint()
        await trio.sleep(LOOK_S)
        scope.cancel()

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            nursery.start_soon(look)

    trio.run(both, clock=clock)


def assert_same(drafts: list[Draft], workers: int = 1, *, breaks: bool = False) -> int:
    """Returns how many jobs were run in a row where that was allowed."""
    return ways.assert_same(*both(drafts, workers, breaks=breaks))


def assert_same_of_short(drafts: list[Draft], workers: int = 1, *, breaks: bool = False) -> int:
    """The same, where several threads take from one pile."""
    return ways.assert_same(*both(drafts, workers, breaks=breaks, quick=False))


def _ends(draft: Draft) -> bool:
    """Whether one that goes on until it is cancelled will be, before the clock stands still."""
    return not (draft.what.startswith("works_too_long") and draft.options.timeout_s == 5.0)


acts = st.sampled_from(sorted(ACTS))
drafts = st.one_of(
    st.builds(Draft, names, plain_acts),
    st.builds(Draft, names, plain_acts),
    st.builds(Draft, names, acts),
    st.builds(Draft, names, acts, has_id=st.booleans(), options=options).filter(_ends),
    st.builds(Draft, names, acts, delay_ms=st.sampled_from([0, 700])),
    st.builds(Draft, names, acts, misfits),
)


(
    test_what_a_thread_runs_in_a_row_means_the_same,
    test_a_breaker_counts_the_same_and_opens_at_the_same_job,
    test_so_it_is_with_many_workers,
) = holds(drafts, assert_same, lambda job: job.what not in ALONE and job.payload is None)


(
    test_what_several_threads_take_from_one_pile_means_the_same,
    test_so_it_is_with_a_breaker,
    test_so_it_is_with_many_threads,
) = holds(drafts, assert_same_of_short, lambda job: job.what not in ALONE and job.payload is None)


@pytest.mark.parametrize("what", sorted(ACTS))
@pytest.mark.parametrize("name", ["plain", "typed", "told"])
def test_each_act_means_the_same_between_others(name: str, what: str) -> None:
    before, after = Draft("plain", "marks_its_context"), Draft("told", "asks_for_its_job")
    quick = assert_same([*[before] * 3, Draft(name, what), Draft(name, what), after, after])
    assert quick >= 2
