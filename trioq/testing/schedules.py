"""When the schedules of a configuration and an app come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs

from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Cron

#: Who asks for more ticks has asked for too long a time.
MOST = 100_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class Schedules:
    """Those that the configuration and the app have."""

    _all: Sequence[Schedule]

    def between(
        self, first: datetime | str, last: datetime | str, name: str | None = None
    ) -> list[tuple[datetime, str]]:
        """All ticks from the one time to the other, both included, with their schedules' names, in
        order. A time is told by the clocks that its schedule goes by.

        Args:
          first, last: Times with a zone, or such as ISO 8601 writes them.
          name: Of this schedule alone.

        Raises:
          ValueError: A time has no zone, there is no schedule of this name, or there are more ticks
            than can be told.
        """
        begin, end = _ms(first), _ms(last)
        wanted = [each for each in self._all if name in (None, each.name)]
        if name is not None and not wanted:
            there = ", ".join(repr(each.name) for each in self._all) or "none"
            raise ValueError(f"there is no schedule {name!r}; there are: {there}")
        found: list[tuple[datetime, str]] = []
        for each in wanted:
            for tick in _ticks(each, begin, end):
                found.append((tick, each.name))
                if len(found) > MOST:
                    raise ValueError(f"more than {MOST} ticks: ask for less time")
        return sorted(found)


def _ticks(schedule: Schedule, begin: int, end: int) -> Iterator[datetime]:
    zone = schedule.when.zone if isinstance(schedule.when, Cron) else ZoneInfo("UTC")
    at = begin - 1
    while (tick := schedule.when.after(at)) is not None and tick <= end:
        yield (_EPOCH + timedelta(milliseconds=tick)).astimezone(zone)
        at = tick


def _ms(given: datetime | str) -> int:
    when = datetime.fromisoformat(given) if isinstance(given, str) else given
    if when.tzinfo is None:
        raise ValueError(f"{given} has no zone: datetime(…, tzinfo=…), or a text with its offset")
    return (when - _EPOCH) // timedelta(milliseconds=1)
