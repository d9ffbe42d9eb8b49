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

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from trioq.client.cancel import WAIT_S, CancelOutcome, Wish, whoami
from trioq.client.cancelling import Cancelled, Cancelling
from trioq.client.elsewhere import led
from trioq.client.opening import configured, patience_of
from trioq.client.pausing import paused, pausing
from trioq.client.status import LOOK_S, Status, status
from trioq.client.sync_sender import SyncSender
from trioq.client.sync_waits import SyncWaits
from trioq.core import arguments
from trioq.core.arguments import Seconds
from trioq.core.calls import NewJob, Revived
from trioq.core.config import Config
from trioq.core.flow import told_apart
from trioq.core.formats.minutes import Minute
from trioq.core.formats.payload import encode as encode_payload
from trioq.core.formats.record import encode as encode_record
from trioq.core.job import Uid
from trioq.core.limits import LimitSettings, is_own, take_of
from trioq.core.query import Query
from trioq.store import inspect
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.store.inspect import (
    BreakerView,
    Dead,
    DeadFilter,
    DeadPage,
    Door,
    Explanation,
    Found,
    Groups,
    JobFilter,
    JobView,
    LimitView,
    Listed,
    Listing,
    LivingPage,
    Pauses,
    Reason,
    Room,
    Standing,
    Stats,
)
from trioq.store.inspect.listing import LIVING
from trioq.store.inspect.shelves import State
from trioq.store.redis import RedisStore

#: Jobs in one write: a few milliseconds of the server's time at most.
PAGE = 250


class Admin:
    """Questions and changes in one namespace. Blocks; for one thread at a time.

    Args:
      queues: The configured ones, shown even if nothing was ever in them.
      waits: How to be told of the ends of jobs; None: there is no way.
      patience_s: For how long it tries to change something; None: for ten seconds.
    """

    def __init__(
        self,
        store: RedisStore,
        queues: Sequence[str] = (),
        waits: SyncWaits | None = None,
        *,
        patience_s: float | None = None,
    ) -> None:
        self.store = store
        self.queues = tuple(queues)
        self._sender = SyncSender(lambda: store, patience_s)
        self._cancelling = Cancelling(store, self._sender, waits)

    # -- questions ---------------------------------------------------------------------------

    def stats(self) -> Stats:
        """How many jobs are where, and which engines live."""
        return inspect.with_abandoned(self.store, inspect.stats(self.store, self.queues))

    def standing(self) -> Standing:
        """How schedules stand: which come next, and which are late or end."""
        return inspect.standing(self.store)

    def doors(self, counted: Stats | None = None) -> list[Door]:
        """What parked jobs wait behind, since when and why, those with the most first.

        Args:
          counted: What :meth:`stats` returned; default: asked for now.
        """
        return inspect.doors(self.store, counted or self.stats())

    def breakers(self, counted: Stats | None = None) -> list[BreakerView]:
        """The breakers that aren't closed, as far as the engines have told, and all those that
        they share.

        Args:
          counted: What :meth:`stats` returned; default: asked for now.
        """
        return inspect.breakers(self.store, counted or self.stats())

    def follow(self, uid: Uid, id: str | None = None) -> Iterator[Status]:
        """Where a job is, whenever that changes, until it has ended. Looks each second; its
        engine tells how far it is as often.

        Args:
          uid: The job's.
          id: The caller's, if it is known.
        """
        last: Status | None = None
        while last is None or not last.has_ended:
            if (now := status(uid, inspect.look(self.store, uid, id))) != last:
                last = now
                yield now
            if not last.has_ended:
                time.sleep(LOOK_S)

    def door(self, view: JobView) -> Door | None:
        """What this job waits behind; None: it isn't parked."""
        if view.state != "parked" or (record := view.record) is None:
            return None
        where = record.queue, record.name
        there = [door for door in self.doors() if (door.queue, door.name) == where]
        return inspect.door_of(self.store, view.uid, there)

    def waits_for(self, view: JobView) -> str | None:
        """What this job waits for of a limit, ``per_tenant:"acme"``; None: it waits for none."""
        return inspect.waits_for(self.store, view)

    def explain(self, id_or_uid: str) -> Explanation:
        """Why a job doesn't run now: each reason as a sentence and as data."""
        return inspect.explain(self.store, id_or_uid, self.queues)

    def explain_queue(self, queue: str) -> tuple[tuple[Reason, ...], Stats, tuple[Door, ...]]:
        """Why nobody claims from a queue; what is counted; what its parked jobs wait behind."""
        return inspect.explain_queue(self.store, queue, self.queues)

    def limits(self) -> list[LimitView]:
        """What is limited, how much of it is in use, and who waits."""
        return inspect.limits(self.store)

    def rooms(self, queue: str) -> tuple[Room, ...]:
        """Which limits jobs of a queue wait for, how many, and when the next permit comes."""
        return inspect.rooms(self.store, queue)

    def now_ms(self) -> int:
        """The server's time, epoch."""
        return inspect.now_ms_of(self.store)

    def queue_names(self) -> tuple[str, ...]:
        """The configured queues, then all others that anything is in, maybe also empty ones."""
        return (*self.queues, *sorted(inspect.queue_names(self.store) - set(self.queues)))

    def job(self, id_or_uid: str) -> JobView | None:
        """A job, wherever it is; None: nobody knows it."""
        return inspect.find(self.store, id_or_uid)

    def peek(self, queue: str, count: int) -> list[JobView]:
        """The jobs of a ``queue`` that would be claimed next, in that order: at most ``count``."""
        return inspect.peek(self.store, queue, count)

    def jobs(
        self,
        states: Sequence[State] = LIVING,
        wanted: JobFilter | None = None,
        *,
        count: int = 50,
        newest_first: bool = False,
    ) -> Listing:
        """Jobs in these states, as many as are wanted: :class:`trioq.store.inspect.Listing`."""
        return inspect.listing(
            self.store,
            states,
            wanted or JobFilter(),
            count=count,
            newest_first=newest_first,
            queues=self.queues,
        )

    def waiting(self, queue: str) -> int:
        """How many jobs wait in a queue: ready, scheduled or parked."""
        return inspect.waiting(self.store, queue)

    def search(
        self,
        query: Query,
        states: Sequence[State] = LIVING,
        *,
        matches: Callable[[Listed], bool] = lambda job: True,
        after: str = "",
        limit: int = 50,
        newest_first: bool = False,
    ) -> Found:
        """Jobs that are looked for, a bounded part of them: :class:`trioq.store.inspect.Found`.

        Args:
          query: What is looked for. Names, queues and ids are compared here.
          states: In which they are.
          matches: Whether one is meant, by all else.
          after: The ``next`` of the answer before.
          limit: At most so many.
          newest_first: As of :meth:`jobs`.

        Raises:
          ValueError: No answer has such an ``after``.
        """
        return inspect.search(
            self.store, query, states, matches, after=after, limit=limit,
            newest_first=newest_first, queues=self.queues,
        )  # fmt: skip

    def held(self, engine: str) -> list[JobView]:
        """The jobs that an engine, named by its id, has claimed and not settled."""
        return inspect.held(self.store, engine)

    def dead(
        self, wanted: DeadFilter | None = None, *, progress: Callable[[int], Any] = lambda n: None
    ) -> Iterator[JobView]:
        """Dead jobs with all that is known of them, the longest dead first.

        Args:
          wanted: Which are meant; default: all.
          progress: Is told how many more of the dead have been looked at.
        """
        for page in self.dead_pages(wanted or DeadFilter()):
            yield from self.dead_views(page.jobs)
            progress(page.looked_at)

    def dead_pages(
        self, wanted: DeadFilter, *, after: str = "", size: int = 100
    ) -> Iterator[DeadPage]:
        """The same with less, for many; a page may be empty.

        Args:
          wanted: Which are meant.
          after: The ``next`` of a page: those that come after it.
          size: How many are looked at for one page, from 1 to 100.

        Raises:
          ValueError: No page has such a ``next``.
        """
        return inspect.dead_pages(self.store, wanted, after=after, size=size)

    def dead_views(self, jobs: Sequence[Dead]) -> Iterator[JobView]:
        """All that is known of some of a page; those without a record are left out."""
        return inspect.dead_views(self.store, jobs)

    def minutes(self, hours: float = 1.0) -> list[Minute]:
        """What happened in each minute of the last ``hours``, 24 at most, the earliest first: of
        minutes in which no engine counted, nothing is known."""
        return inspect.last_minutes(self.store, hours)

    def groups(self) -> Groups:
        """The newest of the dead, grouped by handler and by what they died of."""
        return inspect.groups(self.store)

    def living(self, wanted: JobFilter, *, after: str = "") -> Iterator[LivingPage]:
        """The jobs that wait, are due later, are parked or run; a page may be empty.

        Args:
          wanted: Which are meant.
          after: The ``next`` of a page: those that come after it.

        Raises:
          ValueError: No page has such a ``next``.
        """
        return inspect.living_pages(self.store, wanted, after=after)

    def running(self, uids: Sequence[Uid]) -> set[Uid]:
        """Those of these jobs that an engine holds."""
        return inspect.running(self.store, uids)

    def uids_of(self, ids: Sequence[str]) -> dict[str, Uid]:
        """The uids of jobs that live or are dead, by their caller's ids or by their uids."""
        return inspect.uids_of(self.store, ids)

    # -- changes -----------------------------------------------------------------------------

    def pauses(self) -> Pauses:
        """Which queues, names and values of limits' keys are paused: since when, until when, by
        whom and why."""
        return inspect.pauses(self.store)

    def pause(
        self,
        queue: str | None = None,
        *,
        job: str | None = None,
        limit: str | None = None,
        key: Any = None,
        lasts: Seconds | None = None,
        note: str = "",
        by: str | None = None,
    ) -> bool:
        """Nobody claims from this queue any more, or runs jobs of this name, or those with this
        value of a limit's key.

        Jobs stay where they are, those of a name behind a door of their own, and those of a key
        where they would wait for its limit: there they hold up nobody; what runs runs on. All
        engines heed it with their next steps. What is paused already is so since the first time,
        and otherwise as it was said last.

        Args:
          queue, job, limit: One of them: a queue's name, a handler's, or that of a limit that has
              a key.
          key: The value of it, with whose jobs nobody starts.
          lasts: Seconds, by the server's clock, after which it ends by itself; None: it lasts until
              somebody resumes it.
          note: Why, for whoever wonders.
          by: Who says so; default: this user, on this host.

        Returns:
          False: that was so already.

        Raises:
          TypeError, PayloadRejected: An argument can't be.
          ValueError: No engine has told of this limit, or it has no key, or the value can't be
            one.
          StoreUnreachable: No answer in 10 s; with ``sent``, it may have been done. True of all
              changes.
          StoreBusy, StoreRefused: Nothing was changed.
        """
        how = pausing(whoami() if by is None else by, note, lasts)
        what = paused(queue, job, limit, key)
        if limit is not None:
            told, _ = inspect.known_limits(self.store, [limit])[limit]
            _check_keyed(limit, told, "pause")
        return self._sender.send(
            lambda store, sender, number: store.pause(sender, number, what, True, how)
        )

    def resume(
        self,
        queue: str | None = None,
        *,
        job: str | None = None,
        limit: str | None = None,
        key: Any = None,
    ) -> bool:
        """Engines claim from this queue, or run jobs of this name, or those with this value of a
        limit's key, again. False: that was so already.

        Args:
          queue, job, limit, key: As of :meth:`pause`.
        """
        what = paused(queue, job, limit, key)
        return self._sender.send(
            lambda store, sender, number: store.pause(sender, number, what, False)
        )

    def reset_breaker(self, name: str) -> bool:
        """Close the breakers of this name, whatever was found: in all engines with their next beat.

        Args:
          name: A job's, or what several depend on.

        Returns:
          True: all engines share it, and it wasn't closed. Of breakers that each engine has for
          itself only that engine knows.
        """
        return self._sender.send(
            lambda store, sender, number: store.reset_breaker(sender, number, name)
        )

    def limit(self, name: str, key: Any = None) -> LimitSettings | None:
        """What a limit admits, or its share for one value of its key; None: nobody has told of it.

        Args:
          name: The limit's.
          key: A value of its key; None: what holds for each that nothing else is said of.

        Raises:
          ValueError: The value can't be one of a key.
        """
        told = inspect.known_limits(self.store, [name, take := _take(name, key)])
        return told[take][0] or told[name][0]

    def keyed_limits(self) -> list[str]:
        """The limits that have a key, as engines have told."""
        found = [view for view in self.limits() if view.settings and view.settings.keyed]
        return [view.name for view in found if not is_own(view.name)]

    def set_limit(self, name: str, settings: LimitSettings, *, key: Any = None) -> bool:
        """A limit admits this from now on, until the next deployment: one whose configuration says
        something else of this limit. False: meanwhile there was one, or somebody else has set it.

        Args:
          name: The limit's.
          settings: What it admits.
          key: Of jobs with this value of the limit's key alone; what is set for the limit leaves
            it. None: of all.

        Raises:
          ValueError: It is one of trioq's own, whose name begins with ``@``. With a key: it can't
            be one, or no engine has told of this limit, or as of one without a key.
          StoreUnreachable: No answer; with ``sent``, it may have been done. Again is harmless.
          StoreBusy, StoreRefused: Nothing was changed.
        """
        if is_own(name):
            raise ValueError(f"the limit {name} is trioq's own: nobody sets it")
        told = inspect.known_limits(self.store, [name, take := _take(name, key)])
        if key is not None:
            _check_keyed(name, told[name][0], "set")
        version = max(self.now_ms(), *(1 + version for _, version in told.values()))
        return take not in self.store.set_limits({take: settings}, version)

    def cancel(
        self, id_or_uid: str, reason: str = "", *, by: str | None = None, wait: Seconds | None = 0.0
    ) -> Cancelled:
        """Have a job end, wherever it is; see :meth:`~trioq.client.client.Client.cancel`.

        Args:
          by: Who says so; default: this user, on this host.
          wait: Seconds to wait for its end if it runs; None: as long as it takes.
        """
        wanted = JobFilter(ids=(id_or_uid,))
        (told,) = (each for page in self.cancel_many(wanted, reason, by=by) for each in page)
        if told.outcome is CancelOutcome.asked and arguments.patience(wait, "wait") > 0:
            (told,) = self.outcomes([told], wait)
        return told

    def cancel_many(
        self, wanted: JobFilter, reason: str = "", *, by: str | None = None
    ) -> Iterator[list[Cancelled]]:
        """Have jobs end: all that live when it begins and to which all of this applies.

        What runs is asked to end: :meth:`outcomes` tells what comes of that. Begun again, it goes
        on with what is left; whoever was asked stays asked.

        Yields:
          What became of the next ones, at most 200; of those that were asked for by their ids
          also what is over, or unknown.
        """
        return self._cancelling.pages(wanted, Wish.checked(reason, 0, by))

    def hasten(self, id_or_uid: str) -> str:
        """Have a job that waits for its time, a retry's or its own, be due now. Its attempts stay
        as they are.

        Returns:
          ``hastened``; else nothing has changed, and it is the state in which the job is
          (``running``, ``dead``, ``done``, …), or ``unknown``.

        Raises:
          StoreUnreachable, StoreBusy, StoreRefused: As of :meth:`pause`.
        """
        view = inspect.find(self.store, id_or_uid, with_big=False)
        if view is not None and view.state == "scheduled" and view.record is not None:
            queue, uid = view.record.queue, view.uid
            if self._sender.send(
                lambda store, sender, number: store.hasten(sender, number, queue, uid)
            ):
                return "hastened"
            view = inspect.find(self.store, uid, with_big=False)
        return "unknown" if view is None else view.state

    def drain_engine(
        self, id_or_name: str, reason: str = "", *, by: str | None = None
    ) -> str | None:
        """Have an engine drain: it claims no more, finishes what it runs within its grace period,
        and ends. It hears of it when it looks around next, within seconds; one of a supervisor's
        processes is replaced by a fresh one.

        Args:
          id_or_name: Which.
          reason: Why, for its log.
          by: Who says so; default: this user, on this host.

        Returns:
          The engine's id; None: no such engine lives.

        Raises:
          StoreUnreachable: It may have been asked.
          StoreBusy, StoreRefused: It wasn't.
        """
        engines = self.stats().engines
        one = next((each for each in engines if id_or_name in (each.id, each.name)), None)
        if one is None:
            return None
        inspect.ask_to_drain(self.store, one.id, whoami() if by is None else by, reason[:200])
        return one.id

    def outcomes(
        self, asked: Sequence[Cancelled], wait: Seconds | None = WAIT_S
    ) -> Iterator[Cancelled]:
        """What comes of jobs that were asked to end, as they do.

        Args:
          wait: Seconds for all of them; None: as long as it takes. Whoever hasn't ended by then
              is told as ``asked``.
        """
        return self._cancelling.outcomes(asked, arguments.patience(wait, "wait"))

    def purge(self, queue: str, *, page: int = PAGE) -> Iterator[int]:
        """Forget what waits in a queue; running and dead jobs stay.

        As many as were there at the beginning, the oldest first, so that it ends also while
        others enqueue.

        Args:
          queue: Its name.
          page: How many go in one request.

        Yields:
          How many the last page forgot; jobs that were cancelled before don't count.
        """
        left = inspect.waiting(self.store, queue)
        while left > 0:
            size = min(page, left)
            names = inspect.parked_names(self.store, queue)
            yield self._purged(queue, names, size)
            left -= size

    def purge_dead(self, wanted: DeadFilter, *, page: int = PAGE) -> Iterator[int]:
        """Forget the dead jobs that are ``wanted``, so many at a time as a ``page`` has. Yields how
        many the last page forgot."""
        for jobs in self._pages(wanted, page):
            yield self._purged_dead([job.uid for job in jobs])

    def revive(
        self, wanted: DeadFilter, *, page: int = PAGE, refused: list[str] | None = None
    ) -> Iterator[int]:
        """Dead jobs become ready in the queues they came from, with a new set of attempts.

        Those whose records can't be read stay: nobody can tell their queue. So do those whose id
        another job has taken that waits or runs.

        Args:
          wanted: Which are meant.
          page: How many go in one request.
          refused: Gets the uids of these.

        Yields:
          How many the last page revived.
        """
        for jobs in self._pages(wanted, page):
            if places := [(job.uid, job.record.queue) for job in jobs if job.record]:
                revived = self._revived(places)
                if refused is not None:
                    refused += revived.refused
                yield revived.count

    def edit(
        self, id_or_uid: str, payload: Mapping[str, Any], *, max_payload_bytes: int = 2**20
    ) -> str:
        """A dead job gets another payload and becomes ready, with a new set of attempts, in one
        write. Its name, its queue, its id and its history stay, and what it takes of limits.

        Args:
          payload: All of it.
          max_payload_bytes: A larger one is refused.

        Returns:
          ``revived``; else nothing was changed, and it is ``taken`` (a live job has its id),
          ``unreadable``, ``unknown``, or the state in which it is.

        Raises:
          PayloadRejected: It can't be a payload.
          StoreUnreachable, StoreBusy, StoreRefused: As of :meth:`pause`.
        """
        content = encode_payload(dict(payload), max_payload_bytes)
        view = inspect.find(self.store, id_or_uid, with_big=False)
        if view is None or view.state != "dead":
            return "unknown" if view is None else view.state
        if view.record is None:
            return "unreadable"
        uid, queue = view.uid, view.record.queue
        stored, big = encode_record(attrs.evolve(view.record, payload=content))
        edited = {uid: NewJob(uid, queue, stored, big)}
        revived = self._sender.send(
            lambda store, sender, number: store.revive(sender, number, [(uid, queue)], edited)
        )
        if revived.refused:
            return "taken"
        if revived.count:
            return "revived"
        left = inspect.find(self.store, uid, with_big=False)
        return "unknown" if left is None else left.state

    # -- below -------------------------------------------------------------------------------

    def _purged(self, queue: str, names: Sequence[str], limit: int) -> int:
        return self._sender.send(
            lambda store, sender, number: store.purge(sender, number, queue, names, limit)
        )

    def _purged_dead(self, uids: Sequence[Uid]) -> int:
        return self._sender.send(
            lambda store, sender, number: store.purge_dead(sender, number, uids)
        )

    def _revived(self, places: Sequence[tuple[Uid, str]]) -> Revived:
        return self._sender.send(lambda store, sender, number: store.revive(sender, number, places))

    def _pages(self, wanted: DeadFilter, size: int) -> Iterator[list[Dead]]:
        for read in self.dead_pages(wanted):
            for start in range(0, len(read.jobs), size):
                yield read.jobs[start : start + size]


def _check_keyed(name: str, limit: LimitSettings | None, do: str) -> None:
    if limit is None or not limit.keyed:
        state = "isn't known" if limit is None else "has no key"
        raise ValueError(f"the limit {name!r} {state}: there is nothing to {do} for one value")


def _take(limit: str, key: Any) -> str:
    """What jobs take of a limit, those with this value of its key; None: all."""
    return limit if key is None else take_of(limit, told_apart(key))


def admin_of(
    connector: Connector, queues: Sequence[str] = (), patience_s: float | None = None
) -> Admin:
    """Who operates the namespace that this leads to."""
    call_s = math.inf if patience_s is None else patience_s
    listening = partial(connector.listening, call_s=call_s)
    waits = SyncWaits(lambda: connector.store("wait", call_s=call_s), listening)
    return Admin(connector.store("admin", call_s=call_s), queues, waits, patience_s=patience_s)


@contextmanager
def connect_admin(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
    patience: Seconds | None = None,
) -> Iterator[Admin]:
    """Open the namespace of a configuration (or its file), or of a URL, for an operator.

    Args:
      config, url, namespace: A configuration, or its file; or a URL and a namespace instead.
      patience: Seconds, or a timedelta, for which a change is tried where Redis is away, and a
          question waits for its answer. Default: ten seconds for a change; a question waits as
          long as ``connect_timeout`` and ``read_timeout`` of the configuration say.

    Raises:
      ConfigError: The configuration is wrong.
      StoreRefused: The embedded server has no data yet, or can't be started.
    """
    made, _ = configured(config, url, namespace)
    patience_s = patience_of(patience)
    if (elsewhere := led()) is not None:
        yield elsewhere.admin(made.queue_names)
        return
    with open_store(made, read_only=True) as connector:
        yield admin_of(connector, made.queue_names, patience_s)
