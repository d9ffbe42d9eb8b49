"""Keeps jobs of paused names from the workers: they wait behind their doors instead."""

from __future__ import annotations

from collections.abc import Container

from trioq.core.events import JobParked
from trioq.core.formats.record import decode
from trioq.core.settlements import Park
from trioq.engine.claim import Held
from trioq.errors import RecordUnreadable

Parked = tuple[Park, JobParked]


def parked(held: Held, paused: Container[str], queues: Container[str]) -> Parked | None:
    """How a claim of a paused name ends, and what is told of it; None: it may run.

    So may what can't be read, or says that it is of another queue: who would run it tells of that.
    """
    try:
        record = decode(held.uid, held.stored).record
    except RecordUnreadable:
        return None
    if record.name not in paused or record.queue not in queues:
        return None
    told = JobParked(held.uid, record.name, record.queue, "paused")
    return Park(held.uid, held.step, record.queue, record.name), told
