"""What holds wherever a handler is cut off."""

from __future__ import annotations

import pytest
from shop.payments import charge, payment

from tests.outside import Outside
from trioq.testing import World


@pytest.mark.trioq_explore(handler=charge, faults=["crash", "cancel", "freeze"])
async def test_an_order_is_paid_once_whatever_happens(tq: World, outside: Outside) -> None:
    await tq.client.enqueue(payment(outside.order("7")))
    await tq.drain()
    assert outside.provider.charged == [("4242", 1999)]
    assert outside.db.order("7").state == "paid"
    assert outside.mails == ["Your order 7"]
