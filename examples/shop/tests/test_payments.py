"""An order is paid once, whatever happens."""

from __future__ import annotations

import httpx
from shop.mail import send
from shop.payments import charge, payment

from tests.outside import Outside
from trioq.testing import World


async def test_an_order_is_paid_and_the_customer_told(tq: World, outside: Outside) -> None:
    await tq.client.enqueue(payment(outside.order("7")))
    tq.assert_enqueued(charge, order_id="7", queue="payments", count=1)
    await tq.drain()
    assert outside.provider.charged == [("4242", 1999)]
    assert outside.db.order("7").state == "paid"
    assert outside.mails == ["Your order 7"]


async def test_a_card_may_be_refused(tq: World, outside: Outside) -> None:
    assert await tq.perform(charge.call(outside.order("7", card="stolen"))) == "refused"
    tq.assert_enqueued(send, to="ada@example.com", text="refused: the card is blocked")


async def test_an_order_that_is_sent_twice_is_one(tq: World, outside: Outside) -> None:
    outside.order("7")
    first, second = [await tq.client.enqueue(payment("7")) for _ in range(2)]
    assert (second.uid, second.is_new) == (first.uid, False)
    await tq.drain()
    assert await first.result() == "paid"
    assert len(outside.provider.charged) == 1


async def test_a_provider_that_fails_is_asked_again(tq: World, outside: Outside) -> None:
    outside.provider.says = [httpx.Response(503)] * 7
    await tq.client.enqueue(payment(outside.order("7")))
    await tq.drain()
    assert outside.db.order("7").state == "paid"
    assert tq.now > 60, "with pauses that grow"


async def test_a_provider_that_goes_on_failing_is_left_alone(tq: World, outside: Outside) -> None:
    outside.provider.says = [httpx.Response(503)] * 8
    await tq.client.enqueue(payment(outside.order("7")))
    with tq.deaths(charge, error=httpx.HTTPStatusError) as died:
        await tq.drain()
    assert len(died) == 1
    assert outside.db.order("7").state == "new"


async def test_an_answer_that_gets_lost_costs_nobody_twice(tq: World, outside: Outside) -> None:
    def lost() -> None:
        raise httpx.ReadTimeout("no answer")

    outside.provider.meanwhile = [lost]
    await tq.client.enqueue(payment(outside.order("7")))
    await tq.drain()
    assert outside.provider.charged == [("4242", 1999)]
    assert outside.db.order("7").state == "paid"


async def test_an_engine_that_is_killed_costs_nobody_twice(tq: World, outside: Outside) -> None:
    outside.provider.meanwhile = [tq.kill]
    await tq.client.enqueue(payment(outside.order("7")))
    await tq.drain()  # once its lease is over, another runs the job
    assert outside.provider.charged == [("4242", 1999)]
    assert outside.db.order("7").state == "paid"


async def test_all_rest_when_the_provider_has_had_enough(tq: World, outside: Outside) -> None:
    outside.provider.says = [httpx.Response(429, headers={"Retry-After": "60"})]
    for number in range(3):
        await tq.client.enqueue(payment(outside.order(str(number))))
    await tq.drain()
    assert tq.now >= 60
    assert len(outside.provider.charged) == 3


async def test_what_the_web_could_not_enqueue_is_collected(tq: World, outside: Outside) -> None:
    outside.order("7")  # it was written, and then the web's process died
    await tq.start()
    await tq.advance("2m")
    assert outside.db.order("7").state == "paid"
