"""When a child has used up enough to be replaced by a fresh one: pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Self

import attrs

from trioq.core.config import ServeConfig
from trioq.core.config.numbers import Growth


@attrs.frozen
class Usage:
    """What a child has used up."""

    jobs: int
    """How many it has run."""
    rss: int
    """Bytes of memory."""
    rss_at_start: int
    """Bytes when it was ready."""


@attrs.frozen
class Limits:
    """When a child is replaced by a fresh one; None: never for this."""

    max_jobs: int | None = None
    max_age_s: float | None = None
    max_rss: int | None = None
    """Bytes."""
    max_growth: int | None = None
    """Bytes above what it had when it was ready."""

    @classmethod
    def of(cls, config: ServeConfig) -> Self:
        """As configured."""
        rss = config.max_rss
        return cls(
            max_jobs=config.max_jobs,
            max_age_s=config.max_age_s,
            max_rss=rss if isinstance(rss, int) else None,
            max_growth=rss.bytes if isinstance(rss, Growth) else None,
        )

    def jittered(self, draw: Callable[[float, float], float] = random.uniform) -> Limits:
        """Those of one child: a fifth more or less, so that children started together aren't
        replaced together."""

        def whole(limit: int | None) -> int | None:
            return None if limit is None else max(1, round(limit * draw(0.8, 1.2)))

        return Limits(
            max_jobs=whole(self.max_jobs),
            max_age_s=None if self.max_age_s is None else self.max_age_s * draw(0.8, 1.2),
            max_rss=whole(self.max_rss),
            max_growth=whole(self.max_growth),
        )

    def passed(self, usage: Usage, age_s: float) -> str:
        """Which one a child has passed, in words; empty: none."""
        if self.max_jobs is not None and usage.jobs >= self.max_jobs:
            return f"it has run {usage.jobs} jobs"
        if self.max_age_s is not None and age_s >= self.max_age_s:
            return f"it is {age_s:.0f} s old"
        if self.max_rss is not None and usage.rss >= self.max_rss and not self.is_futile(usage):
            return f"it has {usage.rss >> 20} MiB of memory"
        grown = usage.rss - usage.rss_at_start
        if self.max_growth is not None and grown >= self.max_growth:
            return f"it has {grown >> 20} MiB of memory more than at its start"
        return ""

    def is_futile(self, usage: Usage) -> bool:
        """Whether a fresh child has as much memory as it may ever have: another wouldn't have
        less, and one would follow the other for ever."""
        return self.max_rss is not None and usage.rss_at_start >= self.max_rss
