"""What an enqueue sends to its script and what that answers: ``lua/enqueue`` has the layout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import attrs

from trioq.core.calls import (
    Enqueued,
    Enqueuer,
    Existing,
    MustWait,
    NewJob,
    Rate,
    Replaced,
    Replacing,
    Taking,
)
from trioq.core.fair import FairKey
from trioq.core.formats import flow
from trioq.core.limits import take_of_id
from trioq.core.schedules.tick import Tick, Ticked
from trioq.errors import QueueFull
from trioq.store.keys import Keys
from trioq.store.protocol import DROPPED, StoreOptions

Args = list[str | bytes]

#: Keys that are needed only where a queue has a max length, where a schedule moves, and where an id
#: is taken.
_OF_BOUNDED = (
    "history", "reasons", "waits", "enqueuers", "enqueuers_line", "limited", "open", "rooms",
    "permits",
)  # fmt: skip
_OF_TICKS = ("ticks", "runs", "ticked", "schedules")
_OF_IDS = ("asked", "took", "slots")


def encode(
    keys: Keys,
    sender: str,
    number: int,
    jobs: Sequence[NewJob],
    *,
    now: str,
    options: StoreOptions,
    rate: Rate | None = None,
    who: Enqueuer | None = None,
    tick: Tick | None = None,
    taking: Taking | None = None,
) -> tuple[list[str], Args]:
    """The KEYS that follow those that a namespace has one of, and ARGV.

    Args:
      now: Epoch milliseconds, for tests; empty: the server's clock.
    """
    if taking is not None and taking.how != "dead":
        jobs = [_waiting(job) for job in jobs]
    by_queue = _plain(jobs) if rate is None else None
    queues = dict.fromkeys(job.queue for job in jobs) if by_queue is None else by_queue
    whose = "" if who is None else f"{who.nth} {who.client}"
    seen_as = _taking(taking, jobs[0]) if taking else _tick(tick)
    args: Args = [str(number), "0", "0", now, whose, b"", seen_as, str(len(queues))]
    if rate is not None:
        args[1:3] = (str(rate.interval_us), str(rate.burst))
    is_bounded = seen_as != ""  # what is needed then is needed with it
    for queue in queues:
        count = "0" if by_queue is None else str(len(by_queue[queue]) // 2)
        most = options.max_lengths.get(queue, 0)
        when_full = options.when_full.get(queue, "reject") if most else "reject"
        args += (queue, str(most), when_full, count)
        is_bounded |= most > 0
        if when_full == "drop_oldest":
            args[5] = DROPPED
    if by_queue is None:
        args += ("0", *_in_full(jobs, queues))
    else:
        rows, places = _rows(jobs)
        args.append(str(len(rows)))
        for pairs in by_queue.values():
            args += pairs
        if rows:
            args += rows
            args += (" ".join(places[queue]) for queue in by_queue)
    limit = "none" if rate is None else rate.name
    named = _keys(keys, sender, limit, is_bounded, *queues)
    if taking is not None:
        named = named + keys.of_boot(taking.boot) + [keys.fixed(name) for name in _OF_IDS]
    elif tick is not None:
        named = named + [keys.fixed(name) for name in _OF_TICKS]
    return named, args


def encode_one(
    keys: Keys, sender: str, number: int, jobs: Sequence[NewJob], options: StoreOptions
) -> tuple[list[str], Args] | None:
    """All KEYS and ARGV of one plain job for a queue without a max length; None: it is none, and
    goes the long way, which means the same."""
    if len(jobs) != 1 or not _is_plain(job := jobs[0]) or job.takes or job.fair is not None:
        return None
    if options.max_lengths.get(job.queue):
        return None
    return _keys_of_one(keys, sender, job.queue), [str(number), job.queue, job.uid, job.stored]


def _is_plain(job: NewJob) -> bool:
    """It has nothing but a record, and rows of flow."""
    return not (job.delay_ms or job.at_ms or job.big or job.id is not None or job.seen is not None)


def _plain(jobs: Sequence[NewJob]) -> dict[str, Args] | None:
    """Queue → uid and record of each of its jobs; None: some have more than that, and rows of
    flow."""
    by_queue: dict[str, Args] = {}
    for job in jobs:
        if not _is_plain(job):
            return None
        if (pairs := by_queue.get(job.queue)) is None:
            pairs = by_queue[job.queue] = []
        pairs += (job.uid, job.stored)
    return by_queue


def _rows(jobs: Sequence[NewJob]) -> tuple[list[str], dict[str, list[str]]]:
    """The rows of flow that there are; and of each queue's jobs which of them they have."""
    if not any(job.takes or job.fair is not None for job in jobs):
        return [], {}
    known: dict[tuple[tuple[str, ...], FairKey | None], str] = {((), None): "0"}
    rows: list[str] = []
    places: dict[str, list[str]] = {}
    for job in jobs:
        if (place := known.get(what := (job.takes, job.fair))) is None:
            rows.append(flow.encode(*what))
            place = known[what] = str(len(rows))
        places.setdefault(job.queue, []).append(place)
    return rows, places


def _in_full(jobs: Sequence[NewJob], queues: Iterable[str]) -> Args:
    place = {queue: str(i) for i, queue in enumerate(queues, 1)}
    args: Args = []
    for job in jobs:
        path, mark = job.seen or ("", "")
        args += (
            place[job.queue], job.uid, _due(job), _id(job), job.stored, job.big,
            path, mark, flow.encode(job.takes, job.fair),
        )  # fmt: skip
    return args


@lru_cache(maxsize=256)
def _keys_of_one(keys: Keys, sender: str, queue: str) -> list[str]:
    named = [keys.fixed(name) for name in ("jobs", "queues", "stats")]
    return [*named, keys.of("sender", sender), *keys.of_queues([queue], "ready", "bell")]


@lru_cache(maxsize=256)
def _keys(keys: Keys, sender: str, limit: str, is_bounded: bool, *queues: str) -> list[str]:
    named = [keys.of("sender", sender), keys.of("limit", limit)]
    named += keys.of_queues(queues, "ready", "scheduled", "dropped", "bell")
    return named + [keys.fixed(name) for name in _OF_BOUNDED if is_bounded]


def _tick(tick: Tick | None) -> str:
    if tick is None:
        return ""
    most = "" if tick.alive_max is None else tick.alive_max
    row = hashlib.sha1(tick.row, usedforsecurity=False).hexdigest()
    moves = f"{tick.seen_ms} {tick.next_ms or 0} {most} {row} {tick.schedule}"
    return "\n".join([moves, *(mark.stored for mark in tick.marks)])


def _due(job: NewJob) -> str:
    return f"@{job.at_ms}" if job.at_ms else str(job.delay_ms)


def _id(job: NewJob) -> str:
    """A caller's id, and how it is kept."""
    if job.id is None or job.keep is None:
        return job.id or ""
    after_end_ms = "-" if job.keep.after_end_ms is None else job.keep.after_end_ms
    return f"{job.id}\0{after_end_ms} {job.keep.cooldown_ms or '-'} {job.keep.max_wait_ms or '-'}"


def _waiting(job: NewJob) -> NewJob:
    """It waits for the end of the run of its id that there is."""
    own = take_of_id(job.id or "")
    return job if own in job.takes else attrs.evolve(job, takes=(*job.takes, own))


def _taking(taking: Taking, job: NewJob) -> bytes:
    seen = f"{taking.how} {taking.uid} {taking.step} {taking.keep_ms} {taking.boot}"
    return f"{seen}\n{take_of_id(job.id or '')}\n".encode() + taking.summary


def encode_replace(
    keys: Keys, sender: str, boots: Sequence[str], replacing: Replacing
) -> tuple[list[str], list[Any]]:
    """The KEYS of a replace that follow those that a namespace has one of, and the end of ARGV."""
    job = replacing.job
    named = [keys.of("sender", sender), *keys.of_queues([job.queue], "ready", "scheduled", "bell")]
    named += (key for boot in boots for key in keys.held(boot))
    row = flow.encode(job.takes, job.fair)
    what = (job.queue, job.uid, _id(job), job.stored, job.big, _due(job), row)
    return named, [*what, int(replacing.supersedes), len(boots), *boots]


def decode_replace(answer: str) -> Replaced:
    """What became of a replace."""
    word, *more = answer.split(" ", 2)
    if word == "running":
        return Replaced("running", more[1], int(more[0]))
    return Replaced(cast(Any, word), after=more[0] if more else None)


def decode(answer: str, wait_us: int, max_lengths: Mapping[str, int]) -> Enqueued:
    """What became of an enqueue.

    Raises:
      QueueFull: A queue's max length would have been passed.
      MustWait: Likewise, and whoever enqueues is in line.
    """
    if answer.isdigit():  # all are new
        return Enqueued(int(answer), {}, frozenset(), wait_us)
    if answer == "moved":
        return Enqueued(0, {}, frozenset(), moved=True)
    taken, *found = answer.split()
    if taken == "full":
        queue, length, new = found
        raise QueueFull(queue, int(length), max_lengths.get(queue, 0), int(new))
    if taken == "wait":
        queue, length, nth = found
        raise MustWait(queue, int(length), max_lengths.get(queue, 0), int(nth))
    existing, seen = {}, set()
    for position, what in zip(found[::2], found[1::2], strict=True):
        state, _, uid = what.partition(":")
        if state == "seen":
            seen.add(int(position))
        else:
            existing[int(position)] = Existing(uid, cast(Any, state))
    return Enqueued(int(taken), existing, frozenset(seen), wait_us)


def decode_tick(answer: str, max_lengths: Mapping[str, int]) -> Ticked:
    """What became of a schedule's move.

    Raises:
      QueueFull: A queue's max length would have been passed.
    """
    if answer == "moved":
        return Ticked("moved")
    if answer.startswith("alive "):
        return Ticked("alive", answer.removeprefix("alive "))
    existing = decode(answer, 0, max_lengths).existing.get(0)
    return Ticked("ok") if existing is None else Ticked("known", existing.uid)
