"""What an engine tells those who watch it, and what it keeps for that.

Told while somebody watches, every few seconds; kept always, at the price of a counter for
each job.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import attrs

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
    failures: deque[dict[str, Any]] = attrs.field(factory=lambda: deque(maxlen=FAILURES))

    def failed(
        self, uid: Uid, name: str, queue: str, *, attempt: int, error: Error, then: str
    ) -> None:
        """An attempt failed; ``then`` says what becomes of the job."""
        self.failures.append(
            {
                "at_ms": time.time_ns() // 1_000_000,
                "uid": uid,
                "name": name,
                "queue": queue,
                "attempt": attempt,
                "error": f"{error.type}: {error.message}"[:CHARACTERS],
                "then": then,
            }
        )


def told(status: Status, held: Iterable[Held], recent: Recent) -> bytes:
    """All of it, as JSON of a few kilobytes."""
    now, now_ms = time.perf_counter(), time.time_ns() // 1_000_000
    running = sorted((h.began, i, h) for i, h in enumerate(held) if h.began is not None)
    return json.dumps(
        {
            "at_ms": now_ms,
            "busy": status.running,
            "waiting": status.waiting,
            "draining": status.draining,
            "lag_s": round(status.lag_s, 3),
            "running": [_run(h, now_ms, now - began) for began, _, h in running[:RUNS]],
            "breakers": {
                name: state for name, state in status.breakers.items() if state != "closed"
            },
            "done": recent.done,
            "failures": list(recent.failures),
        },
        separators=(",", ":"),
    ).encode()


def _run(held: Held, now_ms: int, for_s: float) -> dict[str, Any]:
    record = held.job.record if held.job else None
    return {
        "uid": held.uid,
        "name": record.name if record else "",
        "queue": record.queue if record else "",
        "attempt": held.attempts + 1,
        "since_ms": now_ms - int(for_s * 1000),
    }
