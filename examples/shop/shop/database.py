"""The orders, in sqlite. Each change is one statement, which holds as a whole or not at all."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

SCHEMA = """
create table if not exists orders (
    id text primary key, email text, card text, cents integer, placed_at real,
    state text, note text
)
"""


@dataclass(frozen=True)
class Order:
    id: str
    email: str
    card: str
    cents: int
    placed_at: float
    """Epoch seconds."""
    state: str = "new"
    """Or ``paid``, or ``refused``."""
    note: str = ""
    """The receipt, or why the card was refused."""


class Database:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute(SCHEMA)

    def add(self, order: Order) -> None:
        """Keep an order, unless it is here."""
        self._db.execute(
            "insert or ignore into orders values (?, ?, ?, ?, ?, ?, ?)", astuple(order)
        )

    def order(self, order_id: str) -> Order:
        row = self._db.execute("select * from orders where id = ?", (order_id,)).fetchone()
        if row is None:
            raise KeyError(f"no order {order_id}")
        return Order(*row)

    def settle(self, order_id: str, state: str, note: str) -> Order:
        """Say how its payment ended. The first word is the last one."""
        self._db.execute(
            "update orders set state = ?, note = ? where id = ? and state = 'new'",
            (state, note, order_id),
        )
        return self.order(order_id)

    def unsettled(self) -> list[str]:
        return [row[0] for row in self._db.execute("select id from orders where state = 'new'")]

    def sold(self, since: datetime, until: datetime) -> tuple[int, int]:
        """How many orders of this time are paid, and their cents."""
        query = """
            select count(*), coalesce(sum(cents), 0) from orders
            where state = 'paid' and placed_at >= ? and placed_at < ?
        """
        count, cents = self._db.execute(query, (since.timestamp(), until.timestamp())).fetchone()
        return count, cents

    def close(self) -> None:
        self._db.close()
