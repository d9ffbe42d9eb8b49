"""When a schedule fires: each tick follows from the one before it, without a clock.

Times are epoch milliseconds. Cron expressions are read as Debian's cron reads them, by cronsim:
where a zone's clock leaps, a job at a fixed hour runs once all the same, and one that runs each
hour runs each hour that there is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import attrs
from cronsim import CronSim, CronSimError

from trioq.core.valid import LATEST_MS, shown

#: Nobody writes a longer expression by hand; each list in one costs time to expand.
LONGEST = 256

#: More take the loop of an engine too long.
COUNTED_MAX = 1000

_UTC = ZoneInfo("UTC")

_FIELDS = "minute hour day-of-month month day-of-week, or second first"


class When(Protocol):
    """The ticks of a schedule."""

    def after(self, ms: int) -> int | None:
        """The first tick later than this; None: there is none."""

    def until(self, ms: int) -> int | None:
        """The last tick that isn't later than this; None: there is none."""

    def count(self, after_ms: int, before_ms: int) -> int:
        """How many ticks are later than the one and earlier than the other; of those that have to
        be counted one by one, COUNTED_MAX at most."""


@attrs.frozen
class Cron:
    """As a cron expression says, by the clocks of a zone.

    Raises:
      ValueError: It isn't an expression, or never fires.
    """

    expression: str
    zone: ZoneInfo = _UTC

    def __attrs_post_init__(self) -> None:
        if len(self.expression) > LONGEST:
            raise ValueError(f"cron is longer than {LONGEST} characters")
        try:
            next(CronSim(self.expression, datetime(2024, 1, 1, tzinfo=self.zone)))
        except CronSimError as error:
            raise ValueError(f"cron is {shown(self.expression)}: {self._told(error)}") from None
        except StopIteration:
            raise ValueError(f"cron is {shown(self.expression)}: it never fires") from None

    def _told(self, error: CronSimError) -> str:
        said = str(error)
        if said == "Wrong number of fields":
            return f"expected five or six fields ({_FIELDS})"
        if said == "Bad day-of-month" and self._fits_another_month():
            return "it never fires, as none of its months has such a day"
        return said[:1].lower() + said[1:]

    def _fits_another_month(self) -> bool:
        *others, _, weekday = self.expression.split()
        try:
            CronSim(" ".join((*others, "*", weekday)), datetime(2024, 1, 1, tzinfo=self.zone))
        except CronSimError:
            return False
        return True

    def after(self, ms: int) -> int | None:
        return self._first(CronSim(self.expression, self._local(ms)), lambda tick: tick > ms)

    def until(self, ms: int) -> int | None:
        # It looks for what is earlier, and only at whole seconds.
        ticks = CronSim(self.expression, self._local(ms + 1000), reverse=True)
        return self._first(ticks, lambda tick: tick <= ms)

    def count(self, after_ms: int, before_ms: int) -> int:
        found = 0
        for tick in itertools.islice(CronSim(self.expression, self._local(after_ms)), COUNTED_MAX):
            if tick.timestamp() * 1000 >= before_ms:
                break
            found += tick.timestamp() * 1000 > after_ms
        return found

    def _first(self, ticks: Iterator[datetime], fits: Callable[[int], bool]) -> int | None:
        found = (round(tick.timestamp()) * 1000 for tick in ticks)
        return next((tick for tick in found if fits(tick)), None)

    def _local(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms // 1000, UTC).astimezone(self.zone)


@attrs.frozen
class Every:
    """At the anchor, and a whole number of intervals before and after it.

    Raises:
      ValueError: The interval is no time.
    """

    interval_ms: int
    anchor_ms: int = 0

    def __attrs_post_init__(self) -> None:
        if self.interval_ms <= 0:
            raise ValueError(f"every is {self.interval_ms} ms: expected more than 0")

    def after(self, ms: int) -> int:
        return self.until(ms) + self.interval_ms

    def until(self, ms: int) -> int:
        return ms - (ms - self.anchor_ms) % self.interval_ms

    def count(self, after_ms: int, before_ms: int) -> int:
        return max(0, (self.until(before_ms - 1) - self.until(after_ms)) // self.interval_ms)


@attrs.frozen
class Once:
    """At one time only."""

    at_ms: int

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.at_ms <= LATEST_MS:
            raise ValueError(f"at is {self.at_ms} ms: expected a time between 1970 and 5138")

    def after(self, ms: int) -> int | None:
        return self.at_ms if self.at_ms > ms else None

    def until(self, ms: int) -> int | None:
        return self.at_ms if self.at_ms <= ms else None

    def count(self, after_ms: int, before_ms: int) -> int:
        return int(after_ms < self.at_ms < before_ms)
