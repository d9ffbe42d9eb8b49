"""What an engine has claimed and not settled: what its rooms hand to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol

from trioq.core.board import Board
from trioq.core.calls import Ask
from trioq.core.job import Uid
from trioq.core.outcome import Failed, Snoozed, Unfit
from trioq.core.settlements import Settlement
from trioq.core.values import value
from trioq.engine.fetch import Fetch

Why = Literal["boot lost", "lease ended", "engine stops"]
"""Why runs are cancelled."""

Token = tuple[Uid, int]
"""Names a claim of one boot: its job, and the step that brought it."""


class Claimer(Protocol):
    """A boot that claims jobs, as it is seen by those who run them."""

    @property
    def boot(self) -> str:
        """Its name."""

    @property
    def fetch(self) -> Fetch:
        """What its server is asked for before a handler is called."""

    async def last_note(self, claim: Held, board: Board) -> None:
        """Tell its server what a run has said last, if that isn't known there.

        Cancellation: not before it is told, or a second is over.
        """

    async def judged(
        self, failed: Failed, name: str, queue: str, behind: str, *, has_run: bool
    ) -> Failed | Snoozed | Unfit:
        """What becomes of a run whose payload didn't fit, as others may have another version of
        its handler; has_run: it has fitted one before."""

    def may_start(self) -> bool:
        """Whether its lease is good at this moment, so that nobody else has the job."""

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        """Say what becomes of a claim; once for each.

        Args:
          took_s: How long the handler ran; None: it wasn't called.
        """

    def settle_many(
        self,
        settlements: Sequence[Settlement],
        *,
        took_s: float,
        alone: bool = True,
        result_bytes: int = 0,
    ) -> None:
        """Say it of several, each of which ran so long on the average.

        Args:
          alone: They ran one after the other, and others had to wait for them.
          result_bytes: Of all the results in them.
        """


class Running(Protocol):
    """What runs in an engine, as it is seen by a boot that has claimed some of it."""

    def count(self, by: Claimer) -> int:
        """How many runs there are of this boot's claims."""

    def boards(self, by: Claimer) -> Iterator[tuple[Held, Board]]:
        """Those of them that have said how far they are, with what they say."""

    def cancel(self, by: Claimer, why: Why) -> None:
        """Cancel them."""

    def ask(self, by: Claimer, asks: Mapping[Token, Ask]) -> None:
        """Tell the runs of these claims, and those that will turn out to be, that somebody wants
        them to end. Nothing comes of what is asked of one that is just ending."""

    def lease_ended(self, by: Claimer) -> None:
        """Cancel those of them that must not go on without a lease."""

    async def ended(self, by: Claimer) -> None:
        """Wait until none is left. What was told of each, the boot has then heard."""


@value
class Held:
    """A claim that this engine has and hasn't settled."""

    by: Claimer
    """Who claimed it, and is told what becomes of it."""
    uid: Uid
    step: int
    """The step that claimed it: with the boot and the uid, the claim's token."""
    attempt: int
    """The number of the run that it is for: one more than attempts have failed."""
    suspect: bool
    stored: bytes
    payload: bytes | None = None
    """One that lay apart and has come; then nothing in ``stored`` says that it did."""
    noted: bytes = b""
    """What an earlier run of the job has said last."""
    takes: tuple[str, ...] = ()
    """What it took of limits."""
    behind: str = ""
    """What the door is called behind which it was parked; empty: it wasn't, as far as is known."""
    at: float = 0.0
    """When it came, by the loop's clock."""

    @property
    def token(self) -> str:
        """Names this claim and no other: what is random of the boot's name, step, uid."""
        return f"{self.by.boot.rpartition('.')[2]}:{self.step}:{self.uid}"
