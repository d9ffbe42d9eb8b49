"""Which settings of its limits a deployment brings, and when they end.

Each boot declares its configuration's limits; of each limit by itself the newest declaration
holds (:mod:`trioq.core.model.declarations`).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import attrs

from trioq.core.calls import BootId
from trioq.core.limits import LimitSettings
from trioq.core.model.declarations import Declaration, after

Known = Sequence[Declaration[LimitSettings]]


@attrs.define
class Deployed:
    """What is declared, of one namespace."""

    declared: dict[BootId, Mapping[str, LimitSettings]] = attrs.field(
        factory=dict[BootId, Mapping[str, LimitSettings]]
    )
    """By boots, of those that have limits."""
    known: dict[str, Known] = attrs.field(factory=dict[str, Known])
    """Limit → what was declared of it, in the order in which that began; the last holds."""

    def declare(
        self,
        boot: BootId,
        limits: Mapping[str, LimitSettings],
        live: Container[BootId],
        now_ms: int,
    ) -> Mapping[str, LimitSettings]:
        """A boot declares its limits, again and again. Returns what holds from now on, where that
        has changed: of a limit that is over, that nothing is limited."""
        is_new = boot not in self.declared
        told = {**self.declared, boot: dict(limits)}
        self.declared = {each: has for each, has in told.items() if has and each in live}
        changed = {}
        for name in {*self.known, *limits}:
            before = self.known.pop(name, ())
            alive = {has[name] for has in self.declared.values() if name in has}
            known = after(before, alive, limits.get(name), is_new, now_ms)
            if known:
                self.known[name] = known
            if not before or not known or before[-1].said != known[-1].said:
                changed[name] = known[-1].said if known else LimitSettings()
        return changed
