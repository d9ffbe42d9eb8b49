"""Boots that only have claims: for tests of what holds these."""

from __future__ import annotations

from collections.abc import Sequence

from trioq.core.settlements import Settlement
from trioq.engine.fetch import Fetch


class Nobody:
    """Claims, as far as its claims know; is asked and told nothing."""

    boot = "host.b00t"

    @property
    def fetch(self) -> Fetch:
        raise AssertionError

    def may_start(self) -> bool:
        raise AssertionError

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        raise AssertionError

    def settle_many(
        self,
        settlements: Sequence[Settlement],
        *,
        took_s: float,
        alone: bool = True,
        result_bytes: int = 0,
    ) -> None:
        raise AssertionError


NOBODY = Nobody()
