"""The world outside, as the tests have it."""

from __future__ import annotations

from dataclasses import dataclass, field

from shop import sandbox
from shop.app import Deps
from shop.database import Database, Order
from shop.psp import Psp


@dataclass
class Outside:
    """The world outside of the queue: it remembers what was done to it, whoever is killed."""

    db: Database
    provider: sandbox.Provider = field(default_factory=sandbox.Provider)
    post: sandbox.Printed = field(default_factory=sandbox.Printed)

    def order(self, order_id: str, *, card: str = "4242", placed_at: float = 0) -> str:
        self.db.add(Order(order_id, "ada@example.com", card, 1999, placed_at))
        return order_id

    @property
    def mails(self) -> list[str]:
        """What readers see: a mail that comes twice has one Message-ID."""
        return list({mail["Message-ID"]: mail["Subject"] for mail in self.post.sent}.values())

    @property
    def deps(self) -> Deps:
        """What handlers have of it."""
        return Deps(self.db, Psp(sandbox.payments(self.provider)), self.post)
