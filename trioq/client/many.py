"""Many jobs at once: what goes into which batch, bounded in jobs and in bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import attrs

from trioq.client.jobs import MOST_PLACES, Drafts, Place
from trioq.client.outbox import BATCH_BYTES, BATCH_JOBS
from trioq.core.call import Call
from trioq.core.calls import NewJob
from trioq.core.fair import ASKS_NOTHING, Asked, FairKey
from trioq.core.flow import Plan
from trioq.core.formats.payload import encode
from trioq.core.formats.record import plain_header, with_id, with_payload
from trioq.core.id_from import id_from
from trioq.core.job import NO_OPTIONS, Headers, Options, new_uid

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
        self.header = plain_header(
            *self.place, time.time_ns() // 1_000_000, self.trace, self.options
        )


_Drafted = tuple[_Kind, bytes, tuple[str, ...], FairKey | None, str | None]
"""A job's kind, its payload, what it takes of limits, whose turn it is, and its id."""


def drafted(
    calls: Iterable[Call],
    drafts: Drafts,
    queue: str | None,
    trace: Headers,
    options: Options = NO_OPTIONS,
    *,
    asked: Asked = ASKS_NOTHING,
) -> Iterator[list[NewJob]]:
    """Batches of the jobs of calls, checked, that all ask for the same.

    One loop without detours: what is done in it is done for each job. What those of a batch have
    in common is made when it is full.

    Raises:
      PayloadRejected, QueueUnknown: Nothing can be queued like this.
      TypeError: One of them is no call, or goes where there is no key for a weight.
    """
    kinds: dict[tuple[str, str | None], _Kind] = {}
    batch: list[_Drafted] = []
    size, most = 0, drafts.config.max_payload_bytes
    for what in calls:
        call, kind = what, None
        is_usual = type(what) is Call and type(what.name) is str
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
        if batch and (len(batch) >= BATCH_JOBS or size + more > BATCH_BYTES):
            yield _made(batch, kinds.values())
            batch, size = [], 0
        batch.append((kind, payload, plan.takes(fields), plan.turn(fields, asked), id))
        size += more
    if batch:
        yield _made(batch, kinds.values())


def _made(batch: Sequence[_Drafted], kinds: Iterable[_Kind]) -> list[NewJob]:
    for kind in kinds:
        kind.renew()
    return [
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


def following(batches: Iterator[list[NewJob]]) -> list[NewJob] | Exception | None:
    """The next batch; None after the last one; or why there can be none, to be raised when the
    one that is under way has been answered."""
    try:
        return next(batches, None)
    except Exception as error:
        return error
