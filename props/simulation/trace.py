"""What has happened: on the server, where claims begin and end, and in the handlers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import attrs
import trio

from trioq.core.calls import Beat, CancelWord, Gone, Reaped, Step, StepReply, Unwanted
from trioq.core.job import Job
from trioq.core.settlements import (
    Ack,
    Cancel,
    DeadLetter,
    Deliver,
    Park,
    Release,
    RetryAt,
    Settlement,
)
from trioq.store.memory import MemoryStore

Boot = str
End = Literal[
    "ack", "retry", "snooze", "dead", "release", "park", "reaped", "signed off",
    "cancel",
    "called off",  # it would have gone back, and somebody had asked it to end
]  # fmt: skip


@attrs.frozen
class Claim:
    """Names a claim: a job, and the step that claimed it."""

    uid: str
    boot: Boot
    n: int


@attrs.frozen
class Asked:
    """A job that ran was asked to end."""

    at: float
    claim: Claim


@attrs.frozen
class Reap:
    """The server gave a boot's jobs to others."""

    at: float
    boot: Boot
    silent_s: float
    """For how long it had shown no sign of life."""
    blamed: tuple[str, ...]
    """Jobs that it was for them to be blamed for: its suspect, or the one that ran alone."""


@attrs.define
class Run:
    """A handler ran."""

    claim: Claim
    name: str
    attempt: int
    began: float
    ended: float | None = None
    how: str = "runs"


class TracedStore(MemoryStore):
    """The store in memory, and all that it has ever decided."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ends: dict[Claim, End] = {}
        self.reaps: list[Reap] = []
        self.signed_off: list[tuple[float, Boot]] = []
        self.signs: dict[Boot, float] = {}
        """When each boot showed its last sign of life."""
        self.cancelled: dict[str, float] = {}
        """Jobs that were cancelled while they waited, and when."""
        self.asked: dict[str, Asked] = {}
        """Jobs that ran when they were first asked to end."""

    def register(self, engine: Boot, info: bytes) -> bool:
        is_new = super().register(engine, info)
        if is_new:
            self.signs[engine] = trio.current_time()
        return is_new

    def beat(self, engine: Boot) -> Beat | Gone:
        reply = super().beat(engine)
        if isinstance(reply, Beat):
            self.signs[engine] = trio.current_time()
        return reply

    def step(self, step: Step) -> StepReply | Gone:
        reply = super().step(step)
        if isinstance(reply, StepReply) and reply.word == "ok":
            self.signs[step.boot] = trio.current_time()
            for settlement in step.settlements:
                if settlement.uid not in reply.refused:
                    claim = Claim(settlement.uid, step.boot, settlement.step)
                    assert claim not in self.ends, f"{claim} ends twice"
                    is_off = settlement.uid in reply.cancelled
                    self.ends[claim] = "called off" if is_off else _kind(settlement)
        return reply

    def reap(self, engine: Boot, seen: int, max_reaps: int) -> Reaped:
        held = self._held_by(engine)
        reply = super().reap(engine, seen, max_reaps)
        if reply.word == "reaped":
            now = trio.current_time()
            alone = len(held) == 1
            blamed = tuple(claim.uid for claim, suspect in held if suspect or alone)
            self.reaps.append(Reap(now, engine, now - self.signs[engine], blamed))
            self._end(held, "reaped")
        return reply

    def cancel(self, sender: str, number: int, jobs: Sequence[Unwanted]) -> list[CancelWord]:
        holders = {
            claim.uid: claim for boot in self.space.boots for claim, _ in self._held_by(boot)
        }
        is_new = number > self.space.senders.get(sender, (0, None))[0]
        words = super().cancel(sender, number, jobs)
        for job, word in zip(jobs, words, strict=True) if is_new else ():
            if word == "cancelled":
                self.cancelled[job.uid] = trio.current_time()
            elif word == "asked":
                self.asked.setdefault(job.uid, Asked(trio.current_time(), holders[job.uid]))
        return words

    def sign_off(self, engine: Boot) -> None:
        held = self._held_by(engine)
        if engine in self.space.boots:
            self.signed_off.append((trio.current_time(), engine))
        super().sign_off(engine)
        self._end(held, "signed off")

    def _held_by(self, engine: Boot) -> list[tuple[Claim, bool]]:
        boot = self.space.boots.get(engine)
        held = boot.in_order() if boot else []
        return [(Claim(uid, engine, hold.step), hold.suspect) for uid, hold in held]

    def _end(self, held: list[tuple[Claim, bool]], end: End) -> None:
        for claim, _ in held:
            assert claim not in self.ends, f"{claim} ends twice"
            self.ends[claim] = end if claim.uid in self.space.jobs else "called off"


def _kind(settlement: Settlement) -> End:
    match settlement:
        case Ack() | Deliver():
            return "ack"
        case Cancel():
            return "cancel"
        case RetryAt(line=b""):
            return "snooze"
        case RetryAt():
            return "retry"
        case DeadLetter():
            return "dead"
        case Release():
            return "release"
        case Park():
            return "park"


@attrs.define
class Log:
    """What the handlers have done, in order."""

    runs: list[Run] = attrs.field(factory=list[Run])

    @contextmanager
    def run(self, job: Job, boots: dict[str, Boot]) -> Iterator[None]:
        """One run, from here to the end of the block."""
        token, n, _ = job.token.split(":")
        claim = Claim(job.uid, boots[token], int(n))
        run = Run(claim, job.name, job.attempt, trio.current_time())
        self.runs.append(run)
        try:
            yield
        except trio.Cancelled:
            run.how = "cancelled"
            raise
        except Exception as error:
            run.how = type(error).__name__
            raise
        else:
            run.how = "done"
        finally:
            run.ended = trio.current_time()
