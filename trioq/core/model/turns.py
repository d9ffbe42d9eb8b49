"""Turns among the fair keys of a queue: start-time fair queueing (Goyal, Vin and Cheng, 1996).

A job with a fair key has a *tag*, the virtual time at which it may start: when its key's last one
is through, or now, if that is over. The smallest goes first, and the queue's time is the tag of
whoever was claimed last. Jobs without a key are those of one more, of weight 1: they lie in order,
and only the first needs a tag, which it has when somebody looks.
"""

from __future__ import annotations

import heapq
from collections import deque

import attrs

from trioq.core.fair import LONGEST, TURN, FairKey, turn_of
from trioq.core.job import Uid


@attrs.define
class Keyed:
    """The ready jobs of one queue that have a fair key."""

    tags: dict[Uid, int] = attrs.field(factory=dict[Uid, int], init=False)
    """Cancelled ones too, until a claim passes over them."""
    _heap: list[tuple[int, Uid]] = attrs.field(factory=list[tuple[int, Uid]], init=False)

    def __len__(self) -> int:
        return len(self.tags)

    def put(self, uid: Uid, tag: int) -> None:
        """It may be claimed when its turn comes."""
        self.tags[uid] = tag
        heapq.heappush(self._heap, (tag, uid))

    def first(self) -> int:
        """The tag of the next one; there has to be one."""
        return self._heap[0][0]

    def pop(self) -> tuple[Uid, int]:
        """Take out the next one."""
        tag, uid = heapq.heappop(self._heap)
        del self.tags[uid]
        return uid, tag

    def take(self, limit: int) -> list[Uid]:
        """Take out the first ones."""
        return [self.pop()[0] for _ in range(min(limit, len(self)))]


@attrs.define
class Turns:
    """How far each queue, and each key in it, has come."""

    now: dict[str, int] = attrs.field(factory=dict[str, int])
    """Queue → its virtual time."""
    ends: dict[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])
    """Queue and key → when the last one that was given a tag is through."""

    spare: dict[tuple[str, str], dict[int, int]] = attrs.field(
        factory=dict[tuple[str, str], dict[int, int]]
    )
    """Queue and key → the turns of those that didn't wait for them, that lie before others'."""

    @property
    def are_used(self) -> bool:
        """Whether anybody had one, since they were forgotten."""
        return bool(self.now or self.ends)

    def tag(self, queue: str, fair: FairKey) -> int:
        """The tag of one that becomes ready."""
        starts = self._next(queue, fair.key)
        self.ends[queue, fair.key] = starts + turn_of(fair.weight)
        return starts

    def give_back(self, queue: str, fair: FairKey, tag: int) -> None:
        """One that waited for its turn is over.

        What its key is given next comes as if there had never been this one, unless others of
        the key still wait that came later: they keep their tags, and the turn is given back when
        they are over too without having had theirs.
        """
        who = (queue, fair.key)
        spare = self.spare.setdefault(who, {})
        spare[tag + turn_of(fair.weight)] = tag
        while (starts := spare.pop(self.ends.get(who, 0), None)) is not None:
            self.ends[who] = starts

    def merged(
        self, queue: str, plain: deque[Uid], keyed: Keyed, limit: int
    ) -> list[tuple[Uid, int | None]]:
        """Take out whose turn it is: each with its tag; None: it has no key."""
        now, end = self.now.get(queue, 0), self.ends.get((queue, ""), 0)
        taken = list[tuple[Uid, int | None]]()
        while len(taken) < limit and (keyed or plain):
            starts = max(now, end)
            if plain and (not keyed or starts <= keyed.first()):
                taken.append((plain.popleft(), None))
                now, end = starts, starts + TURN
            else:
                uid, tag = keyed.pop()
                taken.append((uid, tag))
                now = max(now, tag)
        return taken

    def claimed(self, queue: str, tag: int | None) -> None:
        """It was this one's turn."""
        if tag is None:
            tag = self._next(queue, "")
            self.ends[queue, ""] = tag + TURN
        self.now[queue] = max(tag, self.now.get(queue, 0))

    def none_left(self, queue: str) -> None:
        """No key waits: whoever had a turn too many has it forgiven, and is forgotten."""
        self.now[queue] = self.now.get(queue, 0) + LONGEST

    def _next(self, queue: str, key: str) -> int:
        return max(self.now.get(queue, 0), self.ends.get((queue, key), 0))
