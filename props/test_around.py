"""Middleware that lets all through changes nothing.

The same jobs are run with some around their handlers and without. Whatever can be seen of the two
is compared: what each handler saw, what was told of each job, what is kept of it, what was counted.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import trio
import trio._core._run as trio_run
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import trioq
from props import behaviours, in_threads
from props.stage import Stage
from props.ways import ROUNDS, Draft, Seen, misfits, names, options, play


def plain(job: trioq.Job) -> Generator[None, Any]:
    yield


def raising_again(job: trioq.Job) -> Generator[None, Any]:
    try:
        result = yield
    except BaseException as error:
        raise error  # which has Python note this line
    assert result is not job


async def in_loop(job: trioq.Job) -> AsyncGenerator[None, Any]:
    try:
        yield
    finally:
        assert trioq.current_job() is job


async def scoped(job: trioq.Job) -> AsyncGenerator[None, Any]:
    with trio.CancelScope():
        yield


MIDDLEWARE = {each.__name__: each for each in (plain, raising_again, in_loop, scoped)}


def run_in_loop(
    drafts: list[Draft], layers: list[str], workers: int, *, breaks: bool = True
) -> Seen:
    clock = MockClock(autojump_threshold=0)
    return _run(behaviours.stage(clock), clock, drafts, layers, workers, breaks=breaks)


def run_in_threads(
    drafts: list[Draft], layers: list[str], workers: int, *, breaks: bool = True
) -> Seen:
    clock = in_threads.PatientClock()

    def ready(threads: trio.CapacityLimiter) -> None:
        clock.threads = threads

    return _run(in_threads.stage(clock), clock, drafts, layers, workers, breaks=breaks, ready=ready)


def _run(
    stage: Stage,
    clock: trio.abc.Clock,
    drafts: list[Draft],
    layers: list[str],
    workers: int,
    **more: Any,
) -> Seen:
    for name in layers:
        stage.app.middleware(MIDDLEWARE[name])
    with patch.object(trio_run, "_r", random.Random(1)):
        return trio.run(partial(play, stage, drafts, workers, **more), clock=clock)


def assert_same(one: Seen, other: Seen) -> None:
    for field in ("by_handlers", "told", "breakers", "kept", "counted"):
        assert getattr(one, field) == getattr(other, field), field


def drafts_of(acts: list[str]) -> st.SearchStrategy[list[Draft]]:
    some = st.sampled_from(acts)
    draft = st.one_of(
        st.builds(Draft, names, some, has_id=st.booleans(), options=options),
        st.builds(Draft, names, some, misfits),
    )
    return st.lists(draft, min_size=1, max_size=20)


#: Where a handler leaves a scope open, trio's words depend on the scopes that are around it.
IN_LOOP = [act for act in sorted(behaviours.ACTS) if not act.startswith("leaves_a_")]
IN_THREADS = sorted(in_threads.ACTS)
layers = st.lists(st.sampled_from(sorted(MIDDLEWARE)), min_size=1, max_size=3)


@settings(max_examples=ROUNDS // 2)
@given(drafts_of(IN_LOOP), layers, st.sampled_from([1, 4]))
def test_around_handlers_in_the_loop_it_changes_nothing(
    drafts: list[Draft], layers: list[str], workers: int
) -> None:
    assert_same(run_in_loop(drafts, layers, workers), run_in_loop(drafts, [], workers))


@settings(max_examples=ROUNDS // 2)
@given(drafts_of(IN_THREADS), layers)
def test_around_handlers_in_threads_it_changes_nothing(
    drafts: list[Draft], layers: list[str]
) -> None:
    assert_same(run_in_threads(drafts, layers, 1), run_in_threads(drafts, [], 1))


@pytest.mark.parametrize(("run", "acts"), [(run_in_loop, IN_LOOP), (run_in_threads, IN_THREADS)])
@pytest.mark.parametrize("layer", sorted(MIDDLEWARE))
def test_around_each_act_it_changes_nothing(run: Any, acts: list[str], layer: str) -> None:
    drafts = [Draft(name, act) for act in acts for name in ("plain", "told")]
    assert_same(run(drafts, [layer], 1, breaks=False), run(drafts, [], 1, breaks=False))
