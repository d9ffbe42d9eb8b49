"""What a limit lacks that a job waits for, who has it, and when about there is some. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trioq.core.duration import roughly
from trioq.core.flow import rate_of
from trioq.core.formats.pause import Pause
from trioq.core.limits import ID, SCHEDULE, key_of, limit_of, shown_limit
from trioq.store.inspect.limits import Taken
from trioq.store.inspect.pauses import take_in_words
from trioq.store.inspect.rooms import Room, in_words

#: Jobs that are named, and rooms that are told of as data.
NAMED = 3
ROOMS = 20

#: Values of keys that are paused, with their pauses.
PAUSES = 5


def told(taken: Taken, before: int | None, now_ms: int) -> tuple[str, dict[str, Any]]:
    """In words, and as data.

    Args:
      before: How many of its queue come before the job, if it waits for this take.
    """
    settings = taken.settings
    about_ms = None if before is None else taken.starts_ms(before)
    data = {
        "limit": limit_of(taken.take),
        "key": taken.key,
        "own": taken.has_own,
        "running": taken.running,
        "concurrency": None if settings is None else settings.concurrency or None,
        "holders": list(taken.holders),
        "ids": taken.ids_of(taken.holders),
        "next_ms": taken.next_ms,
        "before": before,
        "about_ms": about_ms,
    }
    says = _lacks(taken, now_ms)
    if before:
        wait = "waits for it comes" if before == 1 else "wait for it come"
        says += f"; {before:,} that {wait} before this one"
        if about_ms is not None and about_ms > now_ms:
            says += f", which may start in about {roughly((about_ms - now_ms) / 1000)}"
    return says, data


def told_of_many(jobs: int, found: Sequence[Room], now_ms: int) -> tuple[str, dict[str, Any]]:
    """The same of so many jobs of a queue.

    Args:
      found: Where they wait, as far as was looked.
    """
    wait = "job of it waits for a limit" if jobs == 1 else "jobs of it wait for limits"
    which = in_words(found, now_ms) or "trioq limits tells which are full"
    rooms = [
        {"limit": room.limit, "take": room.take, "jobs": room.jobs, "next_ms": room.next_ms}
        for room in sorted(found, key=lambda room: -room.jobs)[:ROOMS]
    ]
    return f"{jobs:,} {wait}: {which}", {"jobs": jobs, "limits": rooms}


def told_of_paused(
    found: Sequence[Room], paused: Mapping[str, Pause]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """How many jobs wait for the resume of a value of a key, and for which, in words and as data;
    those first for which the most wait.

    Args:
      found: The rooms of one queue.
      paused: Take → its pause.
    """
    shut = sorted((room for room in found if room.take in paused), key=lambda room: -room.jobs)
    for room in shut[:PAUSES]:
        pause, value = paused[room.take], {"limit": room.limit, "key": key_of(room.take)}
        yield room.jobs, take_in_words(room.take, pause), value | pause.as_json()
    if more := shut[PAUSES:]:
        says = f"more values of keys are paused, {len(more):,} of them; trioq pause tells which"
        yield sum(room.jobs for room in more), says, {}


def _lacks(taken: Taken, now_ms: int) -> str:
    if limit_of(taken.take) == SCHEDULE and taken.is_full:
        return f"one run of schedule {taken.key} at a time: it waits for {_holders(taken)} to end"
    if limit_of(taken.take) == ID and taken.is_full:
        return f"waits for {_holders(taken)} to end, the run before it of its id"
    of = "" if taken.key is None else f" for {json.dumps(taken.key, ensure_ascii=False)}"
    of += " (set for it alone)" if taken.has_own else ""
    limit, settings = f"the limit {shown_limit(limit_of(taken.take))}{of}", taken.settings
    if settings is not None and taken.is_full:
        run = "runs" if taken.running == 1 else "run"
        says = f"{limit} is full: {taken.running:,} of {settings.concurrency:,} {run}"
        return says + (f", held by {_holders(taken)}" if taken.holders else "")
    if taken.next_ms is None:
        return f"{limit} was full, and has room: those that wait for it are next"
    if taken.rests or settings is None:
        how = "rests, as a job was told to wait: the next one may start"
    else:
        how = f"lets {rate_of(settings.interval_us)} start: the next one"
    return f"{limit} {how} in {roughly((taken.next_ms - now_ms) / 1000)}"


def _holders(taken: Taken) -> str:
    """By their callers' ids, where they have one."""
    shown = [taken.id_of(uid) for uid in taken.holders[:NAMED]]
    more = taken.running - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
