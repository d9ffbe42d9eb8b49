"""How schedules say when: moments, zones, cron expressions; and what their jobs are given."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import attrs

from trioq.core.config.kinds import Kind, Problem, Text, shown
from trioq.core.formats.payload import encode_value
from trioq.core.schedules.when import Cron
from trioq.core.valid import LATEST_MS
from trioq.errors import PayloadRejected

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@attrs.frozen(kw_only=True)
class Moment(Kind):
    """A point in time: a date with a time and its zone, as TOML or ISO 8601 writes it."""

    form = ", such as 2027-01-31T12:00:00+01:00"

    def words(self) -> str:
        return "a date and a time with its offset"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def allows(self, value: Any) -> bool:
        return is_moment(value) and 0 <= epoch_ms(value) <= LATEST_MS

    def parse(self, raw: Any) -> Any:
        try:
            return datetime.datetime.fromisoformat(raw) if isinstance(raw, str) else raw
        except ValueError:
            return raw

    def write(self, value: Any) -> Any:
        return value.isoformat()

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        if isinstance(value, datetime.datetime) and value.utcoffset() is None:
            right = f"{value.isoformat()}Z or {value.isoformat()}+01:00"
            yield (), f"{value.isoformat()} names no time zone; expected one, such as {right}"
        elif not self.allows(value):
            got = str(raw) if isinstance(raw, datetime.date | datetime.time) else shown(raw)
            yield (), f"expected {self.words()}{self.form}, got {got}"


@attrs.frozen(kw_only=True)
class Zone(Text):
    """The name of a time zone, as IANA lists them."""

    noun: str = 'a time zone of the IANA list, such as "Europe/Berlin" or "UTC"'

    def allows(self, value: Any) -> bool:
        return super().allows(value) and is_zone(value)

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        from trioq.core.config.rules import did_you_mean  # which knows the sections, and they us

        for where, message in super().problems(value, raw):
            known = filter(_is_listed, available_timezones())
            close = did_you_mean(value, known) if isinstance(value, str) else ""
            yield where, message + close


@attrs.frozen(kw_only=True)
class CronText(Text):
    """A cron expression that fires."""

    noun: str = 'a cron expression, such as "0 3 * * *"'

    def allows(self, value: Any) -> bool:
        return super().allows(value) and not self._wrong(value)

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        if super().allows(value) and (wrong := self._wrong(value)):
            yield (), wrong
        else:
            yield from super().problems(value, raw)

    @staticmethod
    def _wrong(expression: str) -> str:
        try:
            Cron(expression)
        except ValueError as error:
            return str(error).removeprefix("cron is ")
        return ""


@attrs.frozen(kw_only=True)
class Json(Kind):
    """Whatever JSON can hold."""

    def words(self) -> str:
        return "what JSON can hold"

    def schema(self) -> dict[str, Any]:
        return {}

    def allows(self, value: Any) -> bool:
        return not list(self.problems(value, value))

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        try:
            encode_value(value, "it")
        except PayloadRejected as error:
            yield (), str(error)


def is_moment(value: Any) -> bool:
    """Whether it is a time that is the same for everybody."""
    return isinstance(value, datetime.datetime) and value.utcoffset() is not None


def epoch_ms(moment: datetime.datetime) -> int:
    """Of an aware one."""
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1)


def is_zone(name: str) -> bool:
    """Whether this machine knows it, and it is the same zone on each."""
    if not _is_listed(name):
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path, a directory, and none that is known
        return False
    return True


def _is_listed(name: str) -> bool:
    """Whether IANA lists it, and it doesn't only lie among those: a machine's own does, and all of
    them once more with leap seconds."""
    is_own = name in ("localtime", "posixrules", "Factory")
    return not (is_own or name.startswith(("posix/", "right/")))
