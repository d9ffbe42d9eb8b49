"""What there can't be is no answer: a mistyped name doesn't make an assertion hold for good."""

from __future__ import annotations

from typing import Any

import pytest

from trioq import App
from trioq.errors import ResultUnfit
from trioq.testing import World


@pytest.mark.parametrize(
    ("criteria", "told"),
    [
        ({"queue": "urgnt"}, "no queue 'urgnt'.*urgent"),
        ({"state": "reddy"}, "no state 'reddy'.*ready"),
        ({"oder": 7}, "'oder', which is no field .*mean order"),
    ],
)
async def test_what_there_cannot_be(tq: World, criteria: dict[str, Any], told: str) -> None:
    @tq.app.job
    async def charge(order: int) -> None: ...

    tq.assert_not_enqueued(charge, queue="urgent", state="ready", order=7)
    for ask in (tq.enqueued, tq.assert_enqueued, tq.assert_not_enqueued):
        with pytest.raises(ValueError, match=told):
            ask(charge, **criteria)


async def test_names_and_handlers_that_are_not_of_this_world(tq: World) -> None:
    @tq.app.job
    async def charge(order: int) -> None: ...

    elsewhere: App[None] = App()

    @elsewhere.job
    async def refund(order: int) -> None: ...

    tq.assert_not_enqueued("charge")
    with pytest.raises(ValueError, match=r"no handler 'chrage'.*charge"):
        tq.assert_not_enqueued("chrage")
    with pytest.raises(ValueError, match=r"refund.* is a handler of another app"):
        tq.assert_not_enqueued(refund)


async def test_one_of_a_name_that_no_handler_has_may_be_asked_for(tq: World) -> None:
    await tq.client.enqueue("elsewhere", {"order": 7}, queue="urgent")
    tq.assert_enqueued("elsewhere", order=7)


async def test_a_result_that_is_kept_comes_as_who_waits_for_it_gets_it(tq: World) -> None:
    @tq.app.job(result="1h")
    async def pair() -> tuple[int, str]:
        return (1, "a")

    @tq.app.job(result="1h")
    async def lie() -> Any:
        return object()

    @tq.app.job
    async def drop() -> Any:
        return NOTHING

    assert await tq.perform(pair.call()) == (1, "a")
    with pytest.raises(ResultUnfit):
        await tq.perform(lie.call())
    assert await tq.perform(drop.call()) is NOTHING


NOTHING = object()
