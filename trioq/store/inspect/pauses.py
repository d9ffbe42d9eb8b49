"""What is paused: since when, until when, by whom and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any, Self

import attrs

from trioq.core.formats import pause
from trioq.core.formats.pause import Pause
from trioq.core.limits import key_of, limit_of
from trioq.store import kept
from trioq.store.keys import Keys
from trioq.store.redis import RedisStore

#: Of an answer in JSON.
LISTED = 1000


@attrs.frozen
class Pauses:
    """At one moment."""

    queues: Mapping[str, Pause] = attrs.field(factory=dict[str, Pause])
    """Those that nobody claims from."""
    names: Mapping[str, Pause] = attrs.field(factory=dict[str, Pause])
    """Those of jobs that nobody runs."""
    takes: Mapping[str, Pause] = attrs.field(factory=dict[str, Pause])
    """What jobs take of limits with which nobody starts."""
    schedules: Mapping[str, Pause] = attrs.field(factory=dict[str, Pause])
    """Those whose ticks bring no jobs."""

    @classmethod
    def read(cls, members: Iterable[bytes], told: Sequence[bytes], now_ms: int) -> Self:
        """From what the server has; without those whose time is over, though no engine has made
        a step since."""
        said = dict(zip(told[::2], told[1::2], strict=True))
        found = {kept.text(what): pause.decode(said.get(what)) for what in sorted(members)}
        holding = {what: each for what, each in found.items() if not _is_over(each, now_ms)}
        return cls(
            {w: each for w, each in holding.items() if w[:1] not in ("@", "=", "~")},
            {pause.name_of(w): each for w, each in holding.items() if pause.is_name(w)},
            {pause.take_of(w): each for w, each in holding.items() if pause.is_take(w)},
            {w[1:]: each for w, each in holding.items() if pause.is_schedule(w)},
        )

    def as_json(self) -> list[dict[str, Any]]:
        """The shape of ``pauses`` in ``trioq stats --json``."""
        nothing = {"queue": None, "job": None, "limit": None, "key": None, "schedule": None}
        told = [nothing | {"queue": q} | each.as_json() for q, each in self.queues.items()]
        told += [nothing | {"job": name} | each.as_json() for name, each in self.names.items()]
        told += [
            nothing | {"limit": limit_of(take), "key": key_of(take)} | each.as_json()
            for take, each in self.takes.items()
        ]
        told += [nothing | {"schedule": s} | each.as_json() for s, each in self.schedules.items()]
        return told[:LISTED]

    def in_words(self) -> list[str]:
        """A sentence for each."""
        told = [each.in_words(queue, quote(queue)) for queue, each in self.queues.items()]
        told += [each.in_words(name, f"--job {quote(name)}") for name, each in self.names.items()]
        told += [take_in_words(take, each) for take, each in self.takes.items()]
        return told + [schedule_in_words(name, each) for name, each in self.schedules.items()]


def take_in_words(take: str, paused: Pause) -> str:
    """Of one value of a limit's key."""
    limit, key = limit_of(take), json.dumps(key_of(take), ensure_ascii=False)
    what = f"--limit {quote(limit)} --key {quote(key)}"
    return paused.in_words(f"{limit} for {key}", what)


def schedule_in_words(name: str, paused: Pause) -> str:
    """Of a schedule."""
    return paused.in_words(f"the schedule {name}", quote(name), "trioq schedules CONFIG resume")


def questions(keys: Keys) -> list[tuple[Any, ...]]:
    """How it is asked for what :meth:`Pauses.read` takes."""
    return [("SMEMBERS", keys.fixed("paused")), ("HGETALL", keys.fixed("pauses"))]


def pauses(store: RedisStore) -> Pauses:
    """What is paused now."""
    time, members, told = store.lane.transaction([("TIME",), *questions(store.keys)])
    return Pauses.read(members, told, store.us_of(time) // 1000)


def _is_over(paused: Pause, now_ms: int) -> bool:
    return paused.until_ms is not None and paused.until_ms <= now_ms
