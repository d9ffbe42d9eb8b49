"""Limits: how much of each is in use, by whom, and who waits for it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.config.sections import RATE
from trioq.core.flow import rate_of
from trioq.core.formats import flow
from trioq.core.formats.ids import id_in
from trioq.core.formats.pause import Pause
from trioq.core.job import Uid
from trioq.core.limiter import interval_us, start_us
from trioq.core.limits import ONE_EACH, LimitSettings, is_own, key_of, limit_of
from trioq.store import kept
from trioq.store.inspect.deployed import Deployed, deployed
from trioq.store.inspect.fields import PAGE, scanned
from trioq.store.inspect.pauses import pauses
from trioq.store.redis import RedisStore

#: Of each limit so many takes are told, and so many that are paused; of each take so many jobs.
SHOWN = 20
NAMED = 10


@attrs.frozen
class Taken:
    """A take, and how much of it there is: of a limit, or of its share for one value."""

    take: str
    settings: LimitSettings | None
    """None: nobody has told of the limit, so it limits nothing."""
    running: int
    holders: tuple[Uid, ...]
    """The first of those that run."""
    waiting: int
    """Jobs that wait because of it."""
    first: tuple[Uid, ...]
    """Those of them that come next."""
    has_own: bool = False
    """Whether these settings are for this value of the limit's key alone."""
    ids: Mapping[Uid, str] = attrs.field(factory=dict[Uid, str])
    """The callers' ids of those that are named and have one."""
    tat_us: int = 0
    """The theoretical arrival time of the next start; epoch, as the next two."""
    rests_us: int = 0
    """Until when nobody may start because it rests."""
    now_us: int = 0

    @property
    def key(self) -> Any:
        """The value that it is for; None: its limit has no key."""
        return key_of(self.take)

    @property
    def is_full(self) -> bool:
        """Whether no more may run until one of those that do has ended."""
        return 0 < concurrency(self.settings) <= self.running

    @property
    def next_ms(self) -> int | None:
        """When the next one may start, epoch; None: neither its rate nor a rest holds up
        anything."""
        start_us = self._start_us(0)
        return math.ceil(start_us / 1000) if start_us > self.now_us else None

    @property
    def rests(self) -> bool:
        """Whether nobody may start until then because it rests."""
        return self.now_us < self.rests_us == self._start_us(0)

    def starts_ms(self, nth: int) -> int | None:
        """When one may start that has so many before it, epoch, as far as rate and rest say.

        None: they say nothing, or it takes a slot first.
        """
        settings = self.settings
        if self.is_full or settings is None or not (settings.interval_us or self.next_ms):
            return None
        return math.ceil(self._start_us(nth) / 1000)

    @property
    def last_ms(self) -> int | None:
        """The same of the last that waits."""
        return self.starts_ms(self.waiting - 1) if self.waiting else None

    def _start_us(self, nth: int) -> int:
        from_us, settings = max(self.now_us, self.rests_us), self.settings
        if settings is None or not settings.interval_us:
            return from_us
        return start_us(
            self.tat_us, from_us, nth=nth, interval_us=settings.interval_us, burst=settings.burst
        )

    def id_of(self, uid: Uid) -> str:
        """What people know a job by."""
        return self.ids.get(uid, uid)

    def ids_of(self, uids: Sequence[Uid]) -> dict[Uid, str]:
        """Of these the callers' ids, where they have one."""
        return {uid: self.ids[uid] for uid in uids if uid in self.ids}

    def as_json(self) -> dict[str, Any]:
        """The shape of a take with ``--json``."""
        return {
            "take": self.take,
            "key": self.key,
            "own": settings_json(self.settings) if self.has_own else None,
            "running": self.running,
            "holders": list(self.holders),
            "waiting": self.waiting,
            "first": list(self.first),
            "ids": self.ids_of((*self.holders, *self.first)),
            "next_ms": self.next_ms,
            "last_ms": self.last_ms,
        }


@attrs.frozen
class LimitView:
    """One limit, and those of its takes that are in use or waited for."""

    name: str
    settings: LimitSettings | None
    since_ms: int
    """When that was settled, epoch; 0: nobody has told of it."""
    deployed: Deployed | None
    """What configurations say; while no engine lives, what the last ones said. None: nothing."""
    running: int
    waiting: int
    takes: tuple[Taken, ...]
    """Those with settings of their own come first, then those that most wait for; at most 20."""
    left_out: int = 0
    """So many more there are."""
    paused: Mapping[str, Pause] = attrs.field(factory=dict[str, Pause])
    """Its takes, also those that nobody uses, with which nobody starts."""

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody has set something else than the configuration says."""
        return self.deployed is not None and self.settings != self.deployed.settings

    @property
    def is_over(self) -> bool:
        """Whether it is of no interest: nobody runs or waits because of it, and nobody has it, or
        it is trioq's own."""
        limits_none = self.settings in (None, LimitSettings()) or is_own(self.name)
        return self.deployed is None and limits_none and not (self.takes or self.paused)

    def as_json(self) -> dict[str, Any]:
        """The shape of a limit with ``--json``."""
        return {
            "name": self.name,
            **settings_json(self.settings),
            "keyed": self.settings is not None and self.settings.keyed,
            "known": self.settings is not None,
            "since_ms": self.since_ms,
            "by_hand": self.is_by_hand,
            "deployed": self.deployed and self.deployed.as_json(),
            "running": self.running,
            "waiting": self.waiting,
            "takes": [taken.as_json() for taken in self.takes],
            "takes_left_out": self.left_out,
            "paused": [
                {"key": key_of(take), **pause.as_json()}
                for take, pause in itertools.islice(self.paused.items(), SHOWN)
            ],
            "paused_left_out": max(0, len(self.paused) - SHOWN),
        }


def settings_json(settings: LimitSettings | None) -> dict[str, Any]:
    """What a limit allows, as its configuration has it; null: anything."""
    has_rate = settings is not None and settings.interval_us > 0
    return {
        "rate": rate_of(settings.interval_us) if settings is not None and has_rate else None,
        "burst": 1 if settings is None else settings.burst,
        "concurrency": concurrency(settings) or None,
    }


def settings_of(
    rate: float | str | None, burst: int, most: int | None, *, keyed: bool
) -> LimitSettings:
    """What :func:`settings_json` has told of.

    Args:
      rate: Starts per second, or a text such as ``5/m``; None: at any rate.
      burst: Starts at once after a quiet time.
      most: Jobs that run at a time; None: any number.
      keyed: Whether that is so for each value of a key.
    """
    per_s = RATE.parse(RATE.from_text(rate)) if isinstance(rate, str) else rate
    between_us = 0 if per_s is None else interval_us(float(per_s))
    return LimitSettings(between_us, burst, most or 0, keyed)


def concurrency(settings: LimitSettings | None) -> int:
    """So many may run at a time; 0: any number."""
    return 0 if settings is None else settings.concurrency


def limits(store: RedisStore) -> list[LimitView]:
    """All limits that some engine has, that jobs take of, or that are paused, by name. Bounded: of
    more claims, or values that somebody waits for, than 10,000 it tells of some."""
    kept_as = dict(scanned(store, "limits"))
    told = {take: decoded(text) for take, text in kept_as.items()}
    own = {take for take, settings in told.items() if settings and take != limit_of(take)}
    held = {take: kept.number(count.encode()) for take, count in scanned(store, "slots")}
    rooms = {take: tuple(queues.split("\n")) for take, queues in scanned(store, "rooms")}
    waiting = _waiting(store, rooms)
    holders, said = _holders(store), deployed(store)
    by_limit: dict[str, list[str]] = {}
    for take in dict.fromkeys((*told, *held, *rooms)):
        by_limit.setdefault(limit_of(take), []).append(take)
    paused: dict[str, dict[str, Pause]] = {}
    for take, pause in pauses(store).takes.items():
        paused.setdefault(limit_of(take), {})[take] = pause
        by_limit.setdefault(limit_of(take), [])
    found = []
    for name, takes in sorted(by_limit.items()):
        takes.sort(key=lambda take: (take not in own, -waiting[take], -held.get(take, 0), take))
        in_use = [take for take in takes if held.get(take) or waiting[take] or take != name]
        shown = [
            Taken(
                take,
                ONE_EACH if is_own(take) else told.get(take) or told.get(name),
                held.get(take, 0),
                tuple(holders.get(take, ())[:NAMED]),
                waiting[take],
                _first(store, take, rooms.get(take, ())),
                has_own=take in own,
            )
            for take in in_use[:SHOWN]
        ]
        found.append(
            LimitView(
                name,
                ONE_EACH if is_own(name) else told.get(name),
                kept.leading(kept_as.get(name, "").encode()),
                said.get(name),
                sum(held.get(take, 0) for take in takes),
                sum(waiting[take] for take in takes),
                tuple(_with_times(store, shown)),
                len(in_use) - len(shown),
                paused.get(name, {}),
            )
        )
    return [view for view in found if not view.is_over]


def taken(store: RedisStore, takes: Sequence[str]) -> list[Taken]:
    """How much there is of each of these takes."""
    if not takes:
        return []
    keys = store.keys
    names = [limit_of(take) for take in takes]
    told = known(store, [*takes, *names])
    held, queues = store.lane.pipeline(
        [
            ("HMGET", keys.fixed("slots"), *takes),
            ("HMGET", keys.fixed("rooms"), *takes),
        ]
    )
    rooms = {
        take: tuple(kept.text(each or b"").split("\n"))
        for take, each in zip(takes, queues, strict=True)
    }
    waiting, holders = _waiting(store, rooms), _holders(store)
    found = [
        Taken(
            take,
            ONE_EACH if is_own(take) else told[take][0] or told[name][0],
            kept.number(count),
            tuple(holders.get(take, ())[:NAMED]),
            waiting[take],
            _first(store, take, rooms[take]),
            has_own=take != name and told[take][0] is not None,
        )
        for take, name, count in zip(takes, names, held, strict=True)
    ]
    return list(_with_times(store, found))


def known(
    store: RedisStore, takes: Sequence[str]
) -> Mapping[str, tuple[LimitSettings | None, int]]:
    """What is told of each limit, or of single values of their keys, and its version."""
    found = store.lane.call("HMGET", store.keys.fixed("limits"), *takes)
    texts = (kept.text(each or b"") for each in found)
    told = {take: (decoded(text), text) for take, text in zip(takes, texts, strict=True)}
    return {take: (each, kept.leading(text.encode())) for take, (each, text) in told.items()}


def takes_of(store: RedisStore, uid: Uid) -> tuple[str, ...]:
    """What a job takes of limits, as it was enqueued."""
    row = store.lane.call("HGET", store.keys.fixed("flow"), uid)
    return flow.takes_of(kept.text(row)) if row else ()


def before(store: RedisStore, queue: str, takes: Sequence[str], uid: Uid) -> tuple[str, int] | None:
    """For which of these takes a job waits, and how many do before it; None: for none."""
    if not takes:
        return None
    key, members = store.keys.fixed("limited"), [f"{queue}\0{take}\0{uid}" for take in takes]
    scores, *ranks = store.lane.pipeline(
        [
            ("ZMSCORE", key, *members),
            *(
                ("ZLEXCOUNT", key, f"[{queue}\0{take}\0", f"({member}")
                for take, member in zip(takes, members, strict=True)
            ),
        ]
    )
    for take, score, rank in zip(takes, scores, ranks, strict=True):
        if score is not None:
            return take, rank
    return None


def decoded(text: str) -> LimitSettings | None:
    """Settings as they are kept; None: there are none, or somebody else wrote them."""
    parts = text.split(":")
    if len(parts) not in (4, 5) or not all(kept.is_number(part.encode()) for part in parts):
        return None
    _, interval_us, burst, most, *keyed = map(int, parts)
    return LimitSettings(interval_us, burst, most, any(keyed))


# -- below -------------------------------------------------------------------------------------


def _waiting(store: RedisStore, rooms: Mapping[str, Sequence[str]]) -> Counter[str]:
    """How many wait for each take, in all queues."""
    key = store.keys.fixed("limited")
    pairs = [(take, queue) for take, queues in rooms.items() for queue in queues]
    counts: Counter[str] = Counter()
    for start in range(0, len(pairs), PAGE):
        page = pairs[start : start + PAGE]
        answers = store.lane.pipeline(
            [("ZLEXCOUNT", key, f"[{q}\0{take}\0", f"({q}\0{take}\1") for take, q in page]
        )
        for (take, _), count in zip(page, answers, strict=True):
            counts[take] += count
    return counts


def _first(store: RedisStore, take: str, queues: Sequence[str]) -> tuple[Uid, ...]:
    """Those who come next, the oldest of all queues first: uids are ordered by time."""
    if not queues:
        return ()
    members = store.lane.pipeline(
        [
            ("ZRANGEBYLEX", store.keys.fixed("limited"), f"[{q}\0{take}\0", f"({q}\0{take}\1",
             "LIMIT", 0, NAMED)
            for q in queues
        ]
    )  # fmt: skip
    uids = [member.rpartition("\0")[2] for page in members for member in kept.texts(page)]
    return tuple(sorted(uids)[:NAMED])


def _holders(store: RedisStore) -> dict[str, list[Uid]]:
    """Take → the jobs that hold it, by age."""
    found: dict[str, list[Uid]] = {}
    for uid, row in sorted(scanned(store, "took")):
        for take in row.split("\n"):
            found.setdefault(take, []).append(uid)
    return found


def _with_times(store: RedisStore, found: Sequence[Taken]) -> Iterator[Taken]:
    """With what decides when the next ones start, and the ids of those who are named."""
    if not found:
        return
    names = [name for each in found for name in (each.take, f"\0{each.take}")]
    uids = list(dict.fromkeys(uid for each in found for uid in (*each.holders, *each.first)))
    asked = [("TIME",), ("ZMSCORE", store.keys.fixed("tats"), *names)]
    if uids:
        asked.append(("HMGET", store.keys.fixed("id_of"), *uids))
    time, times, *rest = store.lane.transaction(asked)
    stored = zip(uids, *rest, strict=True)
    ids = {uid: id for uid, text in stored if (id := id_in(kept.text(text or b"")))}
    for each, tat, rests in zip(found, times[::2], times[1::2], strict=True):
        yield attrs.evolve(
            each,
            ids={uid: ids[uid] for uid in (*each.holders, *each.first) if uid in ids},
            tat_us=int(float(tat or 0)),
            rests_us=int(float(rests or 0)),
            now_us=store.us_of(time),
        )
