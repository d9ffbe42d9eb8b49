"""One scope serves run after run, and no run is affected by another."""

from __future__ import annotations

import math
from contextlib import closing, suppress

import pytest
import trio
from trio.testing import MockClock

from trioq.engine.handlers.timebox import SLACK, SLACK_S, Timebox


async def deadlines(box: Timebox, *timeouts_s: float | None) -> list[float]:
    """How much time each of these runs, one after the other, was told that it has."""
    told = []
    for timeout_s in timeouts_s:
        with box.of(timeout_s):
            told.append(trio.current_effective_deadline() - trio.current_time())
    return told


@pytest.mark.trio
async def test_each_run_has_its_own_time(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        told = await deadlines(box, 5, 300, 1, None, 2, 2)

    wanted = [5, 300, 1, math.inf, 2, 2]
    late_s = [t - w for w, t in zip(wanted, told, strict=True) if w < math.inf]
    allowed_s = [max(SLACK_S, w * SLACK) for w in wanted if w < math.inf]
    assert all(0 <= s <= a + 1e-9 for s, a in zip(late_s, allowed_s, strict=True)), told
    assert trio.current_effective_deadline() == math.inf


@pytest.mark.trio
async def test_a_run_in_a_scope_that_was_open_is_ended_in_time(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        await deadlines(box, 300)
        started = trio.current_time()
        with box.of(1):
            await trio.sleep(10)

    assert 1 <= trio.current_time() - started <= 1 + SLACK_S
    assert box.expired
    assert box.caught


@pytest.mark.trio
async def test_time_that_passes_while_it_is_open_is_no_runs_own(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        for _ in range(10):
            with box.of(1):
                await trio.sleep(0.9)
            assert not box.expired


@pytest.mark.trio
async def test_a_run_that_expired_doesnt_end_the_next(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        with box.of(1):
            await trio.sleep(10)
        with box.of(1):
            await trio.sleep(0.5)
        assert not box.expired


@pytest.mark.trio
async def test_a_result_that_came_after_the_deadline_without_a_wait_is_one(
    mock_clock: MockClock,
) -> None:
    with closing(Timebox()) as box:
        with box.of(1):
            mock_clock.jump(2)  # it computed for two seconds, and nobody could interrupt it
        assert not box.expired
        with box.of(1):
            await trio.lowlevel.checkpoint()
        assert not box.expired


@pytest.mark.trio
async def test_who_swallows_the_cancellation_was_ended_too(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        with box.of(1), suppress(trio.Cancelled):
            await trio.sleep(10)
        assert box.expired
        assert not box.caught
        with box.of(1):
            await trio.sleep(0.5)
        assert not box.expired


@pytest.mark.trio
async def test_what_a_run_raises_comes_out_and_closes_the_scope(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        with pytest.raises(ZeroDivisionError), box.of(1):
            raise ZeroDivisionError
        assert trio.current_effective_deadline() == math.inf


@pytest.mark.trio
async def test_a_cancellation_from_outside_comes_out(autojump_clock: MockClock) -> None:
    with closing(Timebox()) as box:
        await deadlines(box, 300)
        with trio.move_on_after(1) as outside, closing(Timebox()) as inside, inside.of(300):
            await trio.sleep(10)
        assert outside.cancelled_caught
        assert not inside.expired


@pytest.mark.trio
async def test_a_scope_that_a_run_left_open_is_found_with_that_run(
    autojump_clock: MockClock,
) -> None:
    with closing(Timebox()) as box:
        with pytest.raises(RuntimeError, match="still within its child"), box.of(300):
            trio.CancelScope(deadline=trio.current_time() + 1).__enter__()
        with box.of(300):
            await trio.sleep(10)
        assert not box.expired


@pytest.mark.trio
async def test_one_that_rests_ends_no_wait_and_then_the_next_run_in_time(
    autojump_clock: MockClock,
) -> None:
    with closing(Timebox()) as box:
        await deadlines(box, 1)
        box.rest()
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            pytest.fail("the last run's deadline has ended the wait")
        assert await deadlines(box, 1) == [pytest.approx(1, abs=1.01 * SLACK_S)]
        box.rest()
        assert await deadlines(box, None) == [math.inf]


@pytest.mark.trio
async def test_a_scope_is_reused_as_long_as_nothing_happens_to_it(mock_clock: MockClock) -> None:
    """It is what the whole module is for; it fails where trio hides what scope a task is in."""
    with closing(Timebox()) as box:
        scopes = set()
        for _ in range(3):
            with box.of(300):
                scopes.add(box._scope)
        assert len(scopes) == 1
