"""What is out of the ordinary among schedules, whatever their number."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import attrs

from trioq.core.duration import roughly
from trioq.core.schedules.listed import RETIRED_AFTER_MS, Unlisted
from trioq.store.inspect.fields import scanned
from trioq.store.redis import RedisStore

#: Of so many ticks it is told that they are late, and of so many schedules that they end, or did.
SHOWN = 100

#: Retired ones that are named in a line.
NAMED = 5

#: A tick is late that came so long ago and hasn't been made; as the alert has it.
LATE_MS = 60_000


@attrs.frozen
class Standing:
    """Of all schedules of a namespace, at one moment."""

    count: int
    now_ms: int
    """By the server's clock; epoch, as all times here."""
    next: tuple[str, int] | None = None
    """The first that comes, and when; one that is late has come."""
    late: Sequence[tuple[str, int]] = ()
    """Those whose tick nobody makes, and when it came, the earliest first."""
    unlisted: Sequence[Unlisted] = ()
    """Those that no deployment lists any more, by name; those that aren't retired yet first."""

    @property
    def ending(self) -> list[Unlisted]:
        """Those that are retired in an hour at most."""
        return [each for each in self.unlisted if each.retired_ms is None]

    @property
    def retired(self) -> list[str]:
        """Those that make no ticks."""
        return [each.name for each in self.unlisted if each.retired_ms is not None]

    def faults_in_words(self) -> list[str]:
        """What somebody should look at, a sentence each."""
        told = [
            said for name, at_ms in self.late if (said := late_in_words(name, at_ms, self.now_ms))
        ]
        for each in self.ending:
            left_s = (each.since_ms + RETIRED_AFTER_MS - self.now_ms) / 1000
            told.append(
                f"{each.name}: the newest deployment doesn't list it; it is retired in"
                f" {roughly(left_s)}"
            )
        return told

    def in_words(self) -> str:
        """How many there are, and which comes next: ``2 schedules, nightly in 3 h``."""
        said = "1 schedule" if self.count == 1 else f"{self.count:,} schedules"
        if self.next is not None and not self.late:
            name, at_ms = self.next
            said += f", {name} in {roughly((at_ms - self.now_ms) / 1000)}"
        if retired := self.retired:
            more = len(retired) - NAMED
            said += f"; retired: {', '.join(retired[:NAMED])}"
            said += f" and {more:,} more" if more > 0 else ""
        return said

    def as_json(self) -> dict[str, Any]:
        """The shape of ``schedules`` in ``trioq stats --json``."""
        return {
            "count": self.count,
            "next_ms": self.next and self.next[1],
            "late": len(self.late),
            "unlisted": len(self.ending),
            "retired": len(self.retired),
        }


def late_in_words(name: str, next_ms: int, now_ms: int) -> str:
    """That a tick came long ago, and is still to be made; empty: it didn't."""
    if now_ms - next_ms <= LATE_MS:
        return ""
    ago = roughly((now_ms - next_ms) / 1000)
    return f"{name} is late: its tick came {ago} ago, and no engine has made it"


def standing(store: RedisStore) -> Standing:
    """How schedules stand now."""
    count = store.lane.call("HLEN", store.keys.fixed("schedules"))
    if not count:
        return Standing(0, 0)
    clock = store.next_ticks(SHOWN)
    late = [each for each in clock.ticks if clock.now_ms - each[1] > LATE_MS]
    unlisted = list[Unlisted]()
    for name, stored in scanned(store, "unlisted"):
        with contextlib.suppress(ValueError):  # what somebody else wrote
            unlisted.append(Unlisted.read(name, stored))
    unlisted.sort(key=lambda each: (each.retired_ms is not None, each.name))
    return Standing(
        count,
        clock.now_ms,
        clock.ticks[0] if clock.ticks else None,
        late,
        unlisted[:SHOWN],
    )
