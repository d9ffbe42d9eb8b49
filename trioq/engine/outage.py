"""What the engine does while Redis doesn't answer: wait, and say so once.

Shared by all tasks. One failed call that the next try mends isn't worth a line; a
second one is an outage, which is told when it begins, every 30 s, and when it ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from trioq.core.events import RedisAway, RedisBack, Report
from trioq.errors import StoreBusy, StoreUnreachable, TrioqError

T = TypeVar("T")

#: Between two tries after the first, which follows at once: full jitter between nothing and a
#: bound that doubles up to this.
CAP_S = 1.0
FIRST_S = 0.02
REPEAT_S = 30.0

#: A lane that hasn't failed again for so long has nobody who tries: its task has ended.
FORGOTTEN_S = 60.0


@attrs.define
class _Trouble:
    since: float
    tries: int = 0
    last: float = 0.0


@attrs.define
class Outage:
    """Counts unanswered calls by lane."""

    report: Report
    random: Callable[[], float]
    _lanes: dict[str, _Trouble] = attrs.field(factory=dict[str, _Trouble], init=False)
    _told_at: float | None = attrs.field(default=None, init=False)

    @property
    def is_on(self) -> bool:
        """Whether some lane has failed twice in a row."""
        return self._told_at is not None

    async def until_answered(self, lane: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again and again until Redis answers, and return what it says.

        Args:
          lane: Names whoever asks; one task at a time.
          ask: Makes one request, which must be harmless to repeat; called anew for each try.

        Raises:
          TrioqError: What ``ask`` raises, except "no answer" and "not now": a "no" is an answer.

        Cancellation:
          Ends it at once; the request that was under way may have been executed, or may be.
        """
        while True:
            try:
                answer = await ask()
            except (StoreUnreachable, StoreBusy) as error:
                await self.failed(lane, error)
            except TrioqError:
                self.answered(lane)
                raise
            else:
                self.answered(lane)
                return answer

    async def failed(self, lane: str, error: Exception) -> None:
        """A call wasn't answered, or with "not now": tell, and wait before the next try."""
        now = trio.current_time()
        trouble = self._lanes.setdefault(lane, _Trouble(now))
        trouble.tries += 1
        trouble.last = now
        if trouble.tries > 1 and (self._told_at is None or now - self._told_at >= REPEAT_S):
            self._told_at = now
            self.report(RedisAway(lane, str(error), now - trouble.since, trouble.tries))
        if trouble.tries == 1:
            # A connection that was closed meanwhile is the usual reason, and a new one will do.
            await trio.lowlevel.checkpoint()
        else:
            bound_s = min(CAP_S, FIRST_S * 2 ** min(trouble.tries, 10))
            await trio.sleep(bound_s * self.random())

    def answered(self, lane: str) -> None:
        """A call was answered."""
        if not self._lanes:
            return
        now = trio.current_time()
        trouble = self._lanes.pop(lane, None)
        for other, its in list(self._lanes.items()):
            if now - its.last > FORGOTTEN_S:
                trouble = trouble or its
                del self._lanes[other]
        if trouble is not None and self._told_at is not None and not self._lanes:
            self._told_at = None
            self.report(RedisBack(lane, now - trouble.since))
