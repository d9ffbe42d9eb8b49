"""A benchmark of engines that are there already, with a job of theirs, in their namespace.

What became of each job is read from the summaries that ``done`` keeps. Their times are whole
milliseconds, by the clocks of the hosts that enqueued and ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from trioq.app import Call
from trioq.client import SyncClient
from trioq.core.job import Uid
from trioq.store.inspect import done
from trioq.store.redis import RedisStore

LOOK_S = 0.1

#: Jobs asked about in one round trip.
PAGE = 500


@attrs.define
class Watched:
    """Jobs of ours among those of others, and what is known of them."""

    store: RedisStore
    left: set[Uid]
    summaries: dict[Uid, Mapping[str, Any]] = attrs.field(factory=dict, init=False)
    dead: set[Uid] = attrs.field(factory=set, init=False)
    unseen: set[Uid] = attrs.field(factory=set, init=False)
    """Done, and their summaries gone before they were read: there were too many of others'."""
    _newest: tuple[Any, ...] = attrs.field(default=(), init=False)

    def look(self) -> None:
        """Find those that have ended since the last look."""
        self._read_summaries()
        for page in _pages(sorted(self.left)):
            keys = self.store.keys
            lengths = self.store.lane.pipeline(
                [("HSTRLEN", keys.fixed("jobs"), uid) for uid in page]
            )
            died = self.store.lane.call("ZMSCORE", keys.fixed("dead"), *page)
            for uid, length, score in zip(page, lengths, died, strict=True):
                if score is not None:
                    self.dead.add(uid)
                elif not length:
                    self.unseen.add(uid)
        self.left -= self.dead | self.unseen
        # One that ended between the two questions has its summary by now.
        self._read_summaries()

    def _read_summaries(self) -> None:
        first: tuple[Any, ...] | None = None
        for summary in done(self.store):
            mark = (summary["uid"], summary["at_ms"])
            first = first or mark
            if mark == self._newest:
                break
            uid = summary["uid"]
            if uid in self.left or uid in self.unseen:
                self.summaries[uid] = summary
                self.left.discard(uid)
                self.unseen.discard(uid)
        self._newest = first or self._newest


def wait_for(watched: Watched, patience_s: float, told: Callable[[int], None]) -> None:
    """Wait until all have ended, or none has for so long."""
    total, deadline = len(watched.left), time.monotonic() + patience_s
    while watched.left:
        before = len(watched.left)
        watched.look()
        told(total - len(watched.left))
        if len(watched.left) < before:
            deadline = time.monotonic() + patience_s
        elif time.monotonic() > deadline:
            return
        time.sleep(LOOK_S if watched.left else 0)


def take_back(client: SyncClient, store: RedisStore, uids: Sequence[Uid], call: Call) -> int:
    """Cancel what doesn't run yet; returns how many."""
    raise NotImplementedError


def _pages(uids: Sequence[Uid]) -> list[Sequence[Uid]]:
    return [uids[at : at + PAGE] for at in range(0, len(uids), PAGE)]
