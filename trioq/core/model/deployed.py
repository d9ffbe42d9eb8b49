"""Which settings of its limits a deployment brings, and when they end.

Each boot declares its configuration's limits. Of what different boots declare of one limit, the
newest holds: what nobody has declared before. What is known and older doesn't come back by a boot
that is started with it, but once no boot that lives declares the newer any more.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import attrs

from trioq.core.calls import BootId
from trioq.core.limits import LimitSettings

#: What no boot that lives declares any more holds for so long: an engine may be on its way back.
GRACE_MS = 60_000

#: An older declaration is known as such for so long after the last boot with it: engines of a
#: deployment that isn't complete are restarted.
KEPT_MS = 3_600_000

#: Declarations of one limit; of more, the oldest that nobody declares any more are forgotten.
KEPT = 8


@attrs.frozen
class Declaration:
    """Of one limit."""

    settings: LimitSettings
    since_ms: int
    """When it was first heard of."""
    gone_ms: int | None = None
    """Since when no boot that lives declares it."""

    def is_over(self, after_ms: int, now_ms: int) -> bool:
        return self.gone_ms is not None and now_ms - self.gone_ms >= after_ms


@attrs.define
class Deployed:
    """What is declared, of one namespace."""

    declared: dict[BootId, Mapping[str, LimitSettings]] = attrs.field(
        factory=dict[BootId, Mapping[str, LimitSettings]]
    )
    """By boots, of those that have limits."""
    known: dict[str, Sequence[Declaration]] = attrs.field(factory=dict[str, Sequence[Declaration]])
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
            after = _after(before, alive, limits.get(name), is_new, now_ms)
            if after:
                self.known[name] = after
            if not before or not after or before[-1].settings != after[-1].settings:
                changed[name] = after[-1].settings if after else LimitSettings()
        return changed


def _after(
    before: Sequence[Declaration],
    alive: Container[LimitSettings],
    mine: LimitSettings | None,
    is_new: bool,
    now_ms: int,
) -> Sequence[Declaration]:
    """What is known of a limit, once a boot has declared it, or that it has none such."""
    known = list(before)
    if mine is not None and mine not in [each.settings for each in known]:
        known.append(Declaration(mine, now_ms))
    known = [_seen(each, each.settings in alive, now_ms) for each in known]
    # Who is started with another one says more than who may come back.
    grace_ms = 0 if is_new and mine is not None else GRACE_MS
    if known[-1].is_over(grace_ms, now_ms):
        while known and known[-1].gone_ms is not None:
            known.pop()
    n_over = len(known) - KEPT
    return tuple(
        each
        for nth, each in enumerate(known)
        if each is known[-1]
        or each.gone_ms is None
        or (nth >= n_over and not each.is_over(KEPT_MS, now_ms))
    )


def _seen(each: Declaration, is_alive: bool, now_ms: int) -> Declaration:
    if is_alive:
        return attrs.evolve(each, gone_ms=None)
    gone_ms = now_ms if each.gone_ms is None else min(each.gone_ms, now_ms)
    return attrs.evolve(each, gone_ms=gone_ms)
