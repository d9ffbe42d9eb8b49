"""What an engine tells those who watch it, and what it keeps for that.

Told while somebody watches, every few seconds; kept always, at the price of a counter for
each job.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable

import attrs

from trioq.core.formats.snapshot import Failure, Run, Snapshot
from trioq.core.job import Uid
from trioq.core.outcome import Error
from trioq.engine.claim import Held
from trioq.engine.status import Status

#: The longest runs, and the last failures. The rest is counted.
RUNS = 32
FAILURES = 8

#: Of an error's message.
CHARACTERS = 200


@attrs.define
class Recent:
    """What has ended here."""

    done: Counter[str] = attrs.field(factory=Counter[str])
    """Queue → how many, since the engine started."""
    failures: deque[Failure] = attrs.field(factory=lambda: deque(maxlen=FAILURES))

    def failed(
        self, uid: Uid, name: str, queue: str, *, attempt: int, error: Error, then: str
    ) -> None:
        """An attempt failed; ``then`` says what becomes of the job."""
        at_ms, said = time.time_ns() // 1_000_000, f"{error.type}: {error.message}"
        self.failures.append(Failure(at_ms, uid, name, queue, attempt, said[:CHARACTERS], then))


def told(status: Status, held: Iterable[Held], recent: Recent) -> Snapshot:
    """All of it."""
    now, now_ms = time.perf_counter(), time.time_ns() // 1_000_000
    running = sorted((h.began, i, h) for i, h in enumerate(held) if h.began is not None)
    return Snapshot(
        at_ms=now_ms,
        busy=status.running,
        waiting=status.waiting,
        draining=status.draining,
        lag_s=round(status.lag_s, 3),
        running=tuple(_run(h, now_ms, now - began) for began, _, h in running[:RUNS]),
        breakers={n: state for n, state in status.breakers.items() if state != "closed"},
        done=dict(recent.done),
        failures=tuple(recent.failures),
    )


def _run(held: Held, now_ms: int, for_s: float) -> Run:
    record = held.job.record if held.job else None
    name, queue = (record.name, record.queue) if record else ("", "")
    return Run(held.uid, name, queue, held.attempts + 1, now_ms - int(for_s * 1000))
