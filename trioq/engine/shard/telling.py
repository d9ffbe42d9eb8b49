"""What an answered step tells whoever listens: events, and its span."""

from __future__ import annotations

from trioq.core.calls import Ask, Step
from trioq.core.events import Claimed, How, JobCancelled, Report, SettlementRefused
from trioq.core.formats import summary
from trioq.core.formats.record import decode
from trioq.core.job import Record
from trioq.engine.claim import Held
from trioq.engine.shard.boot import Absorbed
from trioq.engine.tracer import Tracer
from trioq.errors import RecordUnreadable


def tell(
    absorbed: Absorbed, step: Step, took_s: float, *, report: Report, tracer: Tracer | None
) -> None:
    """Tell of a step that was answered just now."""
    claimed, settled = len(absorbed.claims), len(step.settlements)
    if tracer is not None and claimed:
        tracer.claimed(step.number, claimed, settled, took_s)
    if claimed or settled:
        report(Claimed(claimed, settled, took_s))
    for held in absorbed.refused:
        name, queue = _called(held)
        report(SettlementRefused(held.uid, name, queue, held.attempt))
    for held, ask in absorbed.cancelled:
        tell_cancelled(held, ask, "stopped", report=report)


def tell_cancelled(held: Held, ask: Ask | None, how: How, *, report: Report) -> None:
    """Tell of a job that ended because somebody had asked; None: we don't know who."""
    name, queue = _called(held)
    told = None if ask is None else summary.decode(ask.summary)
    reason, by = ("", "") if told is None else (told.reason, told.by)
    report(JobCancelled(held.uid, name, queue, held.attempt, reason, by, how))


def record_of(held: Held) -> Record | None:
    """The record of what is claimed; None: it can't be read."""
    try:
        return decode(held.uid, held.stored).record
    except RecordUnreadable:
        return None


def _called(held: Held) -> tuple[str, str]:
    """A job's name and queue, as far as they can be read."""
    record = record_of(held)
    return ("", "") if record is None else (record.name, record.queue)
