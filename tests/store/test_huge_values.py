"""Whoever looks is shown the others where one value is larger than any answer may be."""

from __future__ import annotations

import pytest

from tests.store.drive import Driver, Sender, line
from trioq.core.settlements import DeadLetter
from trioq.store.inspect import JobFilter, Overviews, dead, find, living_pages, peek
from trioq.store.inspect.sample import sample
from trioq.store.redis import RedisStore

pytestmark = pytest.mark.direct  # only reads are asked for: to these the bad networks do nothing

MIB = 1 << 20
TOO_LARGE = 70 * MIB


def spoil(store: RedisStore, name: str, uid: str) -> None:
    store.lane.call("HSET", store.keys.fixed(name), uid, b"x" * TOO_LARGE)


def test_a_huge_record_hides_no_other_that_waits(store: RedisStore) -> None:
    huge, other = Sender(store).enqueue_new(), Sender(store).enqueue_new()
    spoil(store, "jobs", huge)
    first, second = peek(store, "low", 2)
    assert (first.uid, first.record, first.payload) == (huge, None, f"({TOO_LARGE} bytes)")
    assert second.uid == other
    assert second.record is not None
    assert sample(store, ["low"]).stats.queues["low"].ready == 2
    found = find(store, huge)
    assert found is not None


@pytest.mark.parametrize("what", ["jobs", "history", "reasons"])
def test_a_huge_value_hides_no_other_of_the_dead(store: RedisStore, what: str) -> None:
    sender, engine = Sender(store), Driver(store)
    huge, other = sender.enqueue_new(), sender.enqueue_new()
    engine.step(2)
    engine.step(0, *(DeadLetter(u, 1, 1, "gave_up", line("no")) for u in (huge, other)))
    spoil(store, what, huge)
    views = {view.uid: view for view in dead(store)}
    assert views.keys() == {huge, other}
    assert (views[other].reason, len(views[other].attempts)) == ("gave_up", 1)
    assert {view.uid for view in dead(store, error="no")} >= {other}
    overview = Overviews(store, ("low",), None).take()
    assert {failure.uid for failure in overview.failures} == {huge, other}


def test_a_huge_record_hides_no_other_that_lives(store: RedisStore) -> None:
    huge, other = Sender(store).enqueue_new(), Sender(store).enqueue_new()
    spoil(store, "jobs", huge)
    found = [job for page in living_pages(store, JobFilter()) for job in page.jobs]
    assert {job.uid: job.record is None for job in found} == {huge: True, other: False}
