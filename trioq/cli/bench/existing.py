"""A benchmark of the engines that are there, with a job of theirs, in their namespace.

When each job ended is read from the summaries that ``done`` keeps, while there are enough of
them: whole milliseconds, by the clock of the host that ran it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs

from trioq.cli.bench.figures import Measured, Spread
from trioq.cli.bench.load import Load, Offered, offer
from trioq.cli.bench.namespace import on_sigterm, uninterrupted
from trioq.cli.bulk import Stop
from trioq.client.admin import Admin
from trioq.client.sync import SyncClient
from trioq.core.job import Uid
from trioq.store.connector import Connector
from trioq.store.inspect.ends import ended
from trioq.store.inspect.summaries import done_since, newest_done
from trioq.store.redis import RedisStore

#: How often is looked for summaries.
LOOK_S = 0.1

#: How often the server is asked after those that weren't seen to end.
ASK_S = 1.0


@attrs.frozen
class End:
    """How a job ended, as its summary has it."""

    at_ms: int
    took_ms: float


class Ends:
    """Reads, in a thread, the ends of all jobs as they come; anybody's are among them."""

    def __init__(self, store: RedisStore) -> None:
        self.known: dict[Uid, End] = {}
        self._store = store
        self._newest = newest_done(store)  # what ended before doesn't count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="trioq:ends", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read once more, and no more."""
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_S):
            self._read()
        self._read()

    def _read(self) -> None:
        summaries, self._newest = done_since(self._store, self._newest)
        for each in summaries:
            if each.at_ms is not None:
                self.known[each.uid] = End(each.at_ms, each.took_ms)


@attrs.define
class Watched:
    """Jobs of ours among those of others.

    Args:
      mine: When each was due, in nanoseconds of the monotonic clock.
    """

    store: RedisStore
    ends: Ends
    mine: dict[Uid, int]
    left: set[Uid] = attrs.field(factory=set[Uid], init=False)
    dead: set[Uid] = attrs.field(factory=set[Uid], init=False)
    unseen: set[Uid] = attrs.field(factory=set[Uid], init=False)
    """Done, and their summaries gone before they were read."""

    def wait(self, patience_s: float, told: Callable[[int], object]) -> None:
        """Wait until all have ended, or none has for so long."""
        self.left = set(self.mine)
        deadline, ask_at = time.monotonic() + patience_s, 0.0
        while self.left:
            before = len(self.left)
            self.left -= self.ends.known.keys()
            if self.left and time.monotonic() >= ask_at:
                self._ask()
                ask_at = time.monotonic() + ASK_S
            told(len(self.mine) - len(self.left))
            if len(self.left) < before:
                deadline = time.monotonic() + patience_s
            elif time.monotonic() > deadline:
                return
            time.sleep(LOOK_S if self.left else 0)

    def _ask(self) -> None:
        """Find those that have ended without being seen."""
        dead, gone = ended(self.store, self.left)
        self.dead |= dead
        self.unseen |= gone
        self.left -= self.dead | self.unseen

    def measured(self, load: Load, offered: Offered, patience_s: float) -> Measured:
        """What is known of them."""
        ends = {uid: self.ends.known[uid] for uid in self.mine if uid in self.ends.known}
        unseen = self.unseen - ends.keys()
        zero_ms = time.time() * 1000 - time.monotonic_ns() / 1e6
        due_ms = {uid: zero_ms + at / 1e6 for uid, at in self.mine.items()}
        rates = {"offered": load.rate} if load.rate else {}
        rates["enqueued"] = load.jobs / offered.took_s
        if ends:
            took_ms = max(e.at_ms for e in ends.values()) - (zero_ms + offered.began_ns / 1e6)
            rates["done"] = len(ends) / max(took_ms, 1.0) * 1000
        times = {
            "wait": [end.at_ms - end.took_ms - due_ms[uid] for uid, end in ends.items()],
            "run": [end.took_ms for end in ends.values()],
            "end-to-end": [end.at_ms - due_ms[uid] for uid, end in ends.items()],
        }
        done, unfinished = len(ends) + len(unseen), len(self.left)
        notes = []
        if unseen:
            notes.append(f"{len(unseen):,} done jobs aren't in the figures: keep_done is too small")
        if unfinished:
            notes.append(f"gave up: nothing had ended for {patience_s:g} s; the rest is cancelled")
        return Measured(
            rates,
            {name: Spread.of([max(0.0, ms) / 1000 for ms in all_]) for name, all_ in times.items()}
            | {"enqueue call": Spread.of(offered.calls_s)},
            {"done": done, "dead": len(self.dead), "unfinished": unfinished},
            tuple(notes),
            complete=done == load.jobs,
        )


def run(
    connector: Connector,
    client: SyncClient,
    load: Load,
    patience_s: float,
    told: Callable[[str], Callable[[int], object]],
) -> Measured:
    """Offer a load to whoever is there, and wait until all of it has ended.

    What has not, in the end or at a Ctrl-C, is cancelled if it doesn't run.
    """
    # Between two requests, so that it's known what was enqueued.
    with Stop() as stop, on_sigterm(stop.want):

        def tell(what: str) -> Callable[[int], object]:
            told_of = told(what)

            def tell_of(count: int) -> None:
                told_of(count)
                if stop.wanted:
                    raise KeyboardInterrupt

            return tell_of

        return _run(connector, client, load, patience_s, tell)


def _run(
    connector: Connector,
    client: SyncClient,
    load: Load,
    patience_s: float,
    told: Callable[[str], Callable[[int], object]],
) -> Measured:
    ends = Ends(connector.store("ends"))
    watched = Watched(connector.store("bench"), ends, {})
    try:
        offered = offer(client, load, told("enqueued"), watched.mine)
        watched.wait(patience_s, told("ended"))
    finally:
        ends.stop()
        with uninterrupted():
            admin = Admin(connector.store("admin"))
            watched.left = set(watched.mine) - ends.known.keys() - watched.dead - watched.unseen
            for uid in sorted(watched.left):
                admin.cancel(uid)
    return watched.measured(load, offered, patience_s)
