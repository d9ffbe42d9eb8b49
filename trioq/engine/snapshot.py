"""What an engine tells those who watch it, and what it keeps for that.

Told while somebody watches, every few seconds; kept always, at the price of a counter for
each job.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs
import trio

from trioq.core.board import Board
from trioq.core.breaker import Permit
from trioq.core.duration import roughly
from trioq.core.events import Event, JobDied, JobFailed, JobSucceeded
from trioq.core.formats.record import Stored
from trioq.core.formats.snapshot import Failure, Run, Shut, Snapshot
from trioq.core.waiting import of_engine
from trioq.core.wall import wall_ms
from trioq.engine.claim import Held
from trioq.engine.status import ShutBreaker, Status

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
    failed: int = 0
    """All that failed, also those that are forgotten."""

    @property
    def ended(self) -> int:
        """Runs that succeeded or failed, since the engine started."""
        return self.done.total() + self.failed

    def saw(self, event: Event) -> None:
        """A job has come to its end, or an attempt of it has."""
        match event:
            case JobSucceeded():
                self.done[event.queue] += 1
            case JobDied():
                self._failed(event, f"dead: {event.reason}")
            case JobFailed():
                self._failed(event, f"again in {_soon(event.again_in_s)}")

    def _failed(self, event: JobDied | JobFailed, then: str) -> None:
        self.failed += 1
        at_ms, said = wall_ms(), f"{event.error.type}: {event.error.message}"
        self.failures.append(
            Failure(
                at_ms, event.uid, event.name, event.queue, event.attempt, said[:CHARACTERS], then
            )
        )


class Shown(Protocol):
    """A run, as far as it is told."""

    @property
    def claim(self) -> Held: ...
    @property
    def stored(self) -> Stored: ...
    @property
    def began(self) -> float: ...
    @property
    def board(self) -> Board | None: ...
    @property
    def permit(self) -> Permit: ...


def told(
    status: Status,
    runs: Iterable[Shown],
    recent: Recent,
    abandoned: Mapping[str, int],
    since: float | None,
) -> Snapshot:
    """All of it. Called in the loop.

    Args:
      abandoned: Handlers that go on though their jobs are settled, threads too.
      since: When the first of those that keep workers was abandoned.
    """
    now, now_ms = trio.current_time(), wall_ms()
    runs = tuple(runs)
    shut = tuple(_shut(each, runs, now, now_ms) for each in status.shut)
    runs = sorted(runs, key=lambda run: run.began)
    boards = (run.board for run in runs)
    waits = (None if board is None else board.waiting for board in boards)
    waiting = of_engine(waits, status.workers)
    return Snapshot(
        at_ms=now_ms,
        busy=status.running,
        waiting=status.waiting,
        draining=status.draining,
        lag_s=round(status.lag_s, 3),
        running=tuple(_run(run, now_ms, now - run.began) for run in runs[:RUNS]),
        breakers={n: state for n, state in status.breakers.items() if state != "closed"},
        reopens_ms={
            job: breaker.until_ms
            for breaker in shut
            if breaker.until_ms is not None
            for job in breaker.jobs
        },
        shut=shut,
        done=dict(recent.done),
        failures=tuple(recent.failures),
        abandoned=abandoned,
        away=sum(status.abandoned.values()),
        away_s=0.0 if since is None else now - since,
        waits_for=() if waiting is None else tuple(sorted(waiting.queues)),
        waits_s=0.0 if waiting is None else time.monotonic() - waiting.since,
    )


def _shut(breaker: ShutBreaker, runs: Iterable[Shown], now: float, now_ms: int) -> Shut:
    until = breaker.reopens_at
    probes = (
        run.claim.uid
        for run in runs
        if run.permit.is_probe and run.stored.record.name in breaker.jobs
    )
    return Shut(
        breaker.name,
        breaker.jobs,
        breaker.state,
        now_ms - int(1000 * (now - breaker.since)),
        None if until is None else now_ms + int(1000 * (until - now)),
        breaker.failures,
        breaker.runs,
        breaker.shared,
        tuple(itertools.islice(probes, RUNS)),
        breaker.on,
    )


def _run(run: Shown, now_ms: int, for_s: float) -> Run:
    claim, record = run.claim, run.stored.record
    since_ms = now_ms - int(for_s * 1000)
    said = None if run.board is None else run.board.said
    progress, text = (None, "") if said is None else (said.fraction, said.text[:CHARACTERS])
    return Run(claim.uid, record.name, record.queue, claim.attempt, since_ms, progress, text)


def _soon(seconds: float) -> str:
    """Milliseconds matter where they are all."""
    return f"{seconds:.2g} s" if seconds < 100 else roughly(seconds)
