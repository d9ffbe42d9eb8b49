"""Schedules to bytes and back: a row in ``schedules``, which no script looks into."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trioq.core.formats.payload import loads
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Cron, Every, Once, When

VERSION = 1

_CHOICES = {
    "misfire": ("skip", "last", "all"),
    "overlap": ("allow", "skip", "queue_one", "replace"),
    "owner": ("config", "app", "runtime"),
}
_TIMES = ("grace_ms", "jitter_ms")


def encode(schedule: Schedule) -> bytes:
    """As it is kept; equal ones are kept alike."""
    row: dict[str, Any] = {"v": VERSION, "job": schedule.job, "queue": schedule.queue}
    row |= when_json(schedule.when)
    row |= {name: getattr(schedule, name) for name in (*_CHOICES, *_TIMES)}
    head = json.dumps(row, separators=(",", ":")).encode("ascii")
    return head + b"\n" + schedule.payload


def decode(name: str, row: bytes) -> Schedule:
    """A schedule, as it was encoded.

    Raises:
      ValueError: It can't be read here: it may be of a newer version, or its zone isn't known.
    """
    head, _, payload = row.partition(b"\n")
    try:
        said = loads(head)
        if not isinstance(said, dict) or said.get("v") != VERSION:
            raise ValueError("it is of another version")
        for key, choices in _CHOICES.items():
            if said.get(key) not in choices:
                raise ValueError(f"{key} is none of {', '.join(choices)}")
        for key in _TIMES:
            if type(said.get(key)) is not int or said[key] < 0:
                raise ValueError(f"{key} is no time")
        if not (isinstance(said.get("job"), str) and isinstance(said.get("queue"), str)):
            raise ValueError("it has no job or no queue")
        return Schedule(
            name, _read(said), said["job"], said["queue"], payload or b"{}",
            **{key: said[key] for key in (*_CHOICES, *_TIMES)},
        )  # fmt: skip
    except (TypeError, KeyError) as error:
        raise ValueError(f"it lacks {error}") from None


def payload_of(schedule: Schedule) -> dict[str, Any]:
    """What its jobs are given."""
    given: dict[str, Any] = loads(schedule.payload)
    return given


def when_json(when: When) -> dict[str, Any]:
    """When it comes, as it is kept."""
    match when:
        case Cron(expression, zone):
            return {"cron": expression, "tz": zone.key}
        case Every(interval_ms, anchor_ms):
            return {"every_ms": interval_ms, "anchor_ms": anchor_ms}
        case Once(at_ms):
            return {"at_ms": at_ms}
    raise TypeError(f"no time that can be kept: {when}")


def _read(said: dict[str, Any]) -> When:
    if "cron" in said:
        try:
            return Cron(said["cron"], ZoneInfo(said["tz"]))
        except (ZoneInfoNotFoundError, OSError):
            raise ValueError(f"no zone {said['tz']!r} is known here") from None
    if "every_ms" in said:
        return Every(int(said["every_ms"]), int(said["anchor_ms"]))
    return Once(int(said["at_ms"]))
