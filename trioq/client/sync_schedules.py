"""Schedules that programs put, and what there is of all, from ordinary code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trioq.client.cancel import whoami
from trioq.client.jobs import Drafts
from trioq.client.pausing import pausing
from trioq.client.scheduling import call_of, checked, drafted, known, listed, must_be, row_of
from trioq.client.sync_sender import SyncSender
from trioq.core.arguments import Seconds
from trioq.core.call import Call
from trioq.core.formats.pause import of_schedule

if TYPE_CHECKING:
    from trioq.client.handle import SyncHandle
    from trioq.store.inspect import ScheduleView


class SyncSchedules:
    """A client's ``schedules``."""

    def __init__(
        self, drafts: Drafts, sender: SyncSender, enqueue: Callable[..., SyncHandle]
    ) -> None:
        self._drafts = drafts
        self._sender = sender
        self._enqueue = enqueue

    def put(
        self,
        name: str,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        **times: Any,
    ) -> bool:
        """From now on there is this schedule, until it is removed. A tick that has come stays.

        Args:
          what: ``handler.call(…)``, or a handler's name with its ``payload``.
          queue: Default: as of ``enqueue``.
          times: ``cron`` with ``tz``, ``every`` with ``anchor``, or ``at``; ``misfire``,
              ``misfire_grace``, ``overlap``, ``jitter``: see :meth:`trioq.App.schedule`.

        Returns:
          False: that was so already.

        Raises:
          ValueError, TypeError: What is said can't be; its time is over; or a deployment lists a
              schedule of this name.
          PayloadRejected, QueueUnknown: Its jobs couldn't be enqueued.
          StoreUnreachable: No answer in 10 s; with ``sent``, it may have been done. Again is
              harmless.
          StoreBusy, StoreRefused: Nothing was changed.
        """
        made = drafted(self._drafts, name, what, payload, queue=queue, times=times)
        row, first_ms = row_of(made, self._sender.ask(lambda store: store.now_ms()))
        return self._put(name, row, first_ms, "put")

    def remove(self, name: str) -> bool:
        """There is no such schedule any more; jobs that it brought stay. False: there was none.

        Raises:
          ValueError: A deployment lists it; of one that is retired nothing stays.
          StoreUnreachable, StoreBusy, StoreRefused: As of :meth:`put`.
        """
        return self._put(checked(name), b"", None, "removed")

    def list(self) -> list[ScheduleView]:
        """All schedules, whoever says them, by name."""
        return self._sender.ask(lambda store: store.schedule_views())

    def get(self, name: str) -> ScheduleView | None:
        """A schedule and what became of its last ticks; None: there is none."""
        return self._sender.ask(known(name))

    def pause(
        self,
        name: str,
        *,
        lasts: Seconds | None = None,
        note: str = "",
        by: str | None = None,
    ) -> bool:
        """Its ticks bring no jobs until it is resumed. False: that was so already.

        Args:
          name: The schedule's.
          lasts: Seconds, by the server's clock, after which it ends by itself; None: it doesn't.
          note: Why, for whoever wonders.
          by: Who says so; default: this user, on this host.

        Raises:
          ValueError: There is no such schedule.
        """
        how = pausing(whoami() if by is None else by, note, lasts)
        must_be(self._sender.ask(known(name)), name)
        what = of_schedule(name)
        return self._sender.send(
            lambda store, sender, number: store.pause(sender, number, what, True, how)
        )

    def resume(self, name: str) -> bool:
        """Its ticks bring jobs again. False: that was so already.

        Raises:
          ValueError: There is no such schedule.
        """
        must_be(self._sender.ask(known(name)), name)
        what = of_schedule(name)
        return self._sender.send(
            lambda store, sender, number: store.pause(sender, number, what, False)
        )

    def run(self, name: str) -> SyncHandle:
        """Enqueue now what a tick of it would; its ticks come as before, and ``overlap`` doesn't
        look at this run. Paused ones can be run, too.

        Raises:
          ValueError: There is no such schedule.
          QueueFull, …: As of ``enqueue``.
        """
        job, payload, queue = call_of(must_be(self._sender.ask(known(name)), name))
        return self._enqueue(job, payload, queue=queue)

    def _put(self, name: str, row: bytes, first_ms: int | None, done: str) -> bool:
        changed = self._sender.send(
            lambda store, sender, number: store.put_schedule(sender, number, name, row, first_ms)
        )
        if changed is None:
            raise listed(name, self._sender.ask(known(name)), done)
        return changed
