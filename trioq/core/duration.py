"""How long something takes, as people say it."""

from __future__ import annotations


def roughly(seconds: float) -> str:
    """A time to wait, to about a hundredth: ``0.4 s``, ``59 min``, ``2 h``, ``2.5 h``."""
    if seconds < 100:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 100 * 3600:
        return f"{seconds / 3600:.2g} h"
    return f"{seconds / 86400:,.0f} d"
