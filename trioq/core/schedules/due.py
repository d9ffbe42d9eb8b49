"""What becomes of the ticks of a schedule that have come: pure, from what was seen and when."""

from __future__ import annotations

import hashlib
from typing import Literal

import attrs

from trioq.core.schedules.when import When

Misfire = Literal["skip", "last", "all"]
"""What becomes of ticks that nobody was there for: none of them runs; one run stands for all of
them; each runs."""

#: Of more ticks that were missed, only the newest are looked at.
MISSED_MAX = 100


@attrs.frozen
class Due:
    """Ticks that have come, the earliest first, and the first that hasn't."""

    fires: tuple[int, ...]
    misfired: tuple[int, ...]
    """Passed over, because nobody was there for them in time."""
    more: int
    """So many still earlier ones were passed over, that nobody has looked at; see
    :meth:`trioq.core.schedules.when.When.count`."""
    next: int | None
    """None: there won't be another."""


def due(when: When, seen: int, now_ms: int, misfire: Misfire, grace_ms: int) -> Due | None:
    """Decide over the ticks from the one that was seen to be next up to now.

    A tick that is found within the grace fires. The others are missed: of these ``all`` fires
    each, the newest :data:`MISSED_MAX` at most; ``last`` the newest, unless a later tick fires
    anyway; ``skip`` none.

    Returns:
      None: none has come.
    """
    if now_ms < seen:
        return None
    came: list[int] = []
    tick = when.until(now_ms)
    while tick is not None and tick > seen and len(came) < MISSED_MAX:
        came.append(tick)
        tick = when.until(tick - 1)
    if tick is not None and tick > seen:
        more = 1 + when.count(seen, came[-1])
    else:
        more = 0
        came.append(seen)  # also if it is none any more, by a new expression: it was promised
    came.reverse()
    in_time = [tick for tick in came if now_ms - tick <= grace_ms]
    missed = came[: len(came) - len(in_time)]
    if misfire == "all":
        fires = came
    elif misfire == "last" and not in_time:
        fires = missed[-1:]
    else:
        fires = in_time
    misfired = tuple(tick for tick in came if tick not in fires)
    return Due(tuple(fires), misfired, more, when.after(now_ms))


def jitter_of(name: str, tick: int, most_ms: int) -> int:
    """How much later than its tick a job is due, in ms: the same on each engine."""
    if most_ms <= 0:
        return 0
    drawn = hashlib.sha256(f"{name}:{tick}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % (most_ms + 1)
