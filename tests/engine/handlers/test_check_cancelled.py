# ruff: noqa: ASYNC100  (these scopes are looked at, nothing waits in them)
"""How plain code hears that it is to end, wherever it runs."""

from __future__ import annotations

import threading

import pytest
import trio

import trioq


def checked() -> str | None:
    """Whether it is to end: why."""
    try:
        trioq.check_cancelled()
    except trio.Cancelled as error:
        return error.reason or "for no reason"
    return None


def test_where_nothing_runs_it_does_nothing() -> None:
    assert checked() is None
    thread = threading.Thread(target=trioq.check_cancelled)
    thread.start()
    thread.join()


@pytest.mark.trio
async def test_in_the_loop_it_is_raised_where_a_checkpoint_would_raise_it() -> None:
    assert checked() is None
    with trio.CancelScope() as outer:
        with trio.CancelScope() as inner:
            inner.cancel("the inner one")
            assert checked() == "the inner one"
            with trio.CancelScope(shield=True):
                assert checked() is None
            trioq.check_cancelled()
        assert inner.cancelled_caught, "and its own scope takes it"
        assert checked() is None
        outer.cancel()
        assert checked() == "for no reason"


@pytest.mark.trio
async def test_in_the_loop_it_is_raised_after_a_deadline() -> None:
    with trio.move_on_after(0) as scope:
        await trio.lowlevel.cancel_shielded_checkpoint()
        trioq.check_cancelled()
    assert scope.cancelled_caught


@pytest.mark.trio
async def test_in_a_thread_it_is_raised_when_who_waits_for_it_is_cancelled() -> None:
    begun, why = threading.Event(), list[str | None]()

    def work() -> None:
        assert checked() is None
        begun.set()
        while (reason := checked()) is None:
            pass
        why.append(reason)

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, work)
            await trio.to_thread.run_sync(begun.wait)
            scope.cancel("enough")
    assert why == ["enough"]
