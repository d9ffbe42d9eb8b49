"""What customers see: ``hypercorn shop.web:api``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel

import trioq
from shop.app import DATA
from shop.database import Database, Order
from shop.images import thumbnail
from shop.payments import payment
from trioq.contrib.starlette import client_of, lifespan


@contextlib.asynccontextmanager
async def opened(api: FastAPI) -> AsyncIterator[None]:
    with contextlib.closing(Database(DATA / "shop.db")) as api.state.db:
        yield


async def database(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


api = FastAPI(lifespan=lifespan("jobqueue.toml", opened, patience=1))
Jobs = Annotated[trioq.Client, Depends(client_of)]
Db = Annotated[Database, Depends(database)]


class Wanted(BaseModel):
    email: str
    card: str
    cents: int


@api.put("/orders/{order_id}", status_code=202)
async def order(order_id: str, wanted: Wanted, jobs: Jobs, db: Db) -> None:
    """Keep an order, and have it paid. Whoever sends it twice has ordered once."""
    db.add(Order(order_id, wanted.email, wanted.card, wanted.cents, placed_at=time.time()))
    with contextlib.suppress(trioq.StoreUnreachable, trioq.EnqueueUnknown):  # see `collect`
        await jobs.enqueue(payment(order_id))


@api.get("/orders/{order_id}")
async def look(order_id: str, jobs: Jobs, db: Db, wait: float = 0) -> str:
    """``new``, ``paid`` or ``refused``; waits for so many seconds for what the payment brings."""
    try:
        if wait and db.order(order_id).state == "new":
            handle = await jobs.enqueue(payment(order_id))
            await handle.wait(timeout=min(wait, 10))
        return db.order(order_id).state
    except KeyError as error:
        raise HTTPException(404, f"no order {order_id}") from error
    except trioq.WaitTimeout:
        return "new"


@api.get("/pictures/{name}")
async def picture(name: str, width: int, jobs: Jobs) -> FileResponse:
    """A picture in some width. Who asks first has it made; who asks meanwhile waits, too."""
    path = (DATA / name).resolve()
    try:
        return FileResponse(await jobs.call(thumbnail.call(str(path), width), timeout=10))
    except trioq.JobDied as error:
        raise HTTPException(404, error.message) from error
    except trioq.WaitTimeout as error:
        raise HTTPException(503, "ask again", {"Retry-After": "2"}) from error
