"""What becomes of a claim, and what is told of it.

The decision is a value, made from a run or from what kept one from beginning; telling it
comes after, so that nothing that is raised there can change it.
"""

from __future__ import annotations

from typing import Any, Literal, assert_never

import attrs

from trioq.core import retry
from trioq.core.deadline import unless_late
from trioq.core.events import (
    Event,
    How,
    JobCancelled,
    JobDied,
    JobFailed,
    JobIgnoredCancel,
    JobParked,
    JobReleased,
    JobSnoozed,
    JobSucceeded,
    LimitRests,
    Report,
    ResultNotKept,
    RunStarved,
)
from trioq.core.formats import history, summary
from trioq.core.formats.record import Stored
from trioq.core.keep import Keep, Kept
from trioq.core.limits import limit_of
from trioq.core.outcome import (
    DeadReason,
    Error,
    Failed,
    LateReason,
    Snoozed,
    Starved,
    Succeeded,
    TooLate,
)
from trioq.core.retry import Retry
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
from trioq.core.values import value
from trioq.engine.claim import Held
from trioq.engine.handlers import Command
from trioq.engine.runs.drops import Drops
from trioq.engine.runs.run import Run
from trioq.engine.snapshot import Recent


@value
class End:
    """The end of a claim."""

    settlement: Settlement
    events: tuple[Event, ...]
    """What is told of it, in this order; nothing where nobody knows what job it was."""


def end_of(run: Run, again: Retry, keep: Keep | None, *, now_ms: int, random: float) -> End:
    """What becomes of a job that was run.

    Args:
      again: How often it may be tried, and when.
      keep: That what it returned is kept; None: it isn't.
      now_ms: Epoch, for people to read.
      random: In [0, 1); for the jitter of a backoff.
    """
    claim, record = run.claim, run.stored.record
    attempt = claim.attempt
    verdict = retry.decide(run.outcome, attempt=attempt, retry=again, random=random)
    if isinstance(verdict, retry.RetryIn) and (rests := _rests(run)):
        # A job that will be too late then goes back, too: the limit rests for the others.
        resting = LimitRests(record.name, record.queue, rests, verdict.delay_ms / 1000)
        back = Release(claim.uid, claim.step, rests, verdict.delay_ms)
        return End(back, (resting, *released(claim, run.stored).events))
    verdict = unless_late(verdict, record.options, now_ms)
    match verdict:
        case retry.Ack():
            done = JobSucceeded(
                claim.uid, record.name, record.queue, attempt, run.took_s, record.wanted_ms
            )
            told = summary.encode(
                record,
                attempt=attempt,
                took_s=run.took_s,
                at_ms=now_ms,
                engine=claim.by.boot,
                trace=_trace(run),
                board=run.board,
            )
            if keep is None or not isinstance(run.outcome, Succeeded):
                return End(Ack(claim.uid, claim.step, told), (done,))
            kept = keep.kept(run.outcome.result)
            settlement = Deliver(claim.uid, claim.step, keep.for_ms, kept.word, kept.value, told)
            return End(settlement, (done, *not_kept(claim, record.name, record.queue, kept)))
        case retry.Dead(reason, error):
            args = run.outcome.args if isinstance(run.outcome, Failed) else None
            return _dead(
                claim, run.stored, reason, error, now_ms,
                took_s=run.took_s, trace=_trace(run), args=args, log=_log(run),
            )  # fmt: skip
        case retry.RetryIn(delay_ms, Error() as error):
            line = _line(claim, error, now_ms, _trace(run), log=_log(run))
            failed = JobFailed(
                claim.uid, record.name, record.queue, attempt, run.took_s, error, delay_ms / 1000
            )
            return End(RetryAt(claim.uid, claim.step, delay_ms, attempt, line), (failed,))
        case retry.RetryIn(delay_ms):
            snoozed = JobSnoozed(claim.uid, record.name, record.queue, attempt, delay_ms / 1000)
            return End(RetryAt(claim.uid, claim.step, delay_ms, attempt - 1), (snoozed,))
        case retry.Release():
            end = released(claim, run.stored)
            if isinstance(run.outcome, Starved):
                starved = RunStarved(record.name, record.queue, run.outcome.want)
                return End(end.settlement, (starved, *end.events))
            return end
        case retry.Park(door):
            waits = JobParked(claim.uid, record.name, record.queue, "unfit payload")
            return End(Park(claim.uid, claim.step, record.queue, door), (waits,))
        case retry.Cancelled(reason):
            why = run.outcome.error if isinstance(run.outcome, Failed) else None
            never = isinstance(run.outcome, TooLate) and run.limit is None
            return called_off(
                claim, run.stored, reason, keep, now_ms=now_ms, error=why,
                how="waiting" if never else "stopped", took_s=0.0 if never else run.took_s,
            )  # fmt: skip
    assert_never(verdict)


def _rests(run: Run) -> str:
    """What rests after this run, of what its job took; empty: nothing, or the job took nothing of
    the limit that is named, and waits alone."""
    outcome = run.outcome
    if not isinstance(outcome, Snoozed) or not outcome.limit:
        return ""
    takes = [take for take in run.claim.takes if limit_of(take) == outcome.limit]
    named = outcome.limit if outcome.key is None else f"{outcome.limit}:{outcome.key}"
    return next((take for take in takes if take == named or outcome.key is None), "")


def not_kept(
    claim: Held, name: str, queue: str, kept: Kept, worker: int | None = None
) -> tuple[ResultNotKept, ...]:
    """What is told of a result that was to be kept: nothing, if it is."""
    if kept.word == "done":
        return ()
    return (ResultNotKept(claim.uid, name, queue, claim.attempt, kept.word, kept.why_not, worker),)


def released(claim: Held, stored: Stored | None) -> End:
    """It goes back, and this was no attempt."""
    settlement = Release(claim.uid, claim.step)
    if stored is None:
        return End(settlement, ())
    record = stored.record
    return End(settlement, (JobReleased(claim.uid, record.name, record.queue, claim.attempt),))


def called_off(
    claim: Held,
    stored: Stored,
    reason: LateReason,
    keep: Keep | None,
    *,
    now_ms: int,
    error: Error | None = None,
    how: How = "waiting",
    took_s: float = 0.0,
) -> End:
    """It is cancelled, as it was to be if it wasn't done in time.

    Args:
      keep: That how it ended is kept for as long as its result was to be.
      error: Of the attempt that isn't followed by another.
    """
    record = stored.record
    kept = summary.encode_cancelled(
        uid=claim.uid, name=record.name, queue=record.queue, id=record.id,
        reason=reason, by=claim.by.boot, at_ms=now_ms,
    )  # fmt: skip
    keep_ms = 0 if keep is None else keep.for_ms
    told = JobCancelled(
        claim.uid, record.name, record.queue, claim.attempt,
        reason, claim.by.boot, how, took_s, error,
    )  # fmt: skip
    return End(Cancel(claim.uid, claim.step, kept, keep_ms), (told,))


def cancelled(run: Run, how: How, keep: Keep | None, *, now_ms: int) -> End:
    """Somebody wanted it to end, and it came to no result.

    Args:
      keep: That how it ended is kept for as long as its result was to be.
    """
    claim, record, ask = run.claim, run.stored.record, run.asked
    assert ask is not None
    kept = summary.encode_stopped(
        record,
        ask.summary,
        how=how,
        attempt=claim.attempt,
        took_s=run.took_s,
        at_ms=now_ms,
        engine=claim.by.boot,
        trace=_trace(run),
        board=run.board,
    )
    told = summary.decode(ask.summary)
    reason, by = ("", "") if told is None else (told.reason, told.by)
    ended = JobCancelled(
        claim.uid, record.name, record.queue, claim.attempt, reason, by, how, run.took_s
    )
    events: tuple[Event, ...] = (ended,)
    if how == "ignored":
        events += (
            JobIgnoredCancel(claim.uid, record.name, record.queue, claim.attempt, run.grace_s),
        )
    return End(Cancel(claim.uid, claim.step, kept, 0 if keep is None else keep.for_ms), events)


def parked(claim: Held, stored: Stored, why: Literal["breaker open", "unknown name"]) -> End:
    """It waits behind its door."""
    record = stored.record
    told = JobParked(claim.uid, record.name, record.queue, why)
    return End(Park(claim.uid, claim.step, record.queue, record.name), (told,))


def unreadable(claim: Held, stored: Stored | None, error: Error, *, now_ms: int) -> End:
    """It is dead: this version can't read it, and nobody can tell what it was to be.

    Args:
      stored: What could be read.
    """
    return _dead(claim, stored, "undecodable", error, now_ms)


def _dead(
    claim: Held,
    stored: Stored | None,
    reason: DeadReason,
    error: Error,
    now_ms: int,
    *,
    took_s: float = 0.0,
    trace: str | None = None,
    args: tuple[Any, ...] | None = None,
    log: tuple[str, ...] = (),
) -> End:
    name, queue, wanted_ms = "", "", 0
    if stored is not None:
        name, queue, wanted_ms = stored.record.name, stored.record.queue, stored.record.wanted_ms
    line = _line(claim, error, now_ms, trace, dead=reason, args=args, log=log)
    died = JobDied(claim.uid, name, queue, claim.attempt, took_s, wanted_ms, reason, error)
    return End(DeadLetter(claim.uid, claim.step, claim.attempt, reason, line), (died,))


def _line(
    claim: Held,
    error: Error,
    now_ms: int,
    trace: str | None,
    *,
    dead: DeadReason | None = None,
    args: tuple[Any, ...] | None = None,
    log: tuple[str, ...] = (),
) -> bytes:
    """One line of the job's history."""
    told = history.Attempt(claim.attempt, error, claim.by.boot, now_ms, dead, trace, args, log)
    return history.encode(told)


def _trace(run: Run) -> str | None:
    """Names the span of the run, if that is traced."""
    return None if run.span is None else run.span.headers.get("traceparent")


def _returned(run: Run) -> bool:
    """Whether its handler has returned something. A program always does: how it ended."""
    outcome = run.outcome
    is_something = isinstance(outcome, Succeeded) and outcome.result is not None
    return is_something and not isinstance(run.handler, Command)


def _log(run: Run) -> tuple[str, ...]:
    """What its handler has logged."""
    return () if run.board is None else run.board.lines


@attrs.frozen
class Teller:
    """Tells the claimer of a job's end first, and then everybody else."""

    report: Report
    recent: Recent
    drops: Drops

    def tell(self, claim: Held, run: Run | None, end: End) -> None:
        """Settle the claim.

        Args:
          run: None: its handler wasn't called.
        """
        claim.by.settle(end.settlement, took_s=None if run is None else run.took_s)
        for event in end.events:
            self.recent.saw(event)
            self.report(event)
        if run is not None and isinstance(end.settlement, Ack) and _returned(run):
            self.drops.tell(run.stored.record.name, run.stored.record.queue)
        if run is not None and run.span is not None:
            run.span.end(end.settlement, run.outcome, is_abandoned=run.is_abandoned)
