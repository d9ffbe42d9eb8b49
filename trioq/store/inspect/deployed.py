"""What configurations say of limits: which of them holds, since when, and which others live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.flow import allows
from trioq.core.limits import LimitSettings
from trioq.store import kept
from trioq.store.inspect.fields import scanned
from trioq.store.redis import RedisStore


@attrs.frozen
class Deployed:
    """What the newest deployment that lives says of a limit."""

    settings: LimitSettings
    since_ms: int
    """When that was first heard of, epoch."""
    others: tuple[LimitSettings, ...] = ()
    """What engines say that are older and live."""

    @property
    def older(self) -> list[str]:
        """What these allow, in words."""
        return [allows(each) for each in self.others]

    def as_json(self) -> dict[str, Any]:
        """The shape of it with ``--json``."""
        return {
            "allows": allows(self.settings),
            "since_ms": self.since_ms,
            "older": self.older,
        }


def deployed(store: RedisStore) -> Mapping[str, Deployed]:
    """By limits, those that some engine has; of what somebody else wrote, none."""
    found = {}
    for name, text in scanned(store, "deployed"):
        said = list(filter(None, map(_declaration, text.split("\n"))))
        if said:
            *older, (settings, since_ms, _) = said
            others = tuple(each for each, _, is_alive in older if is_alive)
            found[name] = Deployed(settings, since_ms, others)
    return found


def _declaration(line: str) -> tuple[LimitSettings, int, bool] | None:
    """What it says, since when, and whether an engine that lives says it."""
    settings, _, times = line.partition(" ")
    since, _, gone = times.partition(" ")
    numbers = [*settings.split(":"), since]
    if len(numbers) != 5 or not all(kept.is_number(each.encode()) for each in numbers):
        return None
    interval_us, burst, most, keyed, since_ms = map(int, numbers)
    return LimitSettings(interval_us, burst, most, bool(keyed)), since_ms, gone == "-"
