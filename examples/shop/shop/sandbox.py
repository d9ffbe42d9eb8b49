"""What stands in for the world outside, where none is configured, and in tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import EmailMessage

import httpx

from shop.post import Post


class Provider:
    """A payment provider that knows by its key what it was asked before."""

    def __init__(self) -> None:
        self.charged: list[tuple[str, int]] = []
        """Card and cents."""
        self.says: list[httpx.Response] = []
        """What it answers first, and charges nothing."""
        self.meanwhile: list[Callable[[], None]] = []
        """What happens once it has done what it was asked, before it answers."""
        self._answers: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.says:
            return self.says.pop(0)
        key = request.headers.get("Idempotency-Key", f"none:{len(self._answers)}")
        if key not in self._answers:
            self._answers[key] = self._charge(**json.loads(request.content))
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self._answers[key]

    def _charge(self, card: str, cents: int) -> httpx.Response:
        if card == "stolen":
            return httpx.Response(402, json={"why": "the card is blocked"})
        self.charged.append((card, cents))
        return httpx.Response(201, json={"receipt": f"receipt-{len(self.charged)}"})


def payments(provider: Provider | None = None) -> httpx.AsyncClient:
    """A client that leads to a provider in this process."""
    transport = httpx.MockTransport(provider or Provider())
    return httpx.AsyncClient(transport=transport, base_url="http://sandbox")


class Printed(Post):
    """Mail that goes nowhere."""

    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []
        self.meanwhile: list[Callable[[], None]] = []
        """What happens once it has sent."""

    def send(self, message: EmailMessage) -> None:
        self.sent.append(message)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        print(f"mail to {message['To']}: {message['Subject']}", flush=True)
