"""What customers see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient
from shop.payments import charge
from shop.web import api

from tests.outside import Outside
from trioq.testing import World

WANTED = {"email": "ada@example.com", "card": "4242", "cents": 1999}


@pytest.fixture(autouse=True)
def data(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop's pages have the same orders as its handlers."""
    monkeypatch.setattr("shop.web.DATA", tmp_path)


@pytest.fixture
def web() -> Iterator[TestClient]:
    with TestClient(api) as client:
        yield client


def test_an_order_is_taken_and_paid(tq: World, web: TestClient) -> None:
    assert web.get("/orders/7").status_code == 404
    assert web.put("/orders/7", json=WANTED).status_code == 202
    tq.assert_enqueued(charge, order_id="7", id="charge:7")
    assert web.get("/orders/7").json() == "new"
    tq.run(tq.drain)
    assert web.get("/orders/7").json() == "paid"


def test_an_order_is_taken_while_redis_is_away(tq: World, web: TestClient) -> None:
    with tq.outage():
        assert web.put("/orders/7", json=WANTED).status_code == 202
    tq.assert_not_enqueued(charge)
    tq.run(collected, tq)
    assert web.get("/orders/7").json() == "paid"


async def collected(tq: World) -> None:
    await tq.start()
    await tq.advance("2m")


@asynccontextmanager
async def browser() -> AsyncIterator[AsyncClient]:
    """The shop's pages in the test's own loop, where time is the world's."""
    transport = ASGITransport(api)
    async with (
        api.router.lifespan_context(api),
        AsyncClient(transport=transport, base_url="http://shop") as http,
    ):
        yield http


async def test_a_customer_may_wait_for_the_payment(tq: World) -> None:
    async with browser() as http:
        await http.put("/orders/7", json=WANTED)
        assert (await http.get("/orders/7?wait=9")).json() == "new"
        assert 9 <= tq.now < 10, "nobody was there to run it"
        await tq.start()
        assert (await http.get("/orders/7?wait=9")).json() == "paid"


async def test_a_picture_is_made_for_who_asks_for_it(tq: World, tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 8 4 255\n" + bytes(96))
    await tq.start()
    async with browser() as http:
        assert (await http.get("/pictures/a.ppm?width=4")).content.startswith(b"P6 4 2 255\n")
        assert (await http.get("/pictures/b.ppm?width=4")).status_code == 404
