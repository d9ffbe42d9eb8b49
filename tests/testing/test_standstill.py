"""What looks as if it waited for good, and doesn't, is waited for."""

from __future__ import annotations

import pytest
import trio

from tests.testing.jobs import put
from trioq import Limit
from trioq.client.jobs import Drafts
from trioq.core.calls import Pausing
from trioq.testing import World, standstill

HOUR_S = 3600


async def test_a_pause_that_ends_by_itself(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    put(tq, "charge", queue="urgent")
    tq.space.store.pause("test", 1, "urgent", True, Pausing(b"", 9 * HOUR_S * 1000))
    assert (await tq.drain()).done == 1
    assert tq.now == pytest.approx(9 * HOUR_S, abs=120)


async def test_one_that_waits_for_another_which_runs_for_long(
    tq: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "LOOK_S", 60.0)
    monkeypatch.setattr(standstill, "SURELY_S", 120.0)
    monkeypatch.setattr(standstill, "STILL_S", 1500.0)

    @tq.app.job(limits=Limit("one", concurrency=1), timeout=2 * HOUR_S)
    async def reckon() -> None:
        await trio.sleep(HOUR_S)

    drafts = Drafts(tq.config, knows_queues=True)
    tq.space.store.enqueue("test", 1, [drafts.draft(reckon.call(), None) for _ in range(2)])
    assert (await tq.drain()).done == 2
    assert tq.now == pytest.approx(2 * HOUR_S, abs=120)
