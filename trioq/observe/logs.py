"""Events to log lines, with structlog: one event name, and fields.

Nothing is sampled away; what would come a thousand times is said once and then counted.
Payloads and secrets are never logged.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Any, TextIO

import attrs
import structlog

from trioq.core import events as e
from trioq.core.events import Event

#: The level of each event; the others are ``info``.
LEVELS: dict[type[Event], str] = {
    e.Claimed: "debug",
    e.ClaimsReturned: "debug",
    e.JobStarted: "debug",
    e.JobSucceeded: "debug",
    e.JobReleased: "debug",
    e.JobSnoozed: "debug",
    e.FilesEnqueued: "debug",
    e.LimiterWaited: "debug",
    e.JobParked: "warning",
    e.JobFailed: "warning",
    e.JobDied: "error",
    e.BootLost: "error",
    e.SettlementRefused: "warning",
    e.RedisAway: "warning",
    e.EngineReaped: "warning",
    e.ParkedExpired: "error",
    e.BreakerChanged: "warning",
    e.FileSkipped: "warning",
    e.ScanFailed: "error",
    e.EnqueueRefused: "warning",
    e.LoopStalled: "error",
}

#: Fields are named as in metrics and traces, whatever the event calls them.
RENAMED = {"uid": "job_id", "name": "job", "engine": "engine_id"}

#: The same warning about the same name comes this often at most, with a count.
STORM_S = 30.0


def logger(
    level: str, log_format: str, stream: TextIO | None = None
) -> structlog.typing.FilteringBoundLogger:
    """A logger that writes to ``stream``, by default to stderr.

    Args:
      log_format: ``json``, ``console``, or ``auto``: console on a terminal.
    """
    out = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", key="ts")
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.add_log_level, stamp, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
    )
    return logger


@attrs.define
class LogLines:
    """A listener for an engine's events."""

    log: structlog.typing.FilteringBoundLogger
    _muted: frozenset[type[Event]] = attrs.field(init=False)
    """Events below the logger's level: asked of it once, as there are two for each job."""
    _told: dict[tuple[str, ...], tuple[float, int]] = attrs.field(
        factory=dict[tuple[str, ...], tuple[float, int]], init=False
    )

    @_muted.default
    def _find_muted(self) -> frozenset[type[Event]]:
        return frozenset(
            kind
            for kind in Event.__subclasses__()
            if not self.log.is_enabled_for(getattr(logging, _level(kind).upper()))
        )

    def listener_for(self, kind: type[Event]) -> LogLines | None:
        """Itself, if events of this type are logged."""
        return None if kind in self._muted else self

    def __call__(self, event: Event) -> None:
        """Write a line for this event, if its level is on."""
        if type(event) in self._muted:
            return
        if isinstance(event, e.JobParked) and not self._first(event):
            return
        getattr(self.log, _level(type(event)))(_snake(type(event).__name__), **_fields(event))

    def _first(self, event: e.JobParked) -> bool:
        """Whether to tell this one; the others are counted for the next line."""
        key, now = (event.name, event.why), time.monotonic()
        told_at, count = self._told.get(key, (-STORM_S, 0))
        if now - told_at < STORM_S:
            self._told[key] = (told_at, count + 1)
            return False
        self._told[key] = (now, 0)
        if count:
            self.log.warning("jobs_parked", job=event.name, why=event.why, more=count)
        return True


def _level(kind: type[Event]) -> str:
    return LEVELS.get(kind, "info")


def _fields(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in attrs.asdict(event, recurse=False).items():
        if name == "error" and not isinstance(value, str):
            fields["error"] = f"{value.type}: {value.message}"
        elif isinstance(value, float):
            fields[RENAMED.get(name, name)] = round(value, 6)
        else:
            fields[RENAMED.get(name, name)] = value
    return fields


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
