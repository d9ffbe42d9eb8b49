"""Jobs by where they are, from either end: as many as are wanted, a page at a time.

A list that others change meanwhile isn't one moment's: whoever moves may be missed, but nobody is
told twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from trioq.core.formats.record import decode
from trioq.core.formats.summary import Summary
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable
from trioq.store.inspect import fields
from trioq.store.inspect.counting import stats
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import Door
from trioq.store.inspect.living import JobFilter
from trioq.store.inspect.shelves import ENDED, Place, State, shelves
from trioq.store.inspect.views import JobView, of_summary, views
from trioq.store.redis import RedisStore

#: Those of jobs that have neither ended nor died.
LIVING: tuple[State, ...] = ("running", "ready", "limited", "scheduled", "parked")

#: So many jobs that aren't meant are passed over; then it is given up.
PASSED_OVER = 10_000

About = Record | Summary | None
"""What says what kind of job it is; None: nobody can read it."""


@attrs.frozen
class Listed:
    """A job, where it is and what it waits for."""

    view: JobView
    take: str | None = None
    """What it waits for, if it is limited."""
    door: Door | None = None
    """What it waits behind, if it is parked."""
    keys: tuple[str, ...] = ()
    """What it takes of limits, and its fair key, where that was asked for."""

    def as_json(self) -> dict[str, Any]:
        """The shape of a job of ``trioq jobs --json``."""
        shown = self.view.as_json()
        if self.take is not None:
            shown["take"] = self.take
        return shown if self.door is None else shown | {"door": self.door.as_json()}


@attrs.frozen
class Listing:
    """Some jobs of those that are meant."""

    jobs: list[Listed]
    has_more: bool
    """Whether there are more of them, or may be."""
    passed_over: int
    """Jobs that were looked at and weren't meant."""


def listing(
    store: RedisStore,
    states: Sequence[State],
    wanted: JobFilter,
    *,
    count: int,
    newest_first: bool = False,
    queues: Sequence[str] = (),
) -> Listing:
    """Jobs in these states: one state after the other, and in each queue after queue.

    Args:
      wanted: Which names and queues are meant; ids are not looked at.
      newest_first: Of a queue those come first that come last, or were last to end; else those
          that come next, or ended first.
      queues: The configured ones, which come first.
    """
    counted = stats(store, [*queues, *([wanted.queue] if wanted.queue else [])])
    found: dict[Uid, Listed] = {}
    passed_over = 0
    for state in states:
        for page, looked_at in _pages(store, state, wanted, counted, newest_first):
            passed_over += looked_at - len(page)
            found |= {each.view.uid: each for each in page if each.view.uid not in found}
            if len(found) > count or passed_over > PASSED_OVER:
                return Listing(list(found.values())[:count], True, passed_over)
    return Listing(list(found.values()), False, passed_over)


def all_jobs(store: RedisStore) -> list[JobView]:
    """All that are known, in the order in which they were made. There is no bound."""
    states = (*LIVING, "dead", *ENDED)
    there = listing(store, states, JobFilter(), count=sys.maxsize).jobs
    return sorted((each.view for each in there), key=lambda view: view.uid)


def _pages(
    store: RedisStore, state: State, wanted: JobFilter, counted: Stats, newest_first: bool
) -> Iterator[tuple[list[Listed], int]]:
    """Pages of those that are meant, and at how many was looked for each."""
    places = shelves(
        store,
        state,
        counted,
        newest_first=newest_first,
        queues=lambda queue: wanted.queue in (None, queue),
        names=lambda name: wanted.name in (None, name),
    )
    for shelf in places:
        for page in shelf.pages():
            yield listed(store, state, page, wanted.allows), len(page)


def listed(
    store: RedisStore, state: State, page: Sequence[Place], allows: Callable[[About], bool]
) -> list[Listed]:
    """The jobs of a page that are meant, with all that is known of them, but for payloads that lie
    apart.

    Args:
      allows: Whether a job with this record, or this summary, is meant.
    """
    if state in ENDED:
        summaries = [about["summary"] for _, about in page]
        return [Listed(of_summary(each)) for each in summaries if allows(each)]
    (stored,) = fields.read(store, ["jobs"], [uid for uid, _ in page])
    meant = {uid: job for (uid, _), job in zip(page, stored, strict=True) if _has(allows, job)}
    about = dict(page)
    shown = views(store, [*meant], [*meant.values()], state, with_big=False)
    return [_listed(view, about[view.uid]) for view in shown]


def _listed(view: JobView, about: dict[str, Any]) -> Listed:
    of_view = {key: value for key, value in about.items() if key not in ("take", "door")}
    view = attrs.evolve(view, **of_view)
    return Listed(view, about.get("take"), about.get("door"))


def _has(allows: Callable[[About], bool], stored: bytes | None) -> bool:
    if stored is None:
        return False  # it was cancelled and still lies there, or has just ended
    try:
        return allows(decode("", stored).record)
    except RecordUnreadable:
        return allows(None)
