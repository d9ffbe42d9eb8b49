"""What the API tells in JSON, as an operator beside Redis has it: the other way of ``as_json``."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from trioq.core.formats import engine_info, schedule
from trioq.core.formats.history import Attempt, Line, Omitted
from trioq.core.formats.note import Noted, Progress
from trioq.core.formats.pause import Pause
from trioq.core.formats.summary import Summary
from trioq.core.job import Record
from trioq.core.limits import LimitSettings, take_of
from trioq.core.outcome import Error
from trioq.core.schedules.listed import Unlisted
from trioq.core.schedules.schedule import Schedule
from trioq.store.inspect import (
    BreakerView,
    Door,
    EngineStats,
    Explanation,
    Group,
    Groups,
    JobView,
    LimitView,
    Listed,
    Pauses,
    QueueStats,
    Reason,
    Room,
    ScheduleView,
    Standing,
    Stats,
    Taken,
    TickView,
)
from trioq.store.inspect.deployed import Deployed
from trioq.store.inspect.limits import settings_of
from trioq.store.inspect.standing import LATE_MS

Told = Mapping[str, Any]


def only(kind: type, told: Told) -> dict[str, Any]:
    """Those members that a class has: a server of a newer version tells more."""
    return {
        each.name: _frozen(told[each.name])
        for each in attrs.fields(kind)
        if each.init and each.name in told
    }


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def groups(told: Told) -> Groups:
    """``trioq dead groups --json``."""
    rows = tuple(Group(**only(Group, each)) for each in told["groups"])
    return Groups(rows, told["looked_at"], told["total"])


T = TypeVar("T")


def made(kind: type[T], told: Told) -> T:
    """An object whose members are told by their names."""
    return kind(**only(kind, told))


def job(told: Told) -> JobView:
    """A job."""
    uid, name, queue = told["uid"], told.get("name"), told.get("queue")
    id = None if told["id"] == uid else told["id"]
    ended: Summary | None = None
    record: Record | None = None
    noted = _noted(told.get("noted"))
    if (done := told.get("done")) is not None:
        kept = only(Summary, done) | {
            "state": "cancelled" if told["state"] == "cancelled" else "done"
        }
        ended = Summary(
            uid,
            name or "",
            queue or "",
            id=id,
            enqueued_ms=told["enqueued_ms"],
            noted=noted,
            **kept,
        )
    elif name is not None:
        payload = json.dumps(told.get("payload")).encode()
        record = Record(uid, name, queue or "", payload, id, told.get("enqueued_ms") or 0)
    asked = told.get("asked")
    raw = told.get("payload_raw")
    return JobView(
        uid,
        record,
        told["state"],
        reason=told.get("reason"),
        reaps=told.get("reaps", 0),
        attempts=tuple(map(_attempt, told.get("attempts", ()))),
        payload=told.get("payload"),
        payload_raw=None if raw is None else base64.b64decode(raw),
        summary=ended,
        id=id,
        due_ms=told.get("due_ms"),
        died_ms=told.get("died_ms"),
        engine=told.get("engine"),
        asked=None if asked is None else Summary(uid, **only(Summary, asked)),
        has_result=told.get("has_result", False),
        noted=noted,
    )


def _attempt(told: Told) -> Line:
    if "omitted" in told:
        return Omitted(told["omitted"])
    error = made(Error, told["error"])
    more = {name: _frozen(told[name]) for name in ("dead", "trace", "log") if name in told}
    return Attempt(told["attempt"], error, told["engine"], told["at_ms"], **more)


def _noted(told: Told | None) -> Noted | None:
    if told is None:
        return None
    progress = told["progress"]
    said = None if progress is None else made(Progress, progress)
    return Noted(told["attempt"], said, tuple(told["log"]), told["logged"])


def door(told: Told | None) -> Door | None:
    """What parked jobs wait behind."""
    return None if told is None else made(Door, told)


def listed(told: Told) -> Listed:
    """A job of a list."""
    return Listed(job(told), told.get("take"), door(told.get("door")))


def breaker(told: Told) -> BreakerView:
    """A breaker."""
    return made(BreakerView, told)


def reason(told: Told) -> Reason:
    """Why something doesn't run."""
    data = {name: value for name, value in told.items() if name not in ("why", "says")}
    return Reason(told["why"], told["says"], data)


def explanation(told: Told) -> Explanation:
    """Why a job doesn't run."""
    return Explanation(**only(Explanation, told) | {"reasons": tuple(map(reason, told["reasons"]))})


def room(told: Told) -> Room:
    """Who waits for a limit."""
    return made(Room, told)


def engine(told: Told) -> EngineStats:
    """An engine."""
    info = engine_info.decode(json.dumps(dict(told)).encode())
    return EngineStats(told["id"], info, told["running"], told.get("abandoned", {}))


def queue(told: Told) -> QueueStats:
    """What is in a queue."""
    return made(QueueStats, told)


def pauses(told: Sequence[Told]) -> Pauses:
    """What is paused."""
    found: dict[str, dict[str, Pause]] = {"queue": {}, "job": {}, "limit": {}, "schedule": {}}
    for each in told:
        held = _pause(each)
        if each["limit"] is not None:
            found["limit"][take_of(each["limit"], each["key"])] = held
            continue
        kind = next(kind for kind in ("queue", "job", "schedule") if each[kind] is not None)
        found[kind][each[kind]] = held
    return Pauses(found["queue"], found["job"], found["limit"], found["schedule"])


def _pause(told: Told) -> Pause:
    return made(Pause, told)


COUNTED = ("done", "cancelled", "enqueued", "retried", "reaped")


def stats(told: Told) -> Stats:
    """One moment of a namespace."""
    return Stats(
        told["namespace"],
        {name: queue(each) for name, each in told["queues"].items()},
        {name: told[name] for name in COUNTED},
        told["dead"],
        told["strays"],
        tuple(map(engine, told["engines"])),
        pauses=pauses(told["pauses"]),
    )


# -- limits ------------------------------------------------------------------------------------


@attrs.frozen
class ToldTaken(Taken):
    """A take, with its times as they were told."""

    told_next_ms: int | None = None
    told_last_ms: int | None = None

    @property
    def next_ms(self) -> int | None:
        return self.told_next_ms

    @property
    def last_ms(self) -> int | None:
        return self.told_last_ms


@attrs.frozen
class ToldDeployed(Deployed):
    """What configurations say, in words."""

    told_older: tuple[str, ...] = ()

    @property
    def older(self) -> list[str]:
        return [*self.told_older]


@attrs.frozen
class ToldLimit(LimitView):
    """A limit."""

    told_by_hand: bool = False

    @property
    def is_by_hand(self) -> bool:
        return self.told_by_hand


def limit(told: Told) -> LimitView:
    """A limit, and who takes of it."""
    name, keyed = told["name"], told.get("keyed", False)
    settings = _settings(told, keyed=keyed) if told["known"] else None
    deployed = told["deployed"]
    return ToldLimit(
        name,
        settings,
        told["since_ms"],
        None
        if deployed is None
        else ToldDeployed(
            settings or LimitSettings(), deployed["since_ms"], told_older=tuple(deployed["older"])
        ),
        told["running"],
        told["waiting"],
        tuple(_taken(each, settings, keyed=keyed) for each in told["takes"]),
        told["takes_left_out"],
        {take_of(name, each["key"]): _pause(each) for each in told["paused"]},
        told_by_hand=told["by_hand"],
    )


def _taken(told: Told, settings: LimitSettings | None, *, keyed: bool) -> Taken:
    own = told["own"]
    return ToldTaken(
        told["take"],
        settings if own is None else _settings(own, keyed=keyed),
        told["running"],
        tuple(told["holders"]),
        told["waiting"],
        tuple(told["first"]),
        own is not None,
        told["ids"],
        told_next_ms=told["next_ms"],
        told_last_ms=told["last_ms"],
    )


def _settings(told: Told, *, keyed: bool) -> LimitSettings:
    return settings_of(told["rate"], told["burst"], told["concurrency"], keyed=keyed)


# -- schedules ---------------------------------------------------------------------------------


#: What says when one comes.
WHEN = ("cron", "tz", "every_ms", "anchor_ms", "at_ms")


def schedule_view(told: Told) -> ScheduleView:
    """A schedule."""
    its, wrong = None, told["wrong"] or ""
    if not wrong:
        try:
            its = _schedule(told)
        except ValueError as error:  # of a zone that isn't known here
            wrong = f"can't be read here: {error}"
    held = told["paused"]
    return ScheduleView(
        told["name"],
        its,
        wrong,
        told["app"],
        told["next_ms"],
        None if held is None else _pause(held),
        tuple(told["runs"]),
        tuple(made(TickView, tick) for tick in told["ticks"]),
        told["unlisted_ms"],
        told["retired_ms"],
    )


def _schedule(told: Told) -> Schedule:
    when = {name: told[name] for name in WHEN if told[name] is not None}
    said = {
        name: told[name] for name in ("job", "queue", "misfire", "overlap", "owner", "jitter_ms")
    }
    row = {"v": schedule.VERSION, "grace_ms": told["misfire_grace_ms"], **when, **said}
    payload = json.dumps(told["payload"]).encode("ascii")
    return schedule.decode(told["name"], json.dumps(row).encode("ascii") + b"\n" + payload)


def standing(views: Sequence[ScheduleView], now_ms: int) -> Standing:
    """How all schedules stand."""
    coming = sorted(
        (view.next_ms, view.name)
        for view in views
        if view.next_ms is not None and view.retired_ms is None
    )
    unlisted = [
        Unlisted(view.name, view.unlisted_ms, view.retired_ms)
        for view in views
        if view.unlisted_ms is not None
    ]
    return Standing(
        len(views),
        now_ms,
        (coming[0][1], coming[0][0]) if coming else None,
        [(name, at_ms) for at_ms, name in coming if now_ms - at_ms > LATE_MS],
        sorted(unlisted, key=lambda each: (each.retired_ms is not None, each.name)),
    )
