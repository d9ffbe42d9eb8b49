"""Jobs that wait for what never comes: found, and told why, instead of waited for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs

from trioq.store.inspect.reasons import Explanation
from trioq.testing.server import Space

#: How often one looks, in virtual seconds.
LOOK_S = 3600.0

#: A job that has waited so long in one place waits for good. A limit may give something once a day.
STILL_S = 25 * 3600.0

#: What doesn't pass by itself.
LASTING = frozenset({
    "paused", "no_engine", "draining", "unknown_name", "unfit_payload", "breaker", "limited",
    "suspect",
})  # fmt: skip

#: For what doesn't pass at all unless somebody lets it, this is enough.
SURELY_S = 2 * LOOK_S
SURE = frozenset({"paused", "no_engine"})

#: Of this many jobs it is told why they wait.
SHOWN = 10


class NothingMoves(AssertionError):
    """Jobs wait, and nothing moves any more."""


@attrs.define
class Standstill:
    """One wait's look for it."""

    space: Space
    next_look: float
    """By the world's time."""
    _since: dict[str, float] = attrs.field(factory=dict[str, float], init=False)
    """Uid → since when a job waits as it does, of those that somebody has to let run."""

    def look(self, now: float) -> None:
        """
        Raises:
          NothingMoves: Jobs have waited for too long.
        """
        if now < self.next_look:
            return
        self.next_look = now + LOOK_S
        views = self.space.store.jobs()
        waiting = [view for view in views if view.state in ("ready", "limited", "parked")]
        if any(view.state == "running" for view in views):
            self._since = {}  # it may be what they wait for, and may end while one looks
            return
        self._since = {view.uid: self._since.get(view.uid, now) for view in waiting}
        still = {uid: now - since for uid, since in self._since.items() if now - since >= SURELY_S}
        if not still:
            return
        told = [self.space.store.explain(uid) for uid in list(still)[:SHOWN]]
        if all(_is_for_good(each, still[each.uid]) for each in told):
            raise NothingMoves("\n".join(_told(told, len(still))))

    @property
    def looks_at(self) -> float:
        """When the next look is."""
        return self.next_look if math.isfinite(self.next_look) else math.inf


def _is_for_good(why: Explanation, for_s: float) -> bool:
    first = why.reasons[0]
    is_sure = first.why in SURE and not first.data.get("until_ms")
    return first.why in LASTING and (is_sure or for_s >= STILL_S)


def _told(why: list[Explanation], many: int) -> Iterator[str]:
    yield f"nothing moves any more, and jobs wait: {many}"
    for each in why:
        name = each.name or "a job"
        yield f"  {name} {each.id or each.uid} in {each.queue!r}, {each.state}:"
        yield from (f"    {reason.says}" for reason in each.reasons)
    if many > len(why):
        yield f"  and {many - len(why)} more"
