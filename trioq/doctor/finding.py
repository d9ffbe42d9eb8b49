"""What was found, in one line."""

from __future__ import annotations

from typing import Literal

import attrs

Verdict = Literal["ok", "warning", "fault"]
"""``fault``: it doesn't work, or jobs are in danger. ``warning``: somebody should look."""


@attrs.frozen
class Finding:
    """One thing that was looked at."""

    check: str
    """``server``, ``queues`` …: several findings can be of one check."""
    verdict: Verdict
    said: str
    """What is so, and what to do where it should be otherwise."""


def ok(check: str, said: str) -> Finding:
    return Finding(check, "ok", said)


def warning(check: str, said: str) -> Finding:
    return Finding(check, "warning", said)


def fault(check: str, said: str) -> Finding:
    return Finding(check, "fault", said)


def some(names: object, count: int = 5) -> str:
    """The first few of many."""
    listed = sorted(map(str, names))  # type: ignore[call-overload]
    more = len(listed) - count
    return ", ".join(listed[:count]) + (f" and {more} more" if more > 0 else "")
