"""The shop's app, and what its handlers share."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx

import trioq
from shop import sandbox
from shop.database import Database
from shop.post import Post
from shop.psp import Psp

#: Where the shop keeps its orders and pictures.
DATA = Path(os.environ.get("SHOP_DATA", "data"))


@dataclass
class Deps:
    db: Database
    psp: Psp
    post: Post


async def resources(app: trioq.App) -> AsyncIterator[Deps]:
    """Once in each process that runs handlers: made before its first job, closed after its last."""
    url, smtp = os.environ.get("SHOP_PSP"), os.environ.get("SHOP_SMTP")
    http = httpx.AsyncClient(base_url=url) if url else sandbox.payments()
    with closing(Database(DATA / "shop.db")) as db:
        async with http:
            yield Deps(db, Psp(http), Post(smtp) if smtp else sandbox.Printed())


app = trioq.App(lifespan=resources)
