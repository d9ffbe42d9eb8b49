"""Schedules: what each says, who says it, when it comes next, and what became of its last ticks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from cronsim import CronSim

from trioq.core.duration import exactly
from trioq.core.formats import pause, schedule
from trioq.core.formats.pause import Pause
from trioq.core.job import Uid
from trioq.core.schedules.listed import RETIRED_AFTER_MS
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Cron, Every, Once, When
from trioq.store import kept
from trioq.store.redis import RedisStore

#: What a schedule says of itself, in JSON.
SAID = (
    "cron", "tz", "every_ms", "anchor_ms", "at_ms", "job", "queue", "payload", "misfire",
    "misfire_grace_ms", "overlap", "jitter_ms",
)  # fmt: skip

#: So many are asked for at once.
PAGE = 500


@attrs.frozen
class TickView:
    """What became of one tick."""

    at_ms: int
    outcome: str
    late_ms: int
    uid: Uid
    """Of its job; of an overlap, of the run that hadn't ended; empty: there is none."""

    @classmethod
    def read(cls, line: str) -> TickView:
        """From a line of ``ticked``."""
        at, outcome, late, *uid = line.split(" ")
        return cls(int(at), outcome, int(late), uid[0] if uid else "")


@attrs.frozen
class ScheduleView:
    """One schedule."""

    name: str
    schedule: Schedule | None
    """None: this version can't read it."""
    wrong: str
    """Why it can't be read; empty: it can."""
    app: str | None
    """Whose engines list it, as the configuration's ``app`` says; None: a client has put it."""
    next_ms: int | None
    """None: it doesn't come any more."""
    paused: Pause | None
    runs: tuple[Uid, ...]
    """Its last two, the newest first."""
    ticks: tuple[TickView, ...]
    """Its last 20, the earliest first."""
    unlisted_ms: int | None
    """Since when no newest deployment lists it; None: one does, or a client has put it."""
    retired_ms: int | None
    """Since when it therefore makes no ticks."""

    @property
    def when(self) -> str:
        """When it comes, in words."""
        return self.wrong if self.schedule is None else in_words(self.schedule.when)

    @property
    def owner(self) -> str:
        """Who says that there is this: ``config``, ``app`` or ``runtime``."""
        return "" if self.schedule is None else self.schedule.owner

    @property
    def state(self) -> str:
        """What keeps it from ticks; empty: nothing does."""
        if self.retired_ms is not None:
            return "retired"
        if self.wrong:
            return "unreadable"
        if self.paused is not None:
            return "paused"
        if self.next_ms is None:
            return "over"
        return "" if self.unlisted_ms is None else "unlisted"

    def retires_ms(self) -> int | None:
        """When it is retired, if nobody lists it again."""
        if self.unlisted_ms is None or self.retired_ms is not None:
            return None
        return self.unlisted_ms + RETIRED_AFTER_MS

    def following(self, count: int) -> list[int]:
        """Its next ticks, as far as they are known: as many at most."""
        found: list[int] = []
        at = self.next_ms
        while at is not None and self.schedule is not None and len(found) < count:
            found.append(at)
            at = self.schedule.when.after(at)
        return found

    def as_json(self) -> dict[str, Any]:
        """The shape of ``trioq schedules --json``; times are epoch milliseconds."""
        its = self.schedule
        return {
            "name": self.name,
            "when": self.when,
            **_said(its),
            "owner": self.owner or None,
            "app": self.app,
            "state": self.state or "live",
            "wrong": self.wrong or None,
            "next_ms": self.next_ms,
            "paused": self.paused and self.paused.as_json(),
            "unlisted_ms": self.unlisted_ms,
            "retired_ms": self.retired_ms,
            "runs": list(self.runs),
            "ticks": [attrs.asdict(tick) for tick in self.ticks],
        }


def schedules(store: RedisStore, names: Sequence[str] | None = None) -> list[ScheduleView]:
    """These that there are, or all, by name."""
    if names is None:
        names = schedule_names(store)
    found, ordered = list[ScheduleView](), sorted(set(names))
    for start in range(0, len(ordered), PAGE):
        found += _page(store, ordered[start : start + PAGE])
    return found


def schedule_names(store: RedisStore) -> list[str]:
    """The names of all that there are, in their order."""
    return sorted(kept.texts(store.lane.call("HKEYS", store.keys.fixed("schedules"))))


def in_words(when: When) -> str:
    """When something comes, as people say it."""
    match when:
        case Cron(expression, zone):
            cron = CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
            said = cron.explain()
            if not cron.day_and:  # either of the two
                said = said.replace(" and on ", " or on ", 1)
            return f"{said[:1].lower()}{said[1:]}, {zone.key}"
        case Every(interval_ms, _):
            return f"every {exactly(interval_ms)}"
        case Once(at_ms):
            return f"once, at {datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return str(when)


def _page(store: RedisStore, names: Sequence[str]) -> list[ScheduleView]:
    fixed = store.keys.fixed
    asked: list[tuple[Any, ...]] = [
        ("HMGET", fixed(key), *names)
        for key in ("schedules", "runs", "ticked", "owners", "unlisted")
    ]
    asked.append(("HMGET", fixed("pauses"), *map(pause.of_schedule, names)))
    asked.append(("ZMSCORE", fixed("ticks"), *names))
    asked.append(("TIME",))
    *columns, time = store.lane.pipeline(asked)
    now_ms = store.us_of(time) // 1000
    found = zip(names, *columns, strict=True)
    return [view_of(name, row, told, now_ms) for name, row, *told in found if row is not None]


def view_of(name: str, row: bytes, told: Sequence[bytes | None], now_ms: int) -> ScheduleView:
    """One schedule.

    Args:
      told: Its runs, its last ticks, whose it is, since when it isn't listed, its pause and its
        next tick, as they are kept.
    """
    runs, ticked, app, unlisted, paused, next_ = told
    its, wrong = None, ""
    try:
        its = schedule.decode(name, row)
    except ValueError as error:
        wrong = f"can't be read here: {error}"
    since, _, retired = kept.text(unlisted or b"").partition(" ")
    held = None if paused is None else pause.decode(paused)
    if held is not None and held.until_ms is not None and held.until_ms <= now_ms:
        held = None
    return ScheduleView(
        name=name,
        schedule=its,
        wrong=wrong,
        app=None if app is None else kept.text(app),
        next_ms=None if next_ is None else int(float(next_)),
        paused=held,
        runs=tuple(kept.text(runs or b"").split()),
        ticks=tuple(map(TickView.read, kept.text(ticked or b"").splitlines())),
        unlisted_ms=int(since) if since else None,
        retired_ms=int(retired) if retired.isdigit() else None,
    )


def _said(its: Schedule | None) -> dict[str, Any]:
    """What it says of itself; all of it is null where that can't be read."""
    told: dict[str, Any] = dict.fromkeys(SAID)
    if its is None:
        return told
    return (
        told
        | schedule.when_json(its.when)
        | {
            "job": its.job,
            "queue": its.queue,
            "payload": schedule.payload_of(its),
            "misfire": its.misfire,
            "misfire_grace_ms": its.grace_ms,
            "overlap": its.overlap,
            "jitter_ms": its.jitter_ms,
        }
    )
