"""A store of either kind, with a clock that a test moves, and eyes for all that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from tests.dump import Dump, Waiting, dump, dump_of_model
from tests.invariants import assert_sound
from tests.store.drive import Driver, Sender, line
from tests.support import Server
from trioq.core.calls import Claim, NewJob
from trioq.core.outcome import DeadReason
from trioq.core.settlements import DeadLetter, RetryAt
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

#: In milliseconds, as stored times are.
SECOND = 1000


@attrs.define
class Clock:
    """The server's time, which stands still until a test moves it."""

    ms: int = 1_764_000_000_000

    def __call__(self) -> int:
        return self.ms


@attrs.define
class World:
    """One namespace and who uses it."""

    store: RedisStore | MemoryStore
    clock: Clock
    sender: Sender

    @classmethod
    def of(cls, kind: str, server: Server, **options: Any) -> World:
        """One of this kind: ``redis`` or ``memory``."""
        clock = Clock()
        made = StoreOptions(clock_ms=clock, **{"pack_max": 3, **options})
        store = server.store(options=made) if kind == "redis" else MemoryStore(made)
        return cls(store, clock, Sender(store))

    def engine(self, *queues: str) -> Driver:
        """A new engine, which claims from these queues, ``high`` and ``low`` if none is named."""
        return Driver(self.store, queues or ("high", "low"))

    def new(self, *queues: str) -> list[str]:
        """Enqueue a job into each of these queues, one after the other; their uids."""
        return [self.sender.enqueue_new(queue) for queue in queues]

    def reap(self, engine: Driver, max_reaps: int = 3) -> Any:
        """As somebody who has seen this engine stand still."""
        return self.store.reap(engine.engine, self.store.observe()[engine.engine], max_reaps)

    def dump(self) -> Dump:
        """All there is; fails if it isn't sound."""
        if isinstance(self.store, RedisStore):
            found = dump(self.store)
        else:
            found = dump_of_model(self.store.space)
        assert_sound(found)
        return found

    def queue(self, name: str) -> Waiting:
        """What waits there."""
        return self.dump().queues.get(name, Waiting())

    def close(self) -> None:
        if isinstance(self.store, RedisStore):
            self.store.lane.close()


#: Makes a store, with options of the test's own: what the fixture ``world`` is.
Make = Callable[..., World]


def uids(claims: Any) -> list[str]:
    """Of these claims, in their order."""
    return [claim.uid for claim in claims]


def died(w: World, *queues: str) -> list[str]:
    """Queue a job in each of these, and let an engine die that runs them all."""
    made = w.new(*queues)
    engine = w.engine()
    assert len(engine.step(len(queues))) == len(queues)
    assert w.reap(engine).moved == len(queues)
    return made


def bury(w: World, *jobs: NewJob, reason: DeadReason = "failures") -> list[str]:
    """Let these jobs die; their uids."""
    w.sender.enqueue(*jobs)
    engine = w.engine()
    claims = engine.step(len(jobs))
    engine.step(0, *(DeadLetter(c.uid, 1, 4, reason, line("no")) for c in claims))
    return [job.uid for job in jobs]


def retry(claim: Claim, n: int, delay_ms: int = SECOND, text: bytes = b"") -> RetryAt:
    """After one more failure."""
    return RetryAt(claim.uid, n, delay_ms, claim.attempts + 1, text or line("no"))
