"""What is told of runs: to whom it isn't, what is said meanwhile, and its bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import trio

from tests.engine.claimers import NOBODY
from trioq.core.board import Board, said
from trioq.core.calls import NOTES_MAX, BootId, Note
from trioq.core.job import Uid
from trioq.engine.claim import Held
from trioq.engine.inline import InlineCaller
from trioq.engine.outage import Outage
from trioq.engine.shard.notes import BYTES, LAST_S, Notes
from trioq.errors import StoreRefused
from trioq.store.memory import MemoryStore

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


class Told(MemoryStore):
    """Hears notes; each of these words of its answer is the uid of a refused one."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[list[Note]] = []
        self.refuses: set[Uid] = set()
        self.meanwhile: Any = lambda: None

    def note(self, boot: BootId, notes: Sequence[Note]) -> frozenset[Uid]:
        self.requests.append(list(notes))
        self.meanwhile()
        return frozenset(self.refuses)

    @property
    def uids(self) -> list[list[Uid]]:
        return [[note.uid for note in notes] for notes in self.requests]


class Runs:
    """Boards of runs that a test lets say something."""

    def __init__(self, count: int) -> None:
        self.boards = {f"{n:032x}": Board() for n in range(count)}

    def __call__(self) -> Iterator[tuple[Held, Board]]:
        for uid, board in self.boards.items():
            yield Held(NOBODY, uid, 7, 1, False, b""), board

    def say(self, fraction: float) -> None:
        for board in self.boards.values():
            board.said = said(fraction, "", None)


def notes_to(store: Told, **more: Any) -> Notes:
    options = {"is_watched": lambda: True, "may_tell": lambda: True} | more
    return Notes(
        boot="e.b00t",
        caller=InlineCaller(store),
        outage=Outage(lambda event: None, lambda: 0.5),
        **options,
    )


async def test_while_somebody_watches_a_run_is_told_of_each_second_and_else_every_ten(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    store, runs, watched = Told(), Runs(1), False
    nursery.start_soon(notes_to(store, is_watched=lambda: watched).run, runs)
    counts = []
    await trio.sleep(0.5)  # between two looks
    for n in range(60):
        watched = n >= 30
        runs.say(n / 60)
        await trio.sleep(1)
        counts.append(len(store.requests))
    assert counts[29] == 3
    assert counts[59] - counts[29] in (29, 30)


async def test_what_is_said_while_a_note_is_sent_is_told_with_the_next(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    store, runs = Told(), Runs(1)
    (board,) = runs.boards.values()
    store.meanwhile = lambda: board.log("more") if not board.logged else None
    nursery.start_soon(notes_to(store).run, runs)
    runs.say(0.5)
    await trio.sleep(10)
    assert len(store.requests) == 2
    assert b"more" in store.requests[1][0].text


class Busy(Board):
    """Is written to as soon as it was read."""

    def note(self, attempt: int) -> bytes:
        read = super().note(attempt)
        if not self.logged:
            self.log("more")
        return read


async def test_what_is_said_while_a_note_is_made_is_told_with_the_next(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    store, runs = Told(), Runs(1)
    (uid,) = runs.boards
    runs.boards[uid] = Busy()
    nursery.start_soon(notes_to(store).run, runs)
    runs.say(0.5)
    await trio.sleep(10)
    assert len(store.requests) == 2
    assert b"more" in store.requests[1][0].text


async def test_of_a_run_that_was_refused_nothing_more_is_sent(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    store, runs = Told(), Runs(2)
    zombie, other = runs.boards
    store.refuses = {zombie}
    notes = notes_to(store)
    nursery.start_soon(notes.run, runs)
    for n in range(5):
        runs.say(n / 5)
        await trio.sleep(1)
    assert store.uids[0] == [zombie, other]
    assert store.uids[1:] == [[other]] * (len(store.uids) - 1)
    sent = len(store.requests)
    runs.boards[zombie].log("still here")
    await notes.last(Held(NOBODY, zombie, 7, 1, False, b""), runs.boards[zombie])
    assert len(store.requests) == sent


@pytest.mark.parametrize("size", [1, 4000])
async def test_a_request_has_its_bounds(
    autojump_clock: Clock, nursery: trio.Nursery, size: int
) -> None:
    store, runs = Told(), Runs(2 * NOTES_MAX + 50)
    for board in runs.boards.values():
        board.said = said(0.5, "", "x" * (size - 2))
    nursery.start_soon(notes_to(store).run, runs)
    await trio.sleep(1.5)
    assert [uid for uids in store.uids for uid in uids] == [*runs.boards]
    for request in store.requests:
        assert len(request) <= NOTES_MAX
        assert sum(len(note.text) for note in request[:-1]) < BYTES


async def test_who_may_not_tell_any_more_does_not(autojump_clock: Clock) -> None:
    store, runs = Told(), Runs(1)
    runs.say(0.5)
    ((claim, board),) = runs()
    await notes_to(store, may_tell=lambda: False).last(claim, board)
    assert store.requests == []


async def test_the_last_note_is_told_in_a_cancelled_scope_and_waited_for_no_longer_than_a_second(
    autojump_clock: Clock,
) -> None:
    store, runs = Told(), Runs(1)
    runs.say(0.5)
    ((claim, board),) = runs()
    notes = notes_to(store)
    with trio.CancelScope() as scope:
        scope.cancel()
        await notes.last(claim, board)
    assert len(store.requests) == 1

    class Hangs(InlineCaller):
        async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            await trio.sleep_forever()

    notes.caller = Hangs(store)
    runs.say(0.75)
    began = trio.current_time()
    await notes.last(claim, board)
    assert trio.current_time() - began == LAST_S


async def test_a_server_that_refuses_the_last_note_does_not_end_the_run(
    autojump_clock: Clock,
) -> None:
    store, runs = Told(), Runs(1)

    def refuse() -> None:
        raise StoreRefused("no")

    store.meanwhile = refuse
    runs.say(0.5)
    ((claim, board),) = runs()
    await notes_to(store).last(claim, board)
    assert board.has_news
