"""What boots say of a thing, and which of it holds while deployments come and go.

The newest holds: what no boot has said before. What is known and older doesn't come back by a boot
that is started with it, but once no boot that lives says the newer any more.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

#: What no boot that lives says any more holds for so long: an engine may be on its way back.
GRACE_MS = 60_000

#: An older declaration is known as such for so long after the last boot with it: engines of a
#: deployment that isn't complete are restarted.
KEPT_MS = 3_600_000

#: Declarations of one thing; of more, the oldest that nobody says any more are forgotten.
KEPT = 8


@attrs.frozen
class Declaration(Generic[T]):
    """One of those of a thing."""

    said: T
    since_ms: int
    """When it was first heard of."""
    gone_ms: int | None = None
    """Since when no boot that lives says it."""

    def is_over(self, after_ms: int, now_ms: int) -> bool:
        return self.gone_ms is not None and now_ms - self.gone_ms >= after_ms

    @property
    def times(self) -> str:
        """As they are kept behind it."""
        return f"{self.since_ms} {'-' if self.gone_ms is None else self.gone_ms}"


def after(
    before: Sequence[Declaration[T]],
    alive: Container[T],
    mine: T | None,
    is_new: bool,
    now_ms: int,
) -> tuple[Declaration[T], ...]:
    """What is known of a thing once a boot has said what it has of it.

    Args:
      before: In the order in which they began.
      alive: What boots that live say.
      mine: What this boot says; None: it has no such thing.
      is_new: It says so for the first time.

    Returns:
      In the order in which they began: the last holds. Nothing: the thing is over.
    """
    known = list(before)
    if mine is not None and mine not in [each.said for each in known]:
        known.append(Declaration(mine, now_ms))
    known = [_seen(each, each.said in alive, now_ms) for each in known]
    # Who is started with another one says more than who may come back.
    grace_ms = 0 if is_new and mine is not None else GRACE_MS
    if known[-1].is_over(grace_ms, now_ms):
        while known and known[-1].gone_ms is not None:
            known.pop()
    n_over = len(known) - KEPT
    return tuple(
        each
        for nth, each in enumerate(known)
        if each is known[-1]
        or each.gone_ms is None
        or (nth >= n_over and not each.is_over(KEPT_MS, now_ms))
    )


def _seen(each: Declaration[T], is_alive: bool, now_ms: int) -> Declaration[T]:
    if is_alive:
        return attrs.evolve(each, gone_ms=None)
    gone_ms = now_ms if each.gone_ms is None else min(each.gone_ms, now_ms)
    return attrs.evolve(each, gone_ms=gone_ms)
