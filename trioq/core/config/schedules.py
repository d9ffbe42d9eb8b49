"""What somebody says of a schedule, in a file, in code or at run time: made and checked alike."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from trioq.core.config.kinds import Path
from trioq.core.config.numbers import seconds_of
from trioq.core.config.rules import Fault, dotted, schedule_faults, values_faults
from trioq.core.config.sections import ScheduleConfig
from trioq.core.config.texts import NAME
from trioq.core.config.times import Moment, epoch_ms
from trioq.core.formats.payload import encode
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Overlap, Owner, Schedule
from trioq.core.schedules.when import Cron, Every, Once, When

Seconds = float | Decimal | datetime.timedelta | str
"""A time; also as a text, such as ``"1h"``."""


def said(
    *,
    name: str,
    job: str,
    cron: str | None = None,
    every: Seconds | None = None,
    at: datetime.datetime | str | None = None,
    tz: str | None = None,
    anchor: datetime.datetime | str | None = None,
    queue: str | None = None,
    payload: Mapping[str, Any] | None = None,
    misfire: Misfire = "last",
    misfire_grace: Seconds = 60.0,
    overlap: Overlap = "skip",
    jitter: Seconds = 0.0,
) -> ScheduleConfig:
    """As a program says it.

    Raises:
      ValueError: All that is wrong, one line.
    """
    moment = Moment()
    made = ScheduleConfig(
        name=name,
        cron=cron,
        every_s=_seconds(every),
        at=moment.parse(at),
        tz=tz,
        anchor=moment.parse(anchor),
        job=job,
        queue=queue,
        payload={} if payload is None else payload,
        misfire=misfire,
        misfire_grace_s=_seconds(misfire_grace),
        overlap=overlap,
        jitter_s=_seconds(jitter),
    )
    if found := list(_faults(made)):
        where = f"the schedule {name!r}: " if isinstance(name, str) else ""
        raise ValueError(where + "; ".join(_line(fault) for fault in found))
    return made


def when_of(config: ScheduleConfig) -> When:
    """When it fires; the configuration is right."""
    if config.cron is not None:
        return Cron(config.cron, ZoneInfo(config.tz or "UTC"))
    if config.every_s is not None:
        anchor_ms = 0 if config.anchor is None else epoch_ms(config.anchor)
        return Every(round(config.every_s * 1000), anchor_ms)
    assert config.at is not None
    return Once(epoch_ms(config.at))


def schedule_of(config: ScheduleConfig, queue: str, owner: Owner, most_bytes: int) -> Schedule:
    """As engines have it.

    Args:
      queue: Where its jobs go.
      most_bytes: How large its payload may be.

    Raises:
      PayloadRejected: It is larger.
    """
    return Schedule(
        config.name,
        when_of(config),
        config.job,
        queue,
        encode(dict(config.payload), most_bytes),
        config.misfire,
        round(config.misfire_grace_s * 1000),
        config.overlap,
        round(config.jitter_s * 1000),
        owner,
    )


def _faults(made: ScheduleConfig) -> Iterator[Fault]:
    for _, message in NAME.problems(made.name, made.name):
        yield Fault(("name",), message)
    wrong = list(values_faults(made))
    yield from wrong
    if not wrong:
        yield from schedule_faults((), made)


def _line(fault: Fault) -> str:
    path: Path = fault.path
    return f"{dotted(path)}: {fault.message}" if path else fault.message


def _seconds(given: Any) -> Any:
    seconds = seconds_of(given)
    return float(seconds) if isinstance(seconds, int | Decimal) and seconds is not True else seconds
