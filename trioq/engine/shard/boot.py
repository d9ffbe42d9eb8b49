"""What an engine knows of one registration with the server.

A boot is a name of 128 random bits, a sequence of numbered steps, and the claims they
brought. It is thrown away whole when the server doesn't know it any more. Pure: values
in, values out; :mod:`trioq.engine.shard.dispatcher` sends the steps.

The rules are those of the protocol between engine and server, which was searched state by
state: one step in flight, re-sent unchanged until answered, no number skipped, and what
finishes meanwhile goes with the next.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, islice

import attrs

from trioq.core.calls import BATCH_MAX, HOLD_MAX, Admit, Ask, Step, StepReply
from trioq.core.settlements import Deliver, Settlement
from trioq.core.values import value
from trioq.engine.claim import Claimer, Held, Token

#: In one step: a result that is larger has one of its own.
STEP_BYTES = 1 << 20


def _result_bytes(settlement: Settlement) -> int:
    return len(settlement.value) if isinstance(settlement, Deliver) else 0


@value
class Absorbed:
    """What a step's answer brought."""

    claims: tuple[Held, ...]
    refused: tuple[Held, ...]
    """Settlements that changed nothing: the claim wasn't ours any more."""
    agrees: bool
    """Whether the server holds as many jobs for us as we hold."""
    cancelled: tuple[tuple[Held, Ask | None], ...] = ()
    """Settlements that would have put their job back; it was cancelled, as somebody had asked. Who,
    we may not have heard."""
    asks: tuple[Ask, ...] = ()
    """Of claims that we hold, and not told before."""


@attrs.define
class Boot:
    """One registration: its claims, its outcomes, its step in flight.

    Args:
      by: Whom its claims name as their claimer. It is asked nothing here.
    """

    id: str
    by: Claimer
    number: int = 0
    """The number of the last step that was made."""
    held: dict[Token, Held] = attrs.field(factory=dict[Token, Held])
    outcomes: deque[Settlement] = attrs.field(factory=deque[Settlement])
    """Decided, and not yet in a step."""
    result_bytes: int = 0
    """Of the results in those."""
    in_flight: Step | None = None
    sends: int = 0
    """How often the step in flight was sent."""
    following: Step | None = None
    """The step after that, to be sent in the moment in which that is answered, and not before."""
    suspects: int = 0
    """How many of the held are suspects; the server gives us one at a time."""
    asked: int = 0
    """How many asks the server has ever sent us, as far as we have heard."""
    asks: dict[Token, Ask] = attrs.field(factory=dict[Token, Ask])
    """Those of the held that somebody wants to end."""

    @property
    def unsettled(self) -> int:
        """How many claims nobody has decided about."""
        return len(self.held) - len(self.outcomes)

    def settle(self, *settlements: Settlement, result_bytes: int = 0) -> None:
        """Let the next step carry these, or the one after it, if their results are large.

        Args:
          result_bytes: Of all of them together.
        """
        self.outcomes.extend(settlements)
        self.result_bytes += result_bytes

    def next_step(
        self, *, want: int, queues: tuple[str, ...], admits: tuple[Admit, ...], parked_version: int
    ) -> Step:
        """The next step, which is then in flight."""
        assert self.in_flight is None, "one step at a time"
        self.sends = 0
        self.in_flight = self._made(want, queues, admits, parked_version)
        return self.in_flight

    def following_step(
        self, *, want: int, queues: tuple[str, ...], admits: tuple[Admit, ...], parked_version: int
    ) -> Step:
        """The step after the one in flight. What it settles waits neither for that step's answer to
        be used, nor for what that brings: so only one of the two may claim.

        Whoever sends it, when that one is answered, calls :meth:`absorb` with ``is_followed``; else
        it is to be withdrawn.
        """
        assert self.in_flight is not None, "it has something to follow"
        assert self.following is None, "one at a time"
        assert not (want and self.in_flight.want), "one of them claims"
        self.following = self._made(want, queues, admits, parked_version)
        return self.following

    def withdraw(self) -> None:
        """Nobody has sent the step that was to follow, if there was one: it was never made."""
        if (step := self.following) is not None:
            self.following = None
            self.number -= 1
            self.outcomes.extendleft(reversed(step.settlements))
            self.result_bytes += sum(map(_result_bytes, step.settlements))

    def _made(
        self, want: int, queues: tuple[str, ...], admits: tuple[Admit, ...], parked_version: int
    ) -> Step:
        assert len(self.outcomes) <= len(self.held), "one outcome for a claim"
        settlements = self._some_outcomes()
        # The server settles before it claims. So what this step settles makes room: for as many
        # more, where we hold all that we may, and for another suspect, where it settles ours. One
        # suspect at a time: if this engine dies too, it is clear who is to blame.
        kept = len(self.held) - len(settlements)
        leaving = self.suspects and sum(self.held[s.uid, s.step].suspect for s in settlements)
        self.number += 1
        return Step(
            boot=self.id,
            number=self.number,
            want=max(0, min(want, BATCH_MAX, HOLD_MAX - kept)),
            queues=queues,
            suspect=self.suspects == leaving,
            admits=admits,
            settlements=settlements,
            parked_version=parked_version,
            asked=self.asked,
        )

    def _some_outcomes(self) -> tuple[Settlement, ...]:
        """The first of them: as many as one step carries."""
        outcomes, count = self.outcomes, min(BATCH_MAX, len(self.outcomes))
        if self.result_bytes:
            sizes = accumulate(map(_result_bytes, islice(outcomes, count)))
            count = max(1, sum(size <= STEP_BYTES for size in sizes))
        taken = tuple(outcomes.popleft() for _ in range(count))
        if self.result_bytes:
            self.result_bytes -= sum(map(_result_bytes, taken))
        return taken

    def absorb(self, reply: StepReply, *, now: float, is_followed: bool = False) -> Absorbed:
        """The step in flight was answered: forget what it settled, hold what it claimed.

        Args:
          now: By the loop's clock, for what it claimed.
          is_followed: The step that was to follow it is sent, and in flight now.
        """
        step = self.in_flight
        assert step is not None
        if is_followed:
            assert self.following is not None
            self.in_flight, self.following, self.sends = self.following, None, 1
        else:
            self.in_flight = None
        before, pop = len(self.held), self.held.pop
        settled = [pop((settlement.uid, settlement.step)) for settlement in step.settlements]
        assert len(self.held) == before - len(settled), "each ended its own claim"
        assert len(self.held) >= len(self.outcomes)
        refused = [held for held in settled if held.uid in reply.refused] if reply.refused else ()
        cancelled = (
            [held for held in settled if held.uid in reply.cancelled] if reply.cancelled else ()
        )
        told = tuple([(held, self.asks.get((held.uid, held.step))) for held in cancelled])
        if self.asks:
            for held in settled:
                self.asks.pop((held.uid, held.step), None)
        by, number, notes = self.by, step.number, reply.notes
        claims = tuple(
            [
                Held(
                    by, claim.uid, number, claim.attempts + 1, claim.suspect, claim.stored,
                    noted=notes.get(claim.uid, b"") if notes else b"", takes=claim.takes, at=now,
                )
                for claim in reply.claims
            ]
        )  # fmt: skip
        if reply.behind:
            claims = tuple(
                attrs.evolve(held, behind=reply.behind.get(held.uid, "")) for held in claims
            )
        self.held.update({(held.uid, number): held for held in claims})
        if self.suspects:
            self.suspects -= sum(held.suspect for held in settled)
        self.suspects += sum([held.suspect for held in claims])
        # Two views of one fact, ours and the server's. Where they differ something is badly wrong,
        # and nobody can tell which jobs are ours: the boot is given up.
        agrees = reply.held == len(self.held)
        return Absorbed(claims, tuple(refused), agrees, told, self._new_asks(reply))

    def _new_asks(self, reply: StepReply) -> tuple[Ask, ...]:
        """An answer that is repeated tells what it told; and what was asked of a claim that we
        have ended, or of one that its job had before, isn't ours to hear."""
        if reply.asked is None:
            return ()
        self.asked = reply.asked
        new = {(ask.uid, ask.step): ask for ask in reply.asks}
        heard = {
            claim: new[claim] for claim in new if claim in self.held and claim not in self.asks
        }
        self.asks.update(heard)
        return tuple(heard.values())

    def lost_and_unknown(self, *, is_answered: bool = True) -> tuple[int, int]:
        """How many outcomes are surely refused, and how many nobody can tell.

        A step that was sent once and answered ``gone`` was refused. One that was sent more
        than once may have been executed the first time.

        Args:
          is_answered: Whether the step in flight was.
        """
        in_step = len(self.in_flight.settlements) if self.in_flight else 0
        if self.sends > 1 or not is_answered:
            return len(self.outcomes), in_step
        return len(self.outcomes) + in_step, 0
