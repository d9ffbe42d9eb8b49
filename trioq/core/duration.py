"""How long something takes, as people say it."""

from __future__ import annotations


def exactly(ms: int) -> str:
    """A time that somebody has set: ``1 s``, ``1.5 s``, ``90 min``, ``2 h``, ``7 d``."""
    for unit_ms, name in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms and ms % unit_ms == 0:
            return f"{ms // unit_ms:,} {name}"
    return f"{ms / 1000:,.3f}".rstrip("0").rstrip(".") + " s"


def roughly(seconds: float) -> str:
    """A time to wait, to about a hundredth: ``0.4 s``, ``59 min``, ``2 h``, ``2.5 h``."""
    if seconds < 100:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 100 * 3600:
        return f"{seconds / 3600:.2g} h"
    return f"{seconds / 86400:,.0f} d"
