"""A handler as one writes it first, and what the explorer finds in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from shop.app import Deps, resources
from shop.database import Database

import trioq
from tests.outside import Outside
from trioq.testing import Counterexample, World, explore

app = trioq.App(lifespan=resources)


@app.job
async def charge(job: trioq.Job[Deps], order_id: str) -> None:
    order = job.deps.db.order(order_id)
    if order.state == "new":
        receipt = await job.deps.psp.charge(order.card, order.cents, key=job.token)
        job.deps.db.settle(order_id, "paid", receipt)


@contextmanager
def ordered(tq: World) -> Iterator[Outside]:
    """A clean world in which somebody has ordered."""
    with closing(Database(Path(":memory:"))) as db:
        outside = Outside(db)
        outside.order("7")
        tq.deps = outside.deps
        yield outside


def paid_once(outside: Outside) -> None:
    assert outside.db.order("7").state == "paid"
    assert outside.provider.charged == [("4242", 1999)]


def test_a_token_is_no_key_for_a_payment() -> None:
    with pytest.raises(Counterexample, match=r"await job\.deps\.psp\.charge"):
        explore(charge.call("7"), paid_once, world=ordered, app=app)
