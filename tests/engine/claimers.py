"""Boots that only have claims: for tests of what holds these."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from trioq.core.board import Board
from trioq.core.outcome import Failed, Snoozed, Unfit
from trioq.core.settlements import Settlement
from trioq.engine.claim import Held
from trioq.engine.fetch import Fetch
from trioq.engine.runs.run import Run


class Nobody:
    """Claims, as far as its claims know; is asked and told nothing."""

    boot = "host.b00t"

    @property
    def fetch(self) -> Fetch:
        raise AssertionError

    async def last_note(self, claim: Held, board: Board) -> None:
        raise AssertionError

    async def judged(
        self, failed: Failed, name: str, queue: str, behind: str, *, has_run: bool
    ) -> Failed | Snoozed | Unfit:
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


@attrs.define(eq=False)
class Waits:
    """Has all the patience that there is."""

    grace_s: float = 5.0
    begun: list[Run] = attrs.field(factory=list[Run])

    def begin(self, run: Run) -> None:
        self.begun.append(run)
