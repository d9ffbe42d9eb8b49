"""Breakers that all engines of a namespace share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import attrs

from trioq.core.calls import BootId, BreakerNews, BreakerSeen
from trioq.core.model.state import Namespace, Share, SharedBreaker

#: The window slides in steps of this part of it.
SLOTS = 12


def breakers(
    space: Namespace, boot: BootId, news: Sequence[BreakerNews], *, now_ms: int
) -> list[BreakerSeen]:
    """An engine says what its runs have found, and asks for probes; how each breaker is then."""
    return [_told(space, boot, each, now_ms) for each in news]


def reset(space: Namespace, name: str, now_ms: int) -> bool:
    """Close a breaker in all engines. True: it is one that they share, and wasn't closed."""
    breaker = space.breakers.setdefault(name, SharedBreaker())
    was_shut = breaker.state != "closed"
    breaker.resets += 1
    _turn(breaker, "closed", now_ms)
    return was_shut


def _told(space: Namespace, boot: BootId, news: BreakerNews, now_ms: int) -> BreakerSeen:
    breaker = space.breakers.get(news.name) or SharedBreaker()
    before = attrs.evolve(breaker, shares=dict(breaker.shares), window=dict(breaker.window))
    # Where the clock was put back it heals.
    breaker.until_ms = min(breaker.until_ms, now_ms + news.cooldown_ms)
    if breaker.state == "open" and now_ms >= breaker.until_ms:
        _turn(breaker, "half_open", now_ms)
    # What was found before it changed says nothing of now.
    elif news.turn == breaker.turn and boot in space.boots:
        # A probe is its boot's as a claim is: whoever is gone has none.
        breaker.shares = {b: share for b, share in breaker.shares.items() if b in space.boots}
        _count(breaker, boot, news, now_ms)
        if breaker.state == "half_open" and news.turn == breaker.turn:
            _grant(breaker, boot, news)
    if breaker != before:
        space.breakers[news.name] = breaker
    return BreakerSeen(
        breaker.state,
        breaker.turn,
        max(0, now_ms - breaker.since_ms) if breaker.turn else 0,
        max(0, breaker.until_ms - now_ms) if breaker.state == "open" else 0,
        breaker.shares.get(boot, Share()).granted,
        breaker.resets,
    )


def _count(breaker: SharedBreaker, boot: BootId, news: BreakerNews, now_ms: int) -> None:
    """What is new of what this boot has found."""
    had = breaker.shares.get(boot, Share())
    good, bad = max(0, news.good - had.good), max(0, news.bad - had.bad)
    ignored = max(0, news.ignored - had.ignored)
    if not good + bad + ignored:
        return
    breaker.shares[boot] = Share(had.granted, had.good + good, had.bad + bad, had.ignored + ignored)
    if not good + bad:
        return
    if breaker.state == "closed":
        slot = max([math.floor(now_ms * SLOTS / news.window_ms), *breaker.window])
        breaker.window = {s: counted for s, counted in breaker.window.items() if s > slot - SLOTS}
        runs, failures = breaker.window.get(slot, (0, 0))
        breaker.window[slot] = runs + good + bad, failures + bad
        runs = sum(runs for runs, _ in breaker.window.values())
        failures = sum(failed for _, failed in breaker.window.values())
        if _is_too_bad(failures, runs, news):
            _open(breaker, runs - failures, failures, news, now_ms)
    elif breaker.state == "half_open":
        breaker.good, breaker.bad = breaker.good + good, breaker.bad + bad
        found = breaker.good + breaker.bad
        if not breaker.good or _is_too_bad(breaker.bad, found, news):
            _open(breaker, breaker.good, breaker.bad, news, now_ms)
        elif found >= news.min_samples:
            _turn(breaker, "closed", now_ms)


def _grant(breaker: SharedBreaker, boot: BootId, news: BreakerNews) -> None:
    """One probe, and one more for each good one: in all engines together."""
    had = breaker.shares.get(boot, Share())
    room = 1 + breaker.good - sum(share.out for share in breaker.shares.values())
    more = min(room, news.want - had.granted)
    if more > 0:
        breaker.shares[boot] = attrs.evolve(had, granted=had.granted + more)


def _is_too_bad(failed: int, found: int, news: BreakerNews) -> bool:
    return found >= news.min_samples and failed / found >= news.failure_threshold


def _open(breaker: SharedBreaker, good: int, bad: int, news: BreakerNews, now_ms: int) -> None:
    _turn(breaker, "open", now_ms)
    breaker.good, breaker.bad = good, bad
    breaker.until_ms = now_ms + news.cooldown_ms


def _turn(
    breaker: SharedBreaker, state: Literal["closed", "open", "half_open"], now_ms: int
) -> None:
    breaker.state, breaker.since_ms, breaker.until_ms = state, now_ms, 0
    breaker.turn += 1
    breaker.good = breaker.bad = 0
    breaker.shares, breaker.window = {}, {}
