"""What we use of the payment service provider's API."""

from __future__ import annotations

import httpx

import trioq


class CardRefused(Exception):
    """It is said of the card, and won't get better."""


class Psp:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def charge(self, card: str, cents: int, *, key: str) -> str:
        """Take the money, and give the receipt. With the same key it is taken once.

        Raises:
          CardRefused: They won't.
          RateLimited: Not now, and nobody else either.
          httpx.HTTPError: Something else was wrong. Perhaps the money is taken.
        """
        answer = await self._http.post(
            "/charges", json={"card": card, "cents": cents}, headers={"Idempotency-Key": key}
        )
        if answer.status_code == 402:
            raise CardRefused(answer.json()["why"])
        if answer.status_code == 429:
            raise trioq.RateLimited(float(answer.headers["Retry-After"]), limit="psp")
        answer.raise_for_status()
        receipt: str = answer.json()["receipt"]
        return receipt
