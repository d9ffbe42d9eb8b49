"""Jobs that somebody looks for, a bounded part of them in each question, with a place to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from trioq.core.formats import flow
from trioq.core.limits import key_of, limit_of
from trioq.core.query import Query
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.inspect.counting import stats
from trioq.store.inspect.jobs import find
from trioq.store.inspect.listing import About, Listed, listed
from trioq.store.inspect.shelves import State, shelves
from trioq.store.redis import RedisStore

#: So many jobs are looked at for one question: some tens of milliseconds.
LOOKED = 2000


@attrs.frozen
class Found:
    """Some jobs that are meant."""

    jobs: list[Listed]
    next: str = ""
    """Where the next question goes on; empty: that was all."""
    looked_at: int = 0


@attrs.frozen
class _At:
    """Where one goes on: a state, a shelf of it, and how many of that were read."""

    state: State
    nth: int = 0
    """Of the shelves, for where it isn't there any more: the next has its place then."""
    start: int = 0
    shelf: str | None = None
    """None: the one that is there."""

    @classmethod
    def read(cls, text: str, states: Sequence[State]) -> _At:
        state, _, rest = text.partition(".")
        nth, _, rest = rest.partition(".")
        start, _, shelf = rest.partition(".")
        known = [each for each in states if each == state]
        if not known or not all(n.isascii() and n.isdigit() and len(n) < 10 for n in (nth, start)):
            raise ValueError(f"{text[:40]!r} is where no page ends")
        return cls(known[0], int(nth), int(start), shelf)

    def __str__(self) -> str:
        return f"{self.state}.{self.nth}.{self.start}.{self.shelf}"


def search(
    store: RedisStore,
    query: Query,
    states: Sequence[State],
    matches: Callable[[Listed], bool],
    *,
    after: str = "",
    limit: int = 50,
    newest_first: bool = False,
    queues: Sequence[str] = (),
) -> Found:
    """The next jobs that are meant: one state after the other, and in each shelf after shelf.

    Args:
      query: Names and queues are looked at first, as they cost least.
      matches: Whether a job is meant, by all that is known of it.
      after: The ``next`` of the answer before; empty: from the beginning.
      limit: At most so many. Fewer, or none, may come with a ``next``.
      newest_first: As of a listing.
      queues: The configured ones.

    Raises:
      ValueError: No answer has such an ``after``.
    """
    if (id := query.only("id")) is not None:
        view = find(store, id, with_big=False)
        one = [each for each in ([Listed(view)] if view else []) if matches(each)]
        return Found(one, "", len(one))
    at = _At.read(after, states) if after else _At(states[0])
    wants_keys = any(term.field == "key" for term in query.terms)
    counted, found, looked_at = stats(store, queues), list[Listed](), 0

    def allows(about: About) -> bool:
        return query.allows(about.name if about else "", about.queue if about else "")

    for state in states[states.index(at.state) :]:
        there = shelves(
            store, state, counted, newest_first=newest_first,
            queues=lambda queue: query.allows(None, queue),
            names=lambda name: query.allows(name, None),
        )  # fmt: skip
        known = [shelf.name for shelf in there]
        first, start = 0, 0
        if state == at.state:
            first = known.index(at.shelf) if at.shelf in known else at.nth
            start = at.start if at.shelf is None or at.shelf in known else 0
        for nth, shelf in enumerate(there[first:], first):
            read = start if nth == first else 0
            for page in shelf.pages(read):
                jobs = {each.view.uid: each for each in listed(store, state, page, allows)}
                if wants_keys:
                    jobs = _with_keys(store, jobs)
                for uid, _ in page:
                    read, looked_at = read + 1, looked_at + 1
                    if uid in jobs and matches(jobs[uid]):
                        found.append(jobs[uid])
                    if len(found) >= limit or looked_at >= LOOKED:
                        return Found(found, str(_At(state, nth, read, shelf.name)), looked_at)
    return Found(found, "", looked_at)


def _with_keys(store: RedisStore, jobs: dict[str, Listed]) -> dict[str, Listed]:
    """The same, with what each takes of limits, and its fair key."""
    if not jobs:
        return jobs
    (rows,) = fields.read(store, ["flow"], [*jobs])
    return {
        uid: attrs.evolve(each, keys=_keys(kept.text(row))) if row else each
        for (uid, each), row in zip(jobs.items(), rows, strict=True)
    }


def _keys(row: str) -> tuple[str, ...]:
    found = [str(value) for take in flow.takes_of(row) for value in (limit_of(take), key_of(take))]
    if (turn := flow.turn_in(row)) is not None:
        found.append(turn[1].key.strip('"'))
    return tuple(each for each in found if each != "None")
