"""Questions that change nothing: lengths, places, stories of jobs.

Every round trip is bounded, so that a question about a million jobs doesn't hold up the
server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.codec import decode, decode_payload
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable
from trioq.store.redis import RedisStore

#: Elements read in one round trip.
PAGE = 500


@attrs.frozen
class QueueStats:
    """What is in one queue."""

    ready: int
    scheduled: int
    parked: int
    running: int
    suspects: int
    """Of the ready ones: those that were running when an engine died."""
    paused: bool
    served: bool
    """Whether a live engine claims from it."""


@attrs.frozen
class Stats:
    """One moment of a namespace."""

    namespace: str
    queues: Mapping[str, QueueStats]
    counters: Mapping[str, int]
    dead: int
    strays: int
    engines: tuple[dict[str, Any], ...]

    @property
    def running(self) -> int:
        return sum(engine["running"] for engine in self.engines)

    def as_json(self) -> dict[str, Any]:
        """The shape of ``trioq stats --json``."""
        return {
            "namespace": self.namespace,
            "queues": {name: attrs.asdict(queue) for name, queue in self.queues.items()},
            "running": self.running,
            "done": self.counters.get("done", 0),
            "dead": self.dead,
            "cancelled": self.counters.get("cancelled", 0),
            "enqueued": self.counters.get("enqueued", 0),
            "retried": self.counters.get("retried", 0),
            "reaped": self.counters.get("reaped", 0),
            "strays": self.strays,
            "engines": list(self.engines),
        }


@attrs.frozen
class JobView:
    """A job as people are shown it."""

    uid: Uid
    record: Record | None
    state: str
    reason: str | None = None
    reaps: int = 0
    attempts: tuple[dict[str, Any], ...] = ()
    payload: Any = None
    payload_raw: bytes | None = None
    """The bytes, where they aren't a JSON object."""
    summary: Mapping[str, Any] | None = None
    """For a job that is done: what is remembered of it."""

    def as_json(self) -> dict[str, Any]:
        """The shape of ``job``, ``peek`` and ``dead list`` with ``--json``."""
        record, summary = self.record, dict(self.summary or {})
        shown: dict[str, Any] = {
            "id": (record.id if record else summary.get("id")) or self.uid,
            "uid": self.uid,
            "name": record.name if record else summary.get("name"),
            "queue": record.queue if record else summary.get("queue"),
            "state": self.state,
            "payload": self.payload,
            "reason": self.reason,
            "reaps": self.reaps,
            "attempts": list(self.attempts),
            "enqueued_ms": record.enqueued_ms if record else summary.get("enqueued_ms"),
        }
        if self.payload_raw is not None:
            shown["payload_raw"] = base64.b64encode(self.payload_raw).decode()
        if summary:
            shown["done"] = {k: summary[k] for k in ("attempt", "took_ms", "at_ms", "engine")}
        return shown


def stats(store: RedisStore, queues: Sequence[str] = ()) -> Stats:
    """Count everything, in one transaction.

    Args:
      queues: The configured ones, which are shown even if nothing was ever in them.
    """
    keys, lane = store.keys, store.lane
    known, engines, doors = lane.pipeline(
        [
            ("SMEMBERS", keys.fixed("queues")),
            ("HKEYS", keys.fixed("engines")),
            ("HKEYS", keys.fixed("parked")),
        ]
    )
    names = list(dict.fromkeys([*queues, *sorted(name.decode() for name in known)]))
    engine_ids = [engine.decode() for engine in engines]
    parked = [tuple(door.decode().split(":", 1)) for door in doors]
    questions: list[tuple[Any, ...]] = [
        ("HGETALL", keys.fixed("stats")),
        ("ZCARD", keys.fixed("dead")),
        ("LLEN", keys.fixed("strays")),
        ("SMEMBERS", keys.fixed("paused")),
        ("HGETALL", keys.fixed("engines")),
    ]
    for name in names:
        questions += [
            ("LLEN", keys.of("ready", name)),
            ("LLEN", keys.of("suspects", name)),
            ("SCARD", keys.of("dropped", name)),
            ("ZCARD", keys.of("scheduled", name)),
        ]
    questions += [("LLEN", keys.of("parked", *door)) for door in parked]
    questions += [("HVALS", keys.running(engine)) for engine in engine_ids]
    answers = iter(_at_once(store, questions))

    counters = _pairs(next(answers))
    dead, strays = next(answers), next(answers)
    paused = {name.decode() for name in next(answers)}
    infos = {engine.decode(): json.loads(info) for engine, info in _items(next(answers))}
    lengths = {name: [next(answers) for _ in range(4)] for name in names}
    behind: dict[str, int] = {}
    for queue, _ in parked:
        behind[queue] = behind.get(queue, 0) + next(answers)
    running: dict[str, int] = {}
    shown_engines = []
    for engine in engine_ids:
        places = next(answers)
        for place in places:
            queue = place.decode().split(":", 3)[3]
            running[queue] = running.get(queue, 0) + 1
        shown_engines.append({"id": engine, **infos.get(engine, {}), "running": len(places)})
    served = {queue for info in infos.values() for queue in info.get("queues", ())}
    return Stats(
        keys.namespace,
        {
            name: QueueStats(
                ready=ready + suspects - dropped,
                scheduled=scheduled,
                parked=behind.get(name, 0),
                running=running.get(name, 0),
                suspects=suspects,
                paused=name in paused,
                served=name in served,
            )
            for name, (ready, suspects, dropped, scheduled) in lengths.items()
        },
        {name.decode(): int(count) for name, count in counters.items()},
        dead,
        strays,
        tuple(shown_engines),
    )


@attrs.frozen
class Outstanding:
    """What a drain waits for, in one queue."""

    ready: int
    due: int
    """Scheduled, and due within the horizon."""
    later: int
    parked: Mapping[str, int]
    paused: bool


def outstanding(
    store: RedisStore, queues: Sequence[str], horizon_ms: int
) -> tuple[dict[str, Outstanding], int, frozenset[str]]:
    """What is left to do in these queues, how much runs, and which names engines know."""
    keys = store.keys
    seconds, micros = store.lane.call("TIME")
    horizon = int(seconds) * 1000 + int(micros) // 1000 + horizon_ms
    counted = stats(store, queues)
    doors = [
        tuple(d.decode().split(":", 1)) for d in store.lane.call("HKEYS", keys.fixed("parked"))
    ]
    questions: list[tuple[Any, ...]] = [
        ("ZCOUNT", keys.of("scheduled", queue), "-inf", horizon) for queue in queues
    ]
    questions += [("LLEN", keys.of("parked", *door)) for door in doors]
    answers = iter(store.lane.pipeline(questions) if questions else [])
    due = {queue: next(answers) for queue in queues}
    parked: dict[str, dict[str, int]] = {queue: {} for queue in queues}
    for queue, name in doors:
        parked.setdefault(queue, {})[name] = next(answers)
    left = {
        queue: Outstanding(
            counted.queues[queue].ready,
            due[queue],
            max(0, counted.queues[queue].scheduled - due[queue]),
            parked[queue],
            counted.queues[queue].paused,
        )
        for queue in queues
    }
    names = frozenset(n for engine in counted.engines for n in engine.get("names", ()))
    return left, counted.running, names


def find(store: RedisStore, id_or_uid: str) -> JobView | None:
    """A job by its caller's id or its uid, wherever it is; None: nobody knows it."""
    keys, lane = store.keys, store.lane
    known = lane.call("HGET", keys.fixed("ids"), id_or_uid)
    state, _, uid = known.decode().rpartition(":") if known else ("", "", id_or_uid)
    if not state:
        stored = lane.call("HGET", keys.fixed("jobs"), uid)
        if stored is not None:
            return _view(store, uid, stored, _locate(store, uid, stored))
    for summary in done(store):
        if summary.get("uid") == uid or summary.get("id") == id_or_uid:
            return JobView(summary["uid"], None, "done", summary=summary)
    return JobView(uid, None, state) if state else None


def peek(store: RedisStore, queue: str, count: int) -> list[JobView]:
    """The jobs of a queue that would be claimed next, in that order."""
    keys, lane = store.keys, store.lane
    views: list[JobView] = []
    for kind in ("suspects", "ready"):
        key, offset = keys.of(kind, queue), 0
        while len(views) < count:
            size = min(PAGE, count - len(views))
            page = lane.call("LRANGE", key, -offset - size, -offset - 1 if offset else -1)
            if not page:
                break
            offset += len(page)
            uids = [uid.decode() for uid in reversed(page)]
            stored = lane.call("HMGET", keys.fixed("jobs"), *uids)
            # Without a record it is one that was cancelled and still lies here.
            found = zip(uids, stored, strict=True)
            views += [_view(store, uid, job, "ready") for uid, job in found if job is not None]
            if len(page) < size:
                break
    return views[:count]


def dead(
    store: RedisStore,
    *,
    name: str | None = None,
    error: str | None = None,
    older_than_s: float | None = None,
    limit: int | None = None,
) -> Iterator[JobView]:
    """Dead jobs, the longest dead first.

    Args:
      name: Only of this handler.
      error: Only those whose reason or last error has this text in it.
      older_than_s: Only those dead for longer.
    """
    keys, lane = store.keys, store.lane
    until: Any = "+inf"
    if older_than_s is not None:
        until = int(lane.call("TIME")[0]) * 1000 - int(older_than_s * 1000)
    start: tuple[str, str] = ("-inf", "")
    seen_at_start: set[bytes] = set()
    count = 0
    while limit is None or count < limit:
        page = lane.call(
            "ZRANGE", keys.fixed("dead"), start[0], until, "BYSCORE", "LIMIT",
            len(seen_at_start), 100, "WITHSCORES",
        )  # fmt: skip
        if not page:
            return
        uids, scores = page[::2], page[1::2]
        stored = lane.call("HMGET", keys.fixed("jobs"), *uids)
        for uid, job in zip(uids, stored, strict=True):
            if job is None:
                continue
            view = _view(store, uid.decode(), job, "dead")
            if _matches(view, name, error):
                yield view
                count += 1
                if limit is not None and count >= limit:
                    return
        last = scores[-1].decode()
        # The next page begins at the last score, past those that share it and were shown.
        sharing = {uid for uid, score in zip(uids, scores, strict=True) if score.decode() == last}
        seen_at_start = sharing | (seen_at_start if last == start[0] else set())
        start = (last, "")


def done(store: RedisStore) -> Iterator[dict[str, Any]]:
    """The summaries of finished jobs that are kept, newest first."""
    start = 0
    while page := store.lane.call("LRANGE", store.keys.fixed("done"), start, start + PAGE - 1):
        start += len(page)
        for summary in page:
            yield json.loads(summary)


def history(raw: bytes | None) -> tuple[dict[str, Any], ...]:
    """The attempts of a job, from the lines that are kept."""
    attempts: list[dict[str, Any]] = []
    for line in (raw or b"").splitlines():
        told = json.loads(line)
        if "omitted" in told:
            attempts.append(told)
            continue
        error = {field: told.get(field, "") for field in ("type", "message", "traceback")}
        rest = {field: told.get(field) for field in ("attempt", "engine", "at_ms")}
        attempts.append({**rest, "error": error})
    return tuple(attempts)


def _matches(view: JobView, name: str | None, error: str | None) -> bool:
    if name is not None and (view.record is None or view.record.name != name):
        return False
    if error is None:
        return True
    last = view.attempts[-1].get("error", {}) if view.attempts else {}
    return error in f"{view.reason} {last.get('type', '')} {last.get('message', '')}"


def _view(store: RedisStore, uid: Uid, stored: bytes, state: str) -> JobView:
    keys = store.keys
    lines, reason, reaps, big = store.lane.pipeline(
        [
            ("HGET", keys.fixed("history"), uid),
            ("HGET", keys.fixed("reasons"), uid),
            ("HGET", keys.fixed("reaps"), uid),
            ("HGET", keys.fixed("big"), uid),
        ]
    )
    record, payload, raw = None, None, None
    try:
        record = decode(uid, stored).record
        raw = big if big is not None else record.payload
        payload, raw = decode_payload(raw), None
    except RecordUnreadable:
        raw = stored if raw is None else raw
    return JobView(
        uid,
        record,
        state,
        reason.decode() if reason else None,
        int(reaps or 0),
        history(lines),
        payload,
        raw,
    )


def _locate(store: RedisStore, uid: Uid, stored: bytes) -> str:
    """The state of a job that has a record."""
    keys, lane = store.keys, store.lane
    engines = lane.call("HKEYS", keys.fixed("engines"))
    questions: list[tuple[Any, ...]] = [("ZSCORE", keys.fixed("dead"), uid)]
    questions += [("HGET", keys.running(engine.decode()), uid) for engine in engines]
    died, *places = _at_once(store, questions)
    if died is not None:
        return "dead"
    if any(place is not None for place in places):
        return "running"
    try:
        queue = decode(uid, stored).record.queue
    except RecordUnreadable:
        return "ready"
    due = lane.call("ZSCORE", keys.of("scheduled", queue), uid)
    return "ready" if due is None else "scheduled"


def _at_once(store: RedisStore, questions: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The answers of one moment."""
    *_, answers = store.lane.pipeline([("MULTI",), *questions, ("EXEC",)])
    return list(answers)


def _items(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(_items(flat))
