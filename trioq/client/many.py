"""Many jobs at once: what goes into which batch, bounded in jobs and in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from trioq.client.jobs import MOST_PLACES, Drafts, Place
from trioq.client.outbox import BATCH_BYTES, BATCH_JOBS
from trioq.core import arguments
from trioq.core.arguments import INHERIT, Inherit, When
from trioq.core.call import Call
from trioq.core.call_options import apart, over
from trioq.core.calls import NewJob
from trioq.core.fair import Asked, FairKey
from trioq.core.flow import Plan
from trioq.core.formats.payload import encode
from trioq.core.formats.record import plain_header, with_id, with_payload
from trioq.core.id_from import id_from
from trioq.core.job import NO_HEADERS, Headers, Options, new_uid
from trioq.core.wall import wall_ms

#: No mark of a payload that lies apart, with the header's end, is longer.
_END_BYTES = 24

#: A character of an id has so many bytes at most as JSON: a pair of surrogates, each escaped.
_ESCAPED_BYTES = 12


def batches(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    """Batches of jobs that are made already."""
    batch: list[NewJob] = []
    size = 0
    for job in jobs:
        more = len(job.stored) + len(job.big)
        if batch and (len(batch) >= BATCH_JOBS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += more
    if batch:
        yield batch


@attrs.define
class _Kind:
    """What jobs have in common that go to the same place with the same trace."""

    place: Place
    plan: Plan
    trace: Headers
    options: Options
    id_from: tuple[str, ...]
    header: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """They are enqueued now."""
        self.header = plain_header(*self.place, wall_ms(), self.trace, self.options)


_Drafted = tuple[_Kind, bytes, tuple[str, ...], FairKey | None, str | None]
"""A job's kind, its payload, what it takes of limits, whose turn it is, and its id."""


def drafted(
    calls: Iterable[Call],
    drafts: Drafts,
    trace: Headers = NO_HEADERS,
    *,
    queue: str | None = None,
    deadline: When | Inherit | None = INHERIT,
    expires: When | None = None,
    fair_key: str | int | None = None,
    weight: float | None = None,
) -> Iterator[list[NewJob]]:
    """Batches of the jobs of calls, checked.

    Args:
      queue, deadline, expires, fair_key, weight: Of all of them, whatever they ask for themselves.

    Raises:
      PayloadRejected, QueueUnknown: Nothing can be queued like this.
      TypeError: One of them is no call, or goes where there is no key for a weight, or asks for
          what can only be done for one; or an argument is of the wrong kind, at once.
    """
    options = drafts.options(deadline=deadline, expires=expires)
    asked = arguments.fair(fair_key, weight)
    of_all = {
        "queue": queue, "deadline": deadline, "expires": expires,
        "fair_key": fair_key, "weight": weight,
    }  # fmt: skip

    def own(call: Call) -> NewJob:
        return _with_its_own(call, drafts, trace, over(call.options, of_all))

    return _drafted(calls, drafts, trace, own, queue=queue, options=options, asked=asked)


def _with_its_own(call: Call, drafts: Drafts, trace: Headers, options: dict[str, Any]) -> NewJob:
    same, others = apart(options)
    if not same.is_plain:
        names = ", ".join(
            f"{name}={options[name]!r}"
            for name in ("on_conflict", "debounce", "id_dead")
            if name in options
        )
        raise TypeError(
            f"enqueue_many can't do {names}, which a call of {call.name!r} asks for: what becomes"
            " of the job that has its id is settled one by one, so enqueue(…) it"
        )
    return drafts.draft(call, None, same=same, trace=trace, **others)


def _drafted(
    calls: Iterable[Call],
    drafts: Drafts,
    trace: Headers,
    own: Callable[[Call], NewJob],
    *,
    queue: str | None,
    options: Options,
    asked: Asked,
) -> Iterator[list[NewJob]]:
    """One loop without detours: what is done in it is done for each job. What those of a batch have
    in common is made when it is full.

    Args:
      own: Makes the job of a call that asks for something itself.
    """
    kinds: dict[tuple[str, str | None], _Kind] = {}
    batch: list[_Drafted] = []
    others: list[tuple[int, NewJob]] = []
    """Jobs that are made already, each with its place in the batch."""
    count, size, most = 0, 0, drafts.config.max_payload_bytes
    for what in calls:
        call, kind, other = what, None, None
        is_usual = type(what) is Call and type(what.name) is str
        if isinstance(what, Call) and what.options:
            other = own(what)
            more = len(other.stored) + len(other.big)
        else:
            if is_usual and (what.queue is None or type(what.queue) is str):
                kind = kinds.get((what.name, what.queue))
            if kind is None:
                call = drafts.call(what, None, queue)
                place = drafts.place(call, queue)
                kind = _Kind(place, drafts.plan(call, place), trace, options, drafts.id_from(call))
                if is_usual and len(kinds) < MOST_PLACES:
                    kinds[what.name, what.queue] = kind
            payload = encode(call.payload, most)
            more = len(kind.header) + len(payload) + _END_BYTES
            plan, fields, id = kind.plan, call.payload, None
            if kind.id_from:
                id = id_from(kind.place[0], kind.id_from, fields)
                more += len(id) * _ESCAPED_BYTES
            drafted = kind, payload, plan.takes(fields), plan.turn(fields, asked), id
        if count and (count >= BATCH_JOBS or size + more > BATCH_BYTES):
            yield _made(batch, others, kinds.values())
            batch, others, count, size = [], [], 0, 0
        if other is None:
            batch.append(drafted)
        else:
            others.append((count, other))
        count += 1
        size += more
    if count:
        yield _made(batch, others, kinds.values())


def _made(
    batch: Sequence[_Drafted], others: Iterable[tuple[int, NewJob]], kinds: Iterable[_Kind]
) -> list[NewJob]:
    for kind in kinds:
        kind.renew()
    jobs = [
        NewJob(
            uid,
            kind.place[1],
            *with_payload(kind.header if id is None else with_id(kind.header, id), payload),
            id=id,
            name=kind.place[0],
            takes=takes,
            fair=fair,
        )
        for uid, (kind, payload, takes, fair, id) in zip(
            new_uid.many(len(batch)), batch, strict=True
        )
    ]
    for place, other in others:
        jobs.insert(place, other)
    return jobs


def following(batches: Iterator[list[NewJob]]) -> list[NewJob] | Exception | None:
    """The next batch; None after the last one; or why there can be none, to be raised when the
    one that is under way has been answered."""
    try:
        return next(batches, None)
    except Exception as error:
        return error
