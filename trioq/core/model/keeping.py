"""For how long a caller's id is remembered."""

from __future__ import annotations

from trioq.core.calls import IdKeep
from trioq.core.formats.ids import Kept


def begun(keep: IdKeep | None, now_ms: int) -> Kept:
    """As the job says with which the id begins."""
    return renewed(Kept(), keep, now_ms)


def renewed(kept: Kept, keep: IdKeep | None, now_ms: int) -> Kept:
    """As the last one says; but what the first has said of its latest time stays."""
    keep = keep or IdKeep()
    latest_ms = kept.latest_ms
    if latest_ms is None and keep.max_wait_ms:
        latest_ms = now_ms + keep.max_wait_ms
    until_ms = now_ms + keep.cooldown_ms if keep.cooldown_ms else kept.until_ms
    return Kept(keep.after_end_ms, until_ms, latest_ms)


def forgotten_at(kept: Kept, now_ms: int, retention_ms: int) -> int:
    """When the id of a job that ends now is free again, epoch ms."""
    after_end_ms = retention_ms if kept.after_end_ms is None else kept.after_end_ms
    return max(now_ms + after_end_ms, kept.until_ms or 0)
