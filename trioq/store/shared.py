"""What is said of breakers that all engines share, as the script takes and gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from trioq.core.calls import BreakerNews, BreakerSeen
from trioq.store import kept


def encode(boot: str, now: int | str, news: Sequence[BreakerNews]) -> list[Any]:
    """The script's ARGV."""
    args: list[Any] = [boot, now]
    for each in news:
        # As Python writes it, Lua reads the same number.
        args += (each.name, repr(float(each.failure_threshold)), each.window_ms, each.cooldown_ms)
        args += (each.min_samples, each.turn, each.good, each.bad, each.ignored, each.want)
    return args


def decode(reply: list[Any]) -> list[BreakerSeen]:
    """Its answer."""
    return [
        BreakerSeen(cast(Any, kept.text(state)), *map(int, numbers)) for state, *numbers in reply[1]
    ]
