"""Callers who share a sender's writes: each has the answer that is true of its own jobs.

On the store's specification, whatever becomes of the requests and their answers, whoever leaves,
and wherever Ctrl-C breaks a decision off.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

from hypothesis import given, target
from hypothesis import strategies as st

from tests.support import new_job
from trioq.client import outbox
from trioq.client.outbox import BATCH_BYTES, BATCH_JOBS, Outbox, Part
from trioq.client.resend import PATIENCE_S
from trioq.core.calls import Enqueued, Enqueuer
from trioq.errors import QueueFull, StoreBusy, StoreRefused, StoreUnreachable
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions

ROOM = 2
LOST = StoreUnreachable("lost")
REFUSED = StoreRefused("NOPERM")
BUSY = StoreBusy("OOM")

queues = st.sampled_from(["high", "low"])
ids = st.sampled_from([None, None, None, "a", "b"])
places = st.none() | st.integers(1, 40)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.tuples(queues, ids), min_size=1, max_size=1)),
        st.tuples(st.just("add"), st.lists(st.tuples(queues, ids), min_size=1, max_size=3)),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.tuples(
            st.just("send"),
            st.sampled_from(
                ["answered", "answered", "lost", "not sent", "refused", "busy", "late"]
            ),
            places,
        ),
    ),
    min_size=3,
    max_size=30,
)


def broken_off(act: Callable[[], Any], place: int | None) -> Any:
    """What it returns; it may be ended by Ctrl-C before its n-th line."""
    if place is None:
        return act()
    left = place

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != outbox.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return act()
    except KeyboardInterrupt:
        return None
    finally:
        sys.settrace(before)


class World:
    """A sender's outbox on a store of its own, and all that was ever put into it."""

    def __init__(self) -> None:
        self.store = MemoryStore(StoreOptions(max_lengths={"low": ROOM}))
        self.box = Outbox()
        self.parts: list[Part] = []

    def add(self, wanted: list[tuple[str, str | None]]) -> None:
        self.parts.append(self.box.add([new_job(queue, id=id) for queue, id in wanted]))

    def leave(self, nth: int) -> None:
        for part in [part for part in self.parts if not part.is_answered][nth : nth + 1]:
            part.has_left = True

    def send(self, outcome: str, place: int | None = None) -> None:
        """One try of one write, as whoever has the turn makes it."""
        box = self.box
        if (write := broken_off(lambda: box.next(0.0), place)) is None:
            return
        answer: Enqueued | Exception = {"refused": REFUSED, "busy": BUSY}.get(outcome, LOST)
        if outcome in ("answered", "lost", "late"):
            try:
                answer = self.store.enqueue(box.numbering.sender, write.number, write.jobs)
            except QueueFull as error:
                answer = error
        if outcome in ("lost", "late"):
            answer = LOST
        now = PATIENCE_S + 1 if outcome == "late" else 0.0
        if isinstance(answer, Enqueued):
            enqueued = answer
            broken_off(lambda: box.succeeded(enqueued), place)
        else:
            failure = answer
            broken_off(lambda: box.failed(failure, now), place)

    def check(self) -> None:
        there = {name: list(queue.ready) for name, queue in self.store.space.queues.items()}
        order = {job.uid: n for n, job in enumerate(j for p in self.parts for j in p.jobs)}
        for uids in there.values():
            assert [order[uid] for uid in uids] == sorted(order[uid] for uid in uids)
            assert len(uids) == len(set(uids))
        all_uids = {uid for uids in there.values() for uid in uids}
        for part in self.parts:
            if part.is_answered:
                self._true_of(part, {job.uid for job in part.jobs}, all_uids)

    def _true_of(self, part: Part, uids: set[str], there: set[str]) -> None:
        try:
            enqueued = part.result()
        except (StoreRefused, StoreBusy):
            assert not uids & there
        except QueueFull:
            assert not uids & there
            low = len(self.store.space.queue("low").ready)
            assert low + sum(job.queue == "low" for job in part.jobs) > ROOM
        except StoreUnreachable:
            pass  # they may be there, or not
        else:
            assert enqueued.taken == len(part.jobs)
            for n, job in enumerate(part.jobs):
                other = enqueued.existing.get(n)
                assert (other is None) == (job.uid in there)
                assert other is None or self.store.space.ids[job.id or ""] == other.uid


@given(actions)
def test_each_is_answered_truly_and_nobody_is_forgotten(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    for what, *with_what in steps:
        getattr(world, what)(*with_what)
    for _ in range(2 * len(world.parts) + 2):
        world.send("answered")
    assert all(part.is_answered or part.has_left for part in world.parts)
    world.check()
    target(float(world.box.numbering.number))


@given(st.lists(st.sampled_from([1, 1, 2, 100, BATCH_JOBS - 1, BATCH_JOBS]), max_size=12))
def test_who_waits_goes_with_the_next_write_as_far_as_a_batch_goes(sizes: list[int]) -> None:
    box, sent = Outbox(), []
    jobs = [new_job()] * BATCH_JOBS
    parts = [box.add(jobs[:size]) for size in sizes]
    while (write := box.next(0.0)) is not None:
        sent.append([len(part.jobs) for part in write.parts])
        assert len(write.jobs) == sum(sent[-1]) <= BATCH_JOBS
        box.succeeded(Enqueued(len(write.jobs), {}, frozenset()))
    assert [size for write in sent for size in write] == sizes
    assert all(part.is_answered for part in parts)
    for write, following in pairwise(sent):
        assert sum(write) + following[0] > BATCH_JOBS, "as many as there is room for"


def test_what_goes_together_is_bounded_in_bytes_too() -> None:
    box, sent = Outbox(), []
    third, whole = new_job(payload=b" " * (BATCH_BYTES // 3)), new_job(payload=b" " * BATCH_BYTES)
    for job in (third, third, third, whole, third):
        box.add([job])
    while (write := box.next(0.0)) is not None:
        sent.append(len(write.parts))
        box.succeeded(Enqueued(len(write.jobs), {}, frozenset()))
    assert sent == [2, 1, 1, 1], "a third is a little more with its record, and one goes always"


def test_who_has_a_place_in_line_goes_alone_and_with_it() -> None:
    box = Outbox()
    box.add([new_job()], Enqueuer("c", 3))
    box.add([new_job()], Enqueuer("c"))
    write = box.next(0.0)
    assert write is not None
    assert (len(write.parts), write.who) == (1, Enqueuer("c", 3))


def test_in_a_write_of_several_nobody_lines_up_for_the_others() -> None:
    box = Outbox()
    for _ in range(2):
        box.add([new_job()], Enqueuer("c"))
    write = box.next(0.0)
    assert write is not None
    assert (len(write.parts), write.who) == (2, None)
