"""What comes out of nurseries within nurseries."""

from __future__ import annotations

import pytest
import trio

from trioq.engine.nurseries import first_of, plain_errors
from trioq.errors import StoreRefused, StoreUnreachable


@pytest.mark.trio
@pytest.mark.parametrize("set_first", [True, False])
async def test_first_of_returns_with_the_first_event(set_first: bool) -> None:
    events = [trio.Event() for _ in range(3)]
    if set_first:
        events[1].set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first_of, *events)
        await trio.testing.wait_all_tasks_blocked()
        events[1].set()
    assert not events[0].is_set()


def test_a_refusal_comes_out_plain_with_its_cause_and_without_the_groups() -> None:
    cause = ValueError("what redis-py said")
    refused = StoreRefused("NOAUTH")
    refused.__cause__ = cause
    with pytest.raises(StoreRefused) as caught, plain_errors():
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [refused])])
    assert caught.value is refused
    assert caught.value.__cause__ is cause
    assert caught.value.__suppress_context__


def test_of_several_refusals_at_once_one_comes_out() -> None:
    with pytest.raises(StoreRefused, match="first"), plain_errors():
        raise ExceptionGroup("", [StoreRefused("first"), ExceptionGroup("", [StoreRefused("2")])])


def test_a_group_with_anything_else_in_it_stays_whole() -> None:
    group = ExceptionGroup("", [StoreUnreachable("away"), ValueError("mine")])
    with pytest.raises(ExceptionGroup) as caught, plain_errors():
        raise group
    assert caught.value is group


@pytest.mark.trio
async def test_a_refusal_comes_out_plain_also_while_we_are_cancelled() -> None:
    async def refuse() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise StoreRefused("while it was cancelled")

    async def be_cancelled() -> None:
        await trio.sleep_forever()

    async def both() -> None:
        with trio.CancelScope() as scope, plain_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refuse)
                nursery.start_soon(be_cancelled)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

    with pytest.raises(StoreRefused):
        await both()


@pytest.mark.trio
async def test_cancellation_by_itself_stays_what_it_is() -> None:
    async def be_cancelled() -> None:
        await trio.sleep_forever()

    with trio.CancelScope() as scope, plain_errors():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_cancelled)
            nursery.start_soon(be_cancelled)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
