"""Nobody's inbox is flooded."""

from __future__ import annotations

from shop.mail import send

from tests.outside import Outside
from trioq.testing import World


async def test_a_reader_gets_six_mails_a_minute(tq: World, outside: Outside) -> None:
    for number in range(9):
        await tq.client.enqueue(send.call("ada@example.com", f"{number}", ""))
    await tq.client.enqueue(send.call("eve@example.com", "hello", ""))
    await tq.drain(until="1s")
    assert outside.mails == ["0", "1", "2", "hello"]
    await tq.drain()
    assert len(outside.mails) == 10
    assert 60 <= tq.now < 70


async def test_a_mail_that_is_sent_again_is_the_same(tq: World, outside: Outside) -> None:
    outside.post.meanwhile = [tq.kill]
    await tq.client.enqueue(send.call("ada@example.com", "hello", ""))
    await tq.drain()
    assert len(outside.post.sent) == 2
    assert outside.mails == ["hello"]
