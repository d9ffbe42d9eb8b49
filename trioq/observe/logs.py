"""Events to log lines, with structlog: one event name, and fields.

Nothing is sampled away; what would come a thousand times is said once and then counted.
Payloads and secrets are never logged.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping
from typing import Any

import attrs
import structlog

from trioq.core import events as e
from trioq.core.events import Event, name_of
from trioq.core.limits import limit_of

#: The level of each event; the others are ``info``.
LEVELS: Mapping[type[Event], str] = {
    e.Claimed: "debug",
    e.ClaimsReturned: "debug",
    e.JobWaited: "debug",
    e.JobStarted: "debug",
    e.JobSucceeded: "debug",
    e.JobReleased: "debug",
    e.ResultDropped: "debug",
    e.ResultNotKept: "warning",
    e.JobSnoozed: "debug",
    e.FilesEnqueued: "debug",
    e.LimiterWaited: "debug",
    e.JobParked: "warning",
    e.RunStarved: "warning",
    e.LimitRests: "warning",
    e.LimitLeftOut: "error",
    e.JobFailed: "warning",
    e.JobDied: "error",
    e.JobIgnoredCancel: "warning",
    e.BootLost: "error",
    e.SettlementRefused: "warning",
    e.RedisAway: "warning",
    e.EngineReaped: "warning",
    e.ParkedExpired: "error",
    e.BreakerChanged: "warning",
    e.FileSkipped: "warning",
    e.ScanFailed: "error",
    e.EnqueueRefused: "warning",
    e.ScheduleTicked: "debug",
    e.ScheduleTaken: "warning",
    e.ScheduleUnlisted: "warning",
    e.ScheduleRetired: "warning",
    e.TickRefused: "error",
    e.LoopStalled: "error",
    e.AsyncioLeft: "error",
    e.LifespanSlow: "warning",
    e.LifespanFailed: "error",
    e.WaitsForItself: "error",
    e.ScheduleTicked: "warning",
    e.TickRefused: "warning",
}

#: Fields are named as in metrics and traces, whatever the event calls them.
RENAMED = {"uid": "job_id", "name": "job", "boot": "engine_id"}

#: Where ``boot`` is another engine's than the one that tells it.
OF_ANOTHER: dict[type[Event], str] = {e.EngineReaped: "reaped_engine_id"}

#: What comes once for each job or each try: told once, and then counted for so long; but each time
#: where there is no key.
STORM_S = 30.0
STORMS: dict[type[Event], Callable[[Any], tuple[str, ...] | None]] = {
    e.JobParked: lambda event: (event.name, event.why),
    e.EnqueueRefused: lambda event: (),
    e.RunStarved: lambda event: (event.want,),
    e.LimitRests: lambda event: (event.take,),
    e.LimitLeftOut: lambda event: (event.limit,),
    e.ResultNotKept: lambda event: (event.name, event.why),
    # A starting engine finds all that are; what somebody pauses meanwhile is told each time.
    e.KeyPaused: lambda event: (limit_of(event.take),) if event.at_first_look else None,
}


@attrs.define
class _Storm:
    """Events that are alike."""

    told_at: float
    last: Event
    more: int = 0


@attrs.define
class LogLines:
    """A listener for an engine's events.

    Args:
      clock: For storms, in seconds.
      levels: Of each event; the others are ``info``.
      left_out: The fields that nobody wants to see.
    """

    log: structlog.typing.FilteringBoundLogger
    clock: Callable[[], float] = time.monotonic
    levels: Mapping[type[Event], str] = attrs.field(factory=lambda: LEVELS)
    left_out: Container[str] = ()
    _muted: frozenset[type[Event]] = attrs.field(init=False)
    """Events below the logger's level: asked of it once, as there are two for each job."""
    _storms: dict[tuple[type[Event], tuple[str, ...]], _Storm] = attrs.field(
        factory=dict[tuple[type[Event], tuple[str, ...]], _Storm], init=False
    )
    _engine: str | None = attrs.field(default=None, init=False)

    @_muted.default
    def _find_muted(self) -> frozenset[type[Event]]:
        return frozenset(
            kind
            for kind in Event.__subclasses__()
            if not self.log.is_enabled_for(getattr(logging, self._level(kind).upper()))
        )

    def listener_for(self, kind: type[Event]) -> LogLines | None:
        """Itself, if events of this type are logged, or say who logs."""
        if kind in e.OF_MANY:
            return None  # a line for each of them
        return None if kind in self._muted and kind is not e.EngineStarted else self

    def __call__(self, event: Event) -> None:
        """Write a line for this event, if its level is on."""
        if isinstance(event, e.EngineStarted):
            self._engine = event.boot
        if type(event) in self._muted:
            return
        if isinstance(event, e.EngineStopping):
            self._end_storms(of_all=True)
        elif self._storms:
            self._end_storms()
        alike = STORMS.get(type(event))
        key = None if alike is None else alike(event)
        if key is None or self._is_first(event, key):
            self._write(event)

    def _write(self, event: Event, **more: Any) -> None:
        fields = _fields(event) | more
        if self._engine is not None:
            fields.setdefault("engine_id", self._engine)
        if self.left_out:
            fields = {name: fields[name] for name in fields if name not in self.left_out}
        level = self._level(type(event))
        level = _tick_level(event) if isinstance(event, e.ScheduleTicked) else level
        level = "debug" if _is_no_news(event) else level
        getattr(self.log, level)(name_of(type(event)), **fields)

    def _level(self, kind: type[Event]) -> str:
        return self.levels.get(kind, "info")

    def _is_first(self, event: Event, key: tuple[str, ...]) -> bool:
        """Whether to tell this one; the others are counted."""
        storm = self._storms.get((type(event), key))
        if storm is None:
            self._storms[type(event), key] = _Storm(self.clock(), event)
            return True
        storm.more, storm.last = storm.more + 1, event
        return False

    def _end_storms(self, *, of_all: bool = False) -> None:
        """Tell how many there were of what was told for the first time long enough ago."""
        now = self.clock()
        for key, storm in list(self._storms.items()):
            if of_all or now - storm.told_at >= STORM_S:
                del self._storms[key]
                if storm.more:
                    for_s = round(now - storm.told_at, 3)
                    self._write(storm.last, more=storm.more, for_s=for_s)


def _tick_level(event: e.ScheduleTicked) -> str:
    """Of what somebody counts on and didn't happen it is told, of all else quietly."""
    found = {outcome for outcome, _ in event.outcomes}
    if found & {"missed", "known"} or (event.left_out and event.passed == "missed"):
        return "warning"
    return "info" if "overlap" in found else "debug"


def _is_no_news(event: Event) -> bool:
    """A look through the directory, every few seconds, that found nothing to do."""
    return isinstance(event, e.ScanFinished) and not (event.enqueued or event.skipped)


def _fields(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in attrs.asdict(event, recurse=False).items():
        if name == "error" and value is None:
            continue
        if name == "error" and not isinstance(value, str):
            fields["error"] = f"{value.type}: {value.message}"
        elif name == "outcomes":
            counts = Counter(outcome for outcome, _ in value)
            fields["outcomes"] = ", ".join(f"{outcome} {n}" for outcome, n in counts.items())
            fields["late_s"] = max(late_ms for _, late_ms in value) / 1000
        elif name == "uid" and not value:
            pass  # no job came with it
        elif name == "boot" and type(event) in OF_ANOTHER:
            fields[OF_ANOTHER[type(event)]] = value
        elif name == "worker" and value is None:
            pass  # who tells it is the one
        elif isinstance(value, float):
            fields[RENAMED.get(name, name)] = round(value, 6)
        else:
            fields[RENAMED.get(name, name)] = value
    return fields
