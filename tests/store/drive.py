"""An engine as the store sees it: numbers its steps and remembers nothing else."""

from __future__ import annotations

import json
import secrets
from typing import Any

import attrs

from tests.support import new_job
from trioq.core.calls import Admit, Claim, NewJob, Step, StepReply
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Settlement
from trioq.store.protocol import Store


@attrs.define
class Driver:
    """Registers when made."""

    store: Store
    queues: tuple[str, ...] = ("high", "low")
    names: tuple[str, ...] = ("noop",)
    engine: str = attrs.field(factory=lambda: f"e.{secrets.token_hex(16)}")
    n: int = 0

    def __attrs_post_init__(self) -> None:
        info = {"name": "e", "pid": 1, "queues": self.queues, "names": self.names}
        assert self.store.register(self.engine, json.dumps(info).encode())

    def make(self, want: int = 0, *settlements: Settlement, **more: Any) -> Step:
        """The next step, not yet sent."""
        self.n += 1
        return Step(
            self.engine, self.n, want, self.queues, settlements=settlements, **more
        )  # fmt: skip

    def ask(self, want: int = 0, *settlements: Settlement, **more: Any) -> StepReply:
        """Make a step; the whole answer."""
        reply = self.store.step(self.make(want, *settlements, **more))
        assert isinstance(reply, StepReply)
        return reply

    def step(self, want: int = 0, *settlements: Settlement, admits: tuple[Admit, ...] = ()) -> Any:
        """Claim up to ``want``, after these settlements; the claims."""
        reply = self.ask(want, *settlements, admits=admits)
        assert not reply.refused
        return reply.claims

    def claim(self) -> Claim:
        """One job; fails if there is none."""
        (claim,) = self.step(1)
        assert isinstance(claim, Claim)
        return claim


@attrs.define
class Sender:
    """A client's numbered writes."""

    store: Store
    id: str = attrs.field(factory=lambda: secrets.token_hex(16))
    n: int = 0

    def next(self) -> tuple[str, int]:
        """What each write begins with."""
        self.n += 1
        return self.id, self.n

    def enqueue(self, *jobs: NewJob) -> list[str]:
        """Queue these, all in one batch; their uids."""
        assert self.store.enqueue(*self.next(), jobs).taken == len(jobs)
        return [job.uid for job in jobs]

    def enqueue_new(self, queue: str = "low", **options: Any) -> str:
        """Queue one new job; its uid."""
        return self.enqueue(new_job(queue, **options))[0]


def with_limits(sender: Sender, queue: str = "high") -> Driver:
    """An engine holds a limit's only slot and another's only permit; behind each somebody waits."""
    limits = {
        "one": LimitSettings(concurrency=1),
        "slow": LimitSettings(interval_us=3_600_000_000),
    }
    assert not sender.store.set_limits(limits, 1)
    sender.enqueue(*(new_job(queue, takes=(take,)) for take in ("one", "one", "slow", "slow")))
    engine = Driver(sender.store, (queue,))
    assert len(engine.step(4)) == 2
    return engine


def open_room(sender: Sender) -> None:
    """The same in a queue; and in another somebody waits for what is there by now."""
    with_limits(sender, "limited")
    sender.enqueue_new("other", takes=("one",))
    assert not Driver(sender.store, ("other",)).step(1)
    sender.store.set_limits({"one": LimitSettings(concurrency=2)}, 2)


def line(message: str, attempt: int = 1) -> bytes:
    """A line of a history."""
    told = {
        "attempt": attempt, "type": "ValueError", "message": message, "traceback": "Traceback …",
        "engine": "e", "at_ms": 1_000,
    }  # fmt: skip
    return json.dumps(told).encode()
