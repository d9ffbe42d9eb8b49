"""What operators do: look, pause, cancel, purge, and deal with the dead.

    with trioq.connect_admin("jobqueue.toml") as admin:
        if admin.stats().dead:
            for count in admin.revive(trioq.DeadFilter(name="thumbnail")):
                print(count, "more have another chance")

Bulk work comes as an iterator: each step is one short request, so that the server serves
others in between, whoever iterates sets the pace, and what was done stays done when it
stops. Every write is numbered: one whose answer is lost is sent again, and executed once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import attrs

from trioq.client.opening import configured
from trioq.client.sync_sender import SyncSender
from trioq.core.calls import Unwanted
from trioq.core.config import Config
from trioq.core.formats.summary import encode_cancelled
from trioq.core.job import Uid
from trioq.store import inspect
from trioq.store.connect import open_store
from trioq.store.inspect import Dead, DeadFilter, DeadPage, Door, JobView, Stats
from trioq.store.redis import RedisStore

#: Jobs in one write: a few milliseconds of the server's time at most.
PAGE = 250


@attrs.frozen
class Cancelled:
    """What became of the wish to cancel a job."""

    id: str
    """As it was asked for."""
    uid: Uid | None
    result: Literal["cancelled", "asked", "dead", "done", "unknown", "unreadable"]
    """``asked``: it runs, and its engine was told; it never runs again. ``unreadable``: its
    record says neither queue nor name. All others but ``cancelled`` changed nothing."""


class Admin:
    """Questions and changes in one namespace. Blocks; for one thread at a time.

    Args:
      queues: The configured ones, shown even if nothing was ever in them.
    """

    def __init__(self, store: RedisStore, queues: Sequence[str] = ()) -> None:
        self.store = store
        self.queues = tuple(queues)
        self._sender = SyncSender(lambda: store)

    # -- questions ---------------------------------------------------------------------------

    def stats(self) -> Stats:
        """How many jobs are where, and which engines live."""
        return inspect.stats(self.store, self.queues)

    def doors(self, counted: Stats | None = None) -> list[Door]:
        """What parked jobs wait behind, since when and why, those with the most first.

        Args:
          counted: What :meth:`stats` returned; default: asked for now.
        """
        return inspect.doors(self.store, counted or self.stats())

    def door(self, view: JobView) -> Door | None:
        """What this job waits behind; None: it isn't parked."""
        if view.state != "parked" or (record := view.record) is None:
            return None
        there = (door for door in self.doors() if door.queue == record.queue)
        return next((door for door in there if door.name == record.name), None)

    def queue_names(self) -> tuple[str, ...]:
        """The configured queues, then all others that anything is in, maybe also empty ones."""
        return (*self.queues, *sorted(inspect.queue_names(self.store) - set(self.queues)))

    def job(self, id_or_uid: str) -> JobView | None:
        """A job, wherever it is; None: nobody knows it."""
        return inspect.find(self.store, id_or_uid)

    def peek(self, queue: str, count: int) -> list[JobView]:
        """The jobs of a queue that would be claimed next, in that order."""
        return inspect.peek(self.store, queue, count)

    def held(self, engine: str) -> list[JobView]:
        """The jobs that an engine, named by its id, has claimed and not settled."""
        return inspect.held(self.store, engine)

    def dead(
        self, wanted: DeadFilter | None = None, *, progress: Callable[[int], Any] = lambda n: None
    ) -> Iterator[JobView]:
        """Dead jobs with all that is known of them, the longest dead first.

        Args:
          progress: Is told how many more of the dead have been looked at.
        """
        for page in self.dead_pages(wanted or DeadFilter()):
            yield from inspect.dead_views(self.store, page.jobs)
            progress(page.looked_at)

    def dead_pages(self, wanted: DeadFilter) -> Iterator[DeadPage]:
        """The same with less, for many; a page may be empty."""
        return inspect.dead_pages(self.store, wanted)

    def uids_of(self, ids: Sequence[str]) -> dict[str, Uid]:
        """The uids of jobs that live or are dead, by their caller's ids or by their uids."""
        return inspect.uids_of(self.store, ids)

    # -- changes -----------------------------------------------------------------------------

    def pause(self, queue: str) -> bool:
        """Nobody claims from this queue any more. False: that was so already.

        Raises:
          StoreUnreachable: No answer in 10 s; with ``sent``, it may have been done. True of all
              changes.
          StoreBusy, StoreRefused: Nothing was changed.
        """
        return self._sender.send(RedisStore.pause, queue, True)

    def resume(self, queue: str) -> bool:
        """Engines claim from this queue again. False: that was so already."""
        return self._sender.send(RedisStore.pause, queue, False)

    def cancel(self, id_or_uid: str, reason: str = "", by: str = "") -> Cancelled:
        """A job that waits shall not run, and one that runs shall end.

        Args:
          reason: Why; of a long one, 200 characters are kept.
          by: Who says so.
        """
        told = self._cancel_where_it_is(id_or_uid, reason, by)
        # There was such a job, and it ended before the request arrived: how?
        has_ended = told.result == "unknown" and told.uid is not None
        return self._cancel_where_it_is(id_or_uid, reason, by) if has_ended else told

    def _cancel_where_it_is(self, id_or_uid: str, reason: str, by: str) -> Cancelled:
        view = self.job(id_or_uid)
        if view is None:
            return Cancelled(id_or_uid, None, "unknown")
        if view.state in ("done", "dead", "cancelled"):
            return Cancelled(id_or_uid, view.uid, view.state)  # type: ignore[arg-type]
        if (record := view.record) is None:
            return Cancelled(id_or_uid, view.uid, "unreadable")
        uid, name, queue = record.uid, record.name, record.queue
        kept = encode_cancelled(
            uid=uid, name=name, queue=queue, reason=reason, by=by,
            at_ms=round(time.time() * 1000), id=record.id,
        )  # fmt: skip
        (word,) = self._sender.send(RedisStore.cancel, [Unwanted(uid, queue, name, kept)])
        return Cancelled(id_or_uid, record.uid, word)

    def purge(self, queue: str, *, page: int = PAGE) -> Iterator[int]:
        """Forget what waits in a queue; running and dead jobs stay.

        As many as were there at the beginning, the oldest first, so that it ends also while
        others enqueue.

        Yields:
          How many the last page forgot; jobs that were cancelled before don't count.
        """
        left = inspect.waiting(self.store, queue)
        while left > 0:
            size = min(page, left)
            names = inspect.parked_names(self.store, queue)
            yield self._sender.send(RedisStore.purge, queue, names, size)
            left -= size

    def purge_dead(self, wanted: DeadFilter, *, page: int = PAGE) -> Iterator[int]:
        """Forget dead jobs. Yields how many the last page forgot."""
        for jobs in self._pages(wanted, page):
            yield self._sender.send(RedisStore.purge_dead, [job.uid for job in jobs])

    def revive(self, wanted: DeadFilter, *, page: int = PAGE) -> Iterator[int]:
        """Dead jobs become ready in the queues they came from, with a new set of attempts.

        Those whose records can't be read stay: nobody can tell their queue.

        Yields:
          How many the last page revived.
        """
        for jobs in self._pages(wanted, page):
            if places := [(job.uid, job.record.queue) for job in jobs if job.record]:
                yield self._sender.send(RedisStore.revive, places)

    # -- below -------------------------------------------------------------------------------

    def _pages(self, wanted: DeadFilter, size: int) -> Iterator[list[Dead]]:
        for read in self.dead_pages(wanted):
            for start in range(0, len(read.jobs), size):
                yield read.jobs[start : start + size]


@contextmanager
def connect_admin(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
) -> Iterator[Admin]:
    """Open the namespace of a configuration (or its file), or of a URL, for an operator.

    Raises:
      ConfigError: The configuration is wrong.
      StoreRefused: The embedded server has no data yet, or can't be started.
    """
    made, _ = configured(config, url, namespace)
    with open_store(made, read_only=True) as connector:
        yield Admin(connector.store("admin"), made.queue_names)
