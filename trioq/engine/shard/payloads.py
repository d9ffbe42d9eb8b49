"""Fetches big payloads of what is claimed, ahead of the workers.

A small payload comes with the claim. A big one would make steps long, so it lies apart, and is
asked for here: several in one request, while the workers run what came before. A job whose payload
has come is like one that brought it along. What was claimed behind a big one waits behind it.

All of it is bounded by bytes, in one request and in the backlog. What is larger than all that may
lie there, isn't there, or has a record that doesn't say how large it is, as those of older versions
don't, goes on as it is: its run asks for it, when it is its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping, Sequence

import attrs
import trio

from trioq.core.ahead import AHEAD_BYTES
from trioq.core.formats.record import split_big
from trioq.core.job import Uid
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Held, Token
from trioq.engine.fetch import Fetch

#: In one request: a payload that is larger has one of its own. With more, the first of them would
#: wait for the last.
REQUEST_BYTES = 1 << 20


@attrs.define(eq=False)
class Payloads:
    """Those of one boot."""

    fetch: Fetch
    backlog: Backlog
    """Where jobs go when they can be run."""
    _coming: deque[tuple[Held, int]] = attrs.field(factory=deque[tuple[Held, int]], init=False)
    """Jobs, and the bytes to be fetched for each: for the first, some."""
    _awaited: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __len__(self) -> int:
        """How many jobs wait here."""
        return len(self._coming)

    def put(self, jobs: Sequence[Held]) -> int:
        """Hand on what was claimed, now or when its payload has come. Never waits.

        Returns:
          The bytes of their big payloads, as far as their records tell.
        """
        # Asked of each job, most of which have none: what they have ends in a brace.
        if not self._coming and not [held for held in jobs if held.stored[-1:] == b"\n"]:
            self.backlog.put(jobs)
            return 0
        total = 0
        for held in jobs:
            _, size = split_big(held.stored)
            self._coming.append((held, size if size <= AHEAD_BYTES else 0))
            total += size
        self._hand_on({})
        self._awaited.set()
        return total

    def take_back(self) -> list[Held]:
        """Take out whatever waits here."""
        jobs = [held for held, _ in self._coming]
        self._coming.clear()
        return jobs

    def take_out(self, claims: Container[Token]) -> list[Held]:
        """Take out those of these claims that wait here."""
        taken = [held for held, _ in self._coming if (held.uid, held.step) in claims]
        left = [(held, size) for held, size in self._coming if (held.uid, held.step) not in claims]
        self._coming.clear()
        self._coming.extend(left)
        self._hand_on({})  # what has waited behind them, and for nothing else
        return taken

    async def run(self) -> None:
        """Fetch, as long as the boot lives.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: ends a request that is under way. It changes nothing; its jobs stay here.
        """
        while True:
            uids, size = self._request()
            if not uids:
                self._awaited = trio.Event()
                await self._awaited.wait()
            elif (few := self._few_enough(size)) < len(self.backlog):
                await self.backlog.are_few(few)
            else:
                await self._fetch(uids, size)

    async def _fetch(self, uids: Sequence[Uid], size: int) -> None:
        payloads = await self.fetch.payloads(uids, size)
        # Those that were taken back meanwhile are gone from here, and perhaps claimed again: a
        # payload is the same for each claim of its job.
        self._hand_on(dict(zip(uids, payloads, strict=True)))

    def _request(self) -> tuple[list[Uid], int]:
        """What to ask for next, and its bytes."""
        uids, total = list[Uid](), 0
        for held, size in self._coming:
            if uids and total + size > REQUEST_BYTES:
                break
            if size:
                uids.append(held.uid)
                total += size
        return uids, total

    def _few_enough(self, size: int) -> int:
        """So few jobs in the backlog leave room for so many bytes."""
        room = AHEAD_BYTES - size
        for count, held in enumerate(reversed(self.backlog.jobs)):
            room -= len(held.stored) + len(held.payload or b"")
            if room < 0:
                return count
        return len(self.backlog)

    def _hand_on(self, found: Mapping[Uid, bytes | None]) -> None:
        """What is first here and waits for nothing more goes to the workers."""
        ready = list[Held]()
        while self._coming:
            held, size = self._coming[0]
            if size:
                if held.uid not in found:
                    break
                if (payload := found[held.uid]) is not None:
                    held = _with(held, payload)
            self._coming.popleft()
            ready.append(held)
        if ready:
            self.backlog.put(ready)


def _with(held: Held, payload: bytes) -> Held:
    stored, _ = split_big(held.stored)
    return attrs.evolve(held, stored=stored, payload=payload)
