"""All that a namespace holds, at one moment: read from the server, or from the model.

Both give the same :class:`Dump`, so that they can be compared, and checked for what must
always be true (:mod:`tests.invariants`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from tests.support import PATIENCE_S
from trioq.core.fair import tag_text
from trioq.core.formats import flow, ids
from trioq.core.formats.door import name_of as door_name
from trioq.core.limits import LimitSettings
from trioq.core.model import Ended, Hold, Namespace
from trioq.core.model.state import Share, SharedBreaker
from trioq.store import kept
from trioq.store.keys import CATALOGUE, FIXED
from trioq.store.redis import RedisStore

#: Reads everything; for tests alone, since it names keys that aren't declared.
_READ = """
local found = {}
for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
  local kind, value = redis.call("TYPE", key).ok, nil
  if kind == "string" then
    value = redis.call("GET", key)
  elseif kind == "list" then
    value = redis.call("LRANGE", key, 0, -1)
  elseif kind == "set" then
    value = redis.call("SMEMBERS", key)
  elseif kind == "hash" then
    value = redis.call("HGETALL", key)
  elseif kind == "zset" then
    value = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
  end
  found[#found + 1] = { key, value }
end
return found
"""


@attrs.frozen(kw_only=True)
class Waiting:
    """One queue."""

    ready: tuple[str, ...] = ()
    """The oldest first, here and below."""
    keyed: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Those that have a fair key, and their tags."""
    suspects: tuple[str, ...] = ()
    scheduled: Mapping[str, int] = attrs.field(factory=dict[str, int])
    dropped: frozenset[str] = frozenset()
    """Cancelled, and still in ``ready``."""

    @property
    def in_line(self) -> list[str]:
        """The ready ones that aren't cancelled; then those with a fair key, by their turns."""
        by_turn = sorted(self.keyed, key=lambda uid: (self.keyed[uid], uid))
        return [uid for uid in (*self.ready, *by_turn) if uid not in self.dropped]


@attrs.frozen(kw_only=True)
class Dump:
    """One moment of a namespace."""

    jobs: Mapping[str, bytes]
    big: Mapping[str, bytes]
    attempts: Mapping[str, int]
    reaps: Mapping[str, int]
    history: Mapping[str, bytes]
    reasons: Mapping[str, str]
    id_of: Mapping[str, str]
    """As it lies there (:mod:`trioq.core.formats.ids`)."""
    ids: Mapping[str, str]
    """A uid, or ``state:uid``."""
    ended: Mapping[str, int]
    queues: Mapping[str, Waiting]
    parked: Mapping[tuple[str, str], tuple[str, ...]]
    passed: Mapping[tuple[str, str], frozenset[str]]
    """Queue and name → who was cancelled behind one of its doors."""
    """Those that lie behind a door and are over."""
    behind: frozenset[str]
    doors: Mapping[tuple[str, str], tuple[int, int]]
    """Since when, and how many have waited since then."""
    asks: Mapping[str, Mapping[str, tuple[int, int, int, bytes]]]
    """Of an engine's claims: as which ask, of which step, how long its end is kept, summary."""
    asked: Mapping[str, int]
    notes: Mapping[str, bytes]
    flow: Mapping[str, str]
    """What jobs take of limits, as it lies there."""
    turns: Mapping[str, int]
    """How far each queue, and each key in it, has come; not what is over."""
    spare: Mapping[str, frozenset[tuple[int, int]]]
    """Queue and key → the turns of those that didn't wait for them, before others'; likewise."""
    took: Mapping[str, tuple[str, ...]]
    slots: Mapping[str, int]
    limit_settings: Mapping[str, str]
    declared: Mapping[str, str]
    deployed: Mapping[str, str]
    tats: Mapping[str, int]
    rooms: Mapping[tuple[str, str], tuple[str, ...]]
    """Queue and take → who was refused by it."""
    waited_in: Mapping[str, frozenset[str]]
    """Take → the queues in which somebody waits for it."""
    open: frozenset[tuple[str, str]]
    permits: Mapping[tuple[str, str], int]
    running: Mapping[str, Mapping[str, Hold]]
    steps: Mapping[str, tuple[int, frozenset[str], frozenset[str]]]
    beats: Mapping[str, int]
    engines: Mapping[str, bytes]
    dead: Mapping[str, int]
    kept: tuple[tuple[int, tuple[bytes, ...]], ...]
    """Of jobs that ended together, the newest first: how many had ended by then, and their
    summaries likewise."""
    results: Mapping[str, bytes]
    """A word, a space, and what goes with it."""
    results_due: Mapping[str, int]
    waits: Mapping[str, str]
    line: Mapping[str, tuple[str, ...]]
    """A queue → who waits for room there, in order: what is known of each."""
    strays: tuple[str, ...]
    stats: Mapping[str, int]
    used: frozenset[str]
    paused: frozenset[str]
    pauses: Mapping[str, tuple[int, int, bytes]]
    """Since when, until when, who and why."""
    seen: Mapping[str, str]
    senders: Mapping[str, int]
    """Their last numbers."""
    limits: Mapping[str, int]
    schedules: Mapping[str, bytes]
    listing: Mapping[str, str]
    lists: Mapping[str, str]
    owners: Mapping[str, str]
    unlisted: Mapping[str, str]
    ticks: Mapping[str, int]
    runs: Mapping[str, tuple[str, ...]]
    ticked: Mapping[str, tuple[str, ...]]
    """What became of the last ticks of each schedule, a line each."""
    breakers: Mapping[str, SharedBreaker]
    bells: frozenset[str]
    unknown: tuple[str, ...] = ()
    """Keys that nobody knows."""

    @property
    def done(self) -> tuple[bytes, ...]:
        """All summaries, the newest first."""
        return tuple(each for _, summaries in self.kept for each in summaries)

    def places(self) -> Iterable[tuple[str, str]]:
        """Each uid and where it lies; twice if it lies twice."""
        for name, queue in self.queues.items():
            for uid in queue.in_line:
                yield uid, f"ready:{name}"
            for uid in queue.suspects:
                yield uid, f"suspects:{name}"
            for uid in queue.scheduled:
                yield uid, f"scheduled:{name}"
        for (name, door), uids in self.parked.items():
            for uid in uids:
                if uid not in self.passed.get((name, door_name(door)), ()):
                    yield uid, f"parked:{name}:{door}"
        for engine, held in self.running.items():
            for uid in held:
                yield uid, f"running:{engine}"
        for (name, take), uids in self.rooms.items():
            for uid in uids:
                yield uid, f"limited:{name}:{take}"
        for uid in self.dead:
            yield uid, "dead"

    def difference(self, other: Dump) -> str:
        """The fields that differ, for people to read; empty: none does."""
        mine, theirs = attrs.asdict(self, recurse=False), attrs.asdict(other, recurse=False)
        return "\n".join(
            f"{name}:\n  {value}\n  {theirs[name]}"
            for name, value in mine.items()
            if value != theirs[name]
        )


def dump(store: RedisStore) -> Dump:
    """From the server, in one script."""
    start = f"{{{store.keys.tag}}}:"
    raw: dict[str, Any] = {}
    for key, value in store.lane.call("EVAL", _READ, 0, f"{start}*", timeout_s=PATIENCE_S):
        raw[key.decode().removeprefix(start)] = value
    unknown = [key for key in raw if not _is_known(key)]

    def fixed(name: str, value_of: Callable[[bytes], Any]) -> dict[str, Any]:
        return _pairs(raw.get(name, []), value_of)

    families = dict[str, dict[str, Any]]()
    for key, value in raw.items():
        kind, _, name = key.partition(":")
        if name:
            families.setdefault(kind, {})[name] = value

    def each(kind: str) -> dict[str, Any]:
        return families.get(kind, {})

    keyed = dict[str, dict[str, str]]()
    for member, _ in _flat(raw.get("fair", [])):
        queue, tag, uid = _text(member).split("\0", 2)
        keyed.setdefault(queue, {})[uid] = tag
    names = each("ready").keys() | keyed.keys() | each("suspects").keys() | each("scheduled").keys()
    queues = {
        name: Waiting(
            ready=_oldest_first(raw.get(f"ready:{name}", [])),
            keyed=keyed.get(name, {}),
            suspects=_oldest_first(raw.get(f"suspects:{name}", [])),
            scheduled=_pairs(raw.get(f"scheduled:{name}", []), _number),
            dropped=frozenset(map(_text, raw.get(f"dropped:{name}", []))),
        )
        for name in names | each("dropped").keys()
    }
    return Dump(
        jobs=fixed("jobs", bytes),
        big=fixed("big", bytes),
        attempts=_without_zeros(fixed("attempts", int)),
        reaps=fixed("reaps", int),
        history=fixed("history", bytes),
        reasons=fixed("reasons", _text),
        id_of=fixed("id_of", _text),
        ids=fixed("ids", _text),
        ended=fixed("ended", _number),
        queues=queues,
        parked={_door(name): _oldest_first(uids) for name, uids in each("parked").items()},
        passed={
            _door(name): frozenset(map(_text, uids))
            for name, uids in each("dropped_behind").items()
        },
        behind=frozenset(map(_text, raw.get("behind", []))),
        asks={engine: _pairs(flat, _ask) for engine, flat in each("asks").items()},
        asked=fixed("asked", int),
        notes=fixed("notes", bytes),
        flow=fixed("flow", _text),
        turns=_turns(
            {of: int(at, 16) for of, at in fixed("turns", _text).items() if "-" not in at}
        ),
        spare=_spare(fixed("turns", _text)),
        took=fixed("took", lambda row: tuple(row.decode().split("\n"))),
        slots=fixed("slots", int),
        limit_settings=fixed("limits", _text),
        declared=fixed("declared", _text),
        deployed=fixed("deployed", _text),
        tats=fixed("tats", _number),
        rooms=_rooms(fixed("limited", _number)),
        waited_in=fixed("rooms", lambda row: frozenset(row.decode().split("\n"))),
        open=frozenset(map(_room, fixed("open", _number))),
        permits={_room(room): at for room, at in fixed("permits", _number).items()},
        doors={_door(name): value for name, value in fixed("parked", _since).items()},
        running={
            engine: _pairs(each("running").get(engine, []), _hold)
            | _unpacked(each("packs").get(engine, []))
            for engine in each("running").keys() | each("packs").keys()
        },
        steps=fixed("steps", _last_step),
        beats=fixed("beats", kept.beats),
        engines=fixed("engines", bytes),
        dead=fixed("dead", _number),
        kept=_kept(raw.get("done", [])),
        results=fixed("results", bytes),
        results_due=fixed("results_due", _number),
        waits=fixed("waits", _text),
        line=_line(fixed("enqueuers", _text), raw.get("enqueuers_line", [])),
        strays=_oldest_first(raw.get("strays", [])),
        stats=_without_zeros(fixed("stats", int)),
        used=frozenset(map(_text, raw.get("queues", []))),
        paused=frozenset(map(_text, raw.get("paused", []))),
        pauses=fixed("pauses", _pause),
        seen={_path(path): _text(mark) for path, mark in _flat(raw.get("seen", []))},
        senders={name: int(value.split()[0]) for name, value in each("sender").items()},
        limits={name: int(value) for name, value in each("limit").items()},
        schedules=fixed("schedules", bytes),
        listing=fixed("listing", _text),
        lists=fixed("lists", _text),
        owners=fixed("owners", _text),
        unlisted=fixed("unlisted", _text),
        ticks=fixed("ticks", _number),
        runs=fixed("runs", lambda row: tuple(row.decode().split())),
        ticked=fixed("ticked", lambda row: tuple(row.decode().split("\n"))),
        breakers=fixed("breakers", _breaker),
        bells=frozenset(name for name, tokens in each("bell").items() if len(tokens) == 1),
        unknown=tuple(unknown + [f"bell:{n}" for n, tokens in each("bell").items() if tokens[1:]]),
    )


def dump_of_model(space: Namespace) -> Dump:
    """From the specification."""
    queues = {
        name: Waiting(
            ready=tuple(queue.ready),
            keyed={uid: tag_text(tag) for uid, tag in queue.keyed.tags.items()},
            suspects=tuple(queue.suspects),
            scheduled=dict(queue.scheduled.items()),
            dropped=frozenset(queue.cancelled),
        )
        for name, queue in space.queues.items()
    }
    doors = {(q, n): door for q, queue in space.queues.items() for n, door in queue.parked.items()}
    jobs = space.jobs
    return Dump(
        jobs={uid: life.stored for uid, life in jobs.items()},
        big={uid: life.big for uid, life in jobs.items() if life.big},
        attempts={uid: life.attempts for uid, life in jobs.items() if life.attempts},
        reaps={uid: life.reaps for uid, life in jobs.items() if life.reaps},
        history={uid: life.history for uid, life in jobs.items() if life.errors},
        reasons={uid: life.reason for uid, life in jobs.items() if life.reason},
        id_of={
            uid: ids.encode(life.id, life.kept, is_lost=life.lost_id)
            for uid, life in jobs.items()
            if life.id
        },
        ids={
            id: f"{who.state}:{who.uid}" if isinstance(who, Ended) else who
            for id, who in space.ids.items()
        },
        ended=dict(space.forget.items()),
        queues={name: waiting for name, waiting in queues.items() if waiting != Waiting()},
        parked={door: tuple(waits.jobs) for door, waits in doors.items()},
        passed={
            (queue, door_name(name)): frozenset(waits.cancelled)
            for (queue, name), waits in doors.items()
            if waits.cancelled
        },
        behind=frozenset(
            uid for door in doors.values() for uid in door.jobs if uid not in door.cancelled
        ),
        asks={
            name: {
                uid: (ask.nth, ask.step, ask.unwanted.keep_ms, ask.unwanted.summary)
                for uid, ask in boot.asks.items()
            }
            for name, boot in space.boots.items()
            if boot.asks
        },
        asked={name: boot.asked for name, boot in space.boots.items() if boot.asked},
        notes={uid: life.note for uid, life in jobs.items() if life.note},
        flow={
            uid: flow.encode(life.takes, life.fair, life.tag)
            for uid, life in jobs.items()
            if life.takes or life.fair
        },
        turns=_turns(
            space.turns.now | {"\0".join(of): end for of, end in space.turns.ends.items()}
        ),
        spare={
            "\0".join(of): turns
            for of, each in space.turns.spare.items()
            if (turns := _joined(((s, e) for e, s in each.items()), space.turns.now.get(of[0], 0)))
        },
        took=dict(space.flow.took),
        slots=dict(space.flow.slots),
        limit_settings={
            take: f"{version}:{_limit(limit)}"
            for take, (version, limit) in space.flow.settings.items()
        },
        declared={
            boot: "\n".join(f"{name}:{_limit(limit)}" for name, limit in sorted(limits.items()))
            for boot, limits in space.flow.deployed.declared.items()
        },
        deployed={
            name: "\n".join(f"{_limit(d.said)} {d.times}" for d in declarations)
            for name, declarations in space.flow.deployed.known.items()
        },
        tats=dict(space.flow.tats.items()),
        rooms={room: tuple(uids) for room, uids in space.flow.rooms.items()},
        waited_in={
            take: frozenset(q for q, t in space.flow.rooms if t == take)
            for _, take in space.flow.rooms
        },
        open=frozenset(space.flow.open),
        permits={_room(room): at for room, at in space.flow.permits.items()},
        doors={door: (waits.since_ms, waits.noted) for door, waits in doors.items()},
        running={name: dict(boot.held) for name, boot in space.boots.items() if boot.held},
        steps={
            name: (boot.last, boot.refused, boot.cancelled) for name, boot in space.boots.items()
        },
        beats={name: boot.beats for name, boot in space.boots.items()},
        engines={name: boot.info for name, boot in space.boots.items()},
        dead=dict(space.dead),
        kept=tuple((kept.by_then, kept.summaries) for kept in space.kept),
        results={uid: f"{end.state} ".encode() + end.value for uid, end in space.results.items()},
        results_due=dict(space.results_due.items()),
        waits={uid: " ".join(clients) for uid, clients in space.waits.items()},
        line={
            queue: tuple(
                f"{uid} {p.nth} {p.until_ms} {p.tried_ms} {p.jobs} {p.most} {p.client}"
                f" {p.queue} {p.id}"
                for uid, p in space.in_line(queue)
            )
            for queue in {place.queue for place in space.line.values()}
        },
        strays=tuple(space.strays),
        stats=_without_zeros({**space.stats, "parked_version": space.parked_version}),
        used=frozenset(space.used),
        paused=frozenset(space.paused),
        pauses={what: (p.since_ms, p.until_ms, p.said) for what, p in space.paused.items()},
        seen=space.seen | {f"\0{path}": mark for path, mark in space.marks.items()},
        senders={name: n for name, (n, _) in space.senders.items()},
        limits=dict(space.limits),
        schedules=dict(space.schedules.rows),
        listing={boot: " ".join(told) for boot, told in space.listing.boots.items()},
        lists={
            app: "\n".join(
                (space.listing.held.get(app, "-"), *(f"{each.said} {each.times}" for each in known))
            )
            for app, known in space.listing.known.items()
        },
        owners=dict(space.listing.owners),
        unlisted={name: each.stored for name, each in space.listing.unlisted.items()},
        ticks=dict(space.schedules.ticks.items()),
        runs=dict(space.schedules.runs),
        ticked={
            name: tuple(mark.stored for mark in marks)
            for name, marks in space.schedules.marks.items()
        },
        breakers={name: copy.deepcopy(each) for name, each in space.breakers.items()},
        bells=frozenset(space.bells),
    )


#: Keys that there are several of.
_SEVERAL = {doc.name.partition(":")[0] for doc in CATALOGUE if "<" in doc.name}


def _is_known(key: str) -> bool:
    return key in FIXED or key.partition(":")[0] in _SEVERAL


def _flat(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _pairs(flat: list[bytes], value_of: Callable[[bytes], Any]) -> dict[str, Any]:
    return {name.decode(): value_of(value) for name, value in _flat(flat)}


def _breaker(text: bytes) -> SharedBreaker:
    head, *lines = text.decode().split("\n")
    state, *numbers = head.split()
    rows = [line.split() for line in lines if line]
    return SharedBreaker(
        state,  # type: ignore[arg-type]
        *map(int, numbers),
        shares={row[1]: Share(*map(int, row[2:])) for row in rows if row[0] == "boot"},
        window={int(row[1]): (int(row[2]), int(row[3])) for row in rows if row[0] == "slot"},
    )


def _kept(pieces: list[bytes]) -> tuple[tuple[int, tuple[bytes, ...]], ...]:
    """Of jobs that ended together, how many had ended by then, and the summaries, newest first."""
    return tuple(
        (int(by_then), tuple(filter(None, reversed(lines.split(b"\n")))))
        for lines, by_then in zip(pieces[::2], pieces[1::2], strict=True)
    )


def _turns(times: Mapping[str, int]) -> dict[str, int]:
    """Without what says nothing any more: some steps forget some of it."""

    def is_over(of: str, at: int) -> bool:
        queue, is_key, _ = of.partition("\0")
        return at <= (times.get(queue, 0) if is_key else 0)

    return {of: at for of, at in times.items() if not is_over(of, at)}


def _spare(times: Mapping[str, str]) -> dict[str, frozenset[tuple[int, int]]]:
    """Noted at each of their ends."""
    found = dict[str, list[tuple[int, int]]]()
    for field, noted in times.items():
        ends, _, starts = noted.partition("-")
        if starts:
            of, _, at = field.rpartition("\0")
            assert at in (ends, starts)
            found.setdefault(of, []).append((int(starts, 16), int(ends, 16)))
    now = {queue: int(at, 16) for queue, at in times.items() if "\0" not in queue}
    joined = {of: _joined(each, now.get(of.split("\0")[0], 0)) for of, each in found.items()}
    return {of: each for of, each in joined.items() if each}


def _joined(turns: Iterable[tuple[int, int]], now: int) -> frozenset[tuple[int, int]]:
    """What isn't over of them, those that touch as one."""
    joined = list[tuple[int, int]]()
    for starts, ends in sorted((max(starts, now), ends) for starts, ends in turns if ends > now):
        touches = joined and joined[-1][1] == starts
        joined.append((joined.pop()[0] if touches else starts, ends))
    return frozenset(joined)


def _line(places: Mapping[str, str], order: list[bytes]) -> dict[str, tuple[str, ...]]:
    """Of each queue; who has no place, or one elsewhere, is told of as he lies there."""
    line: dict[str, tuple[str, ...]] = {}
    for member in order[::2]:
        queue, nth, uid = member.decode().split("\0")
        place = places.get(uid, "no place")
        assert place.split()[:7:6] == [str(int(nth)), queue], (member, place)
        line[queue] = (*line.get(queue, ()), f"{uid} {place}")
    assert sum(map(len, line.values())) == len(places), (places, order)
    return line


def _oldest_first(uids: list[bytes]) -> tuple[str, ...]:
    return tuple(uid.decode() for uid in reversed(uids))


def _without_zeros(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _limit(limit: LimitSettings) -> str:
    return f"{limit.interval_us}:{limit.burst}:{limit.concurrency}:{limit.keyed:d}"


def _text(value: bytes) -> str:
    return value.decode()


def _path(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _number(value: bytes) -> int:
    assert float(value) == int(float(value)), value
    return int(float(value))


def _door(name: str) -> tuple[str, str]:
    queue, _, job = name.partition(":")
    return queue, job


def _room(name: str) -> tuple[str, str]:
    queue, take = name.split("\0")
    return queue, take


def _rooms(members: Iterable[str]) -> dict[tuple[str, str], tuple[str, ...]]:
    rooms: dict[tuple[str, str], tuple[str, ...]] = {}
    for member in members:
        queue, take, uid = member.split("\0")
        rooms[queue, take] = (*rooms.get((queue, take), ()), uid)
    return rooms


def _since(value: bytes) -> tuple[int, int]:
    since, _, count = value.decode().partition(":")
    return int(since), int(count)


def _hold(value: bytes) -> Hold:
    n, i, flag, queue = value.decode().split(":", 3)
    assert flag in ("", "s"), value
    return Hold(int(n), int(i), queue, flag == "s")


def _unpacked(flat: list[bytes]) -> dict[str, Hold]:
    """What lies in packs."""
    held = {}
    for field, pack in _flat(flat):
        n, first, queue = field.decode().split(":", 2)
        count, _, uids = pack.decode().partition(":")
        mine = {
            uid: Hold(int(n), i, queue, suspect=False)
            for i, uid in enumerate(uids.split(" "), int(first))
        }
        assert int(count) == len(mine) > 1, (field, pack)
        held |= mine
    return held


def _last_step(value: bytes) -> tuple[int, frozenset[str], frozenset[str]]:
    n, _, settled = value.decode().partition(" ")
    refused, _, cancelled = settled.partition("|")
    return int(n.partition("+")[0]), frozenset(refused.split()), frozenset(cancelled.split())


def _pause(value: bytes) -> tuple[int, int, bytes]:
    since_ms, until_ms, said = value.split(b":", 2)
    return int(since_ms), int(until_ms), said


def _ask(value: bytes) -> tuple[int, int, int, bytes]:
    nth, step, keep_ms, summary = value.split(b":", 3)
    return int(nth), int(step), int(keep_ms), summary
