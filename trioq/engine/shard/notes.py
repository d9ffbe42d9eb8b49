"""Tells the server what handlers say of how far they are: the last of it, now and then.

A handler says it as often as it likes, to a board (:mod:`trioq.core.board`). Of all boards on
which there is something new the notes go together in one request: each second while somebody
watches, else of a run every ten. While Redis doesn't answer nothing piles up; it hears the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import attrs
import trio

from trioq.core.board import Board, Said
from trioq.core.calls import NOTES_MAX, Note
from trioq.engine.bridge import Caller
from trioq.engine.claim import Held
from trioq.engine.outage import Outage
from trioq.errors import StoreError

#: How often a run may be told of while somebody watches, and while nobody does.
WATCHED_S = 1.0
UNWATCHED_S = 10.0

#: Bytes of notes in one request, with one more: a few milliseconds of the server's time.
BYTES = 1 << 18

#: What a run that hasn't succeeded waits for its last note to be told.
LAST_S = 1.0

Boards = Callable[[], Iterable[tuple[Held, Board]]]


@attrs.define
class _Sent:
    """A note as it is sent, and what it tells of its board."""

    note: Note
    board: Board
    tells: tuple[Said | None, int]


@attrs.define(eq=False, kw_only=True)
class Notes:
    """Those of one boot.

    Args:
      is_watched: Whether somebody looks at what engines do.
      may_tell: Whether the boot's claims are its own at this moment, as far as we know.
      every_s: How often it looks for news.
    """

    boot: str
    caller: Caller
    outage: Outage
    is_watched: Callable[[], bool]
    may_tell: Callable[[], bool]
    every_s: float = WATCHED_S

    async def run(self, boards: Boards) -> None:
        """Tell of these, as long as the boot lives.

        Args:
          boards: Those of all runs of its claims, asked for each second.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: ends a request that is under way; it may have been executed, or may be.
        """
        while True:
            await trio.sleep(self.every_s)
            await self.outage.until_answered("note", lambda: self._tell(boards()))

    async def last(self, claim: Held, board: Board) -> None:
        """Tell the last of what a run has said, before it is told of its end: no longer is it
        ours to tell then. Not at any price.

        Cancellation: not before it is told, or a second is over.
        """
        if not board.has_news or not self.may_tell():
            return
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_S):
            try:
                await self._send([_sent(claim, board)])
            except StoreError:
                return

    async def _tell(self, boards: Iterable[tuple[Held, Board]]) -> None:
        least_s = WATCHED_S / 2 if self.is_watched() else UNWATCHED_S
        due = trio.current_time() - least_s
        for some in _requests(
            _sent(claim, board)
            for claim, board in boards
            if board.has_news and board.told_at <= due
        ):
            await self._send(some)

    async def _send(self, sent: list[_Sent]) -> None:
        caller, now = self.caller, trio.current_time()
        refused = await caller.call(caller.store.note, self.boot, [each.note for each in sent])
        for each in sent:
            each.board.told, each.board.told_at = each.tells, now
            each.board.is_refused = each.note.uid in refused


def _sent(claim: Held, board: Board) -> _Sent:
    tells = board.now  # before it is read: what comes meanwhile is news
    return _Sent(Note(claim.uid, claim.step, board.note(claim.attempt)), board, tells)


def _requests(notes: Iterable[_Sent]) -> Iterator[list[_Sent]]:
    """As many at a time as go in one request."""
    some, room = list[_Sent](), math.inf
    for each in notes:
        if room <= 0 or len(some) == NOTES_MAX:
            yield some
            some = []
        if not some:
            room = BYTES
        some.append(each)
        room -= len(each.note.text)
    if some:
        yield some
