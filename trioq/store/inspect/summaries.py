"""What is kept of finished jobs, a page at a time, the newest first."""

from __future__ import annotations

from collections.abc import Iterator

from trioq.core.formats import summary
from trioq.core.formats.summary import Summary
from trioq.store.redis import RedisStore

#: Read in one round trip: this much, as far as it can be foreseen. What one step was told of is one
#: piece, of a job or of a thousand.
PAGE_BYTES = 1 << 18
PIECES = 200
FIRST = 8


def done(store: RedisStore) -> Iterator[Summary]:
    """What is kept of finished jobs, the newest first; what can't be read is left out."""
    for piece in pieces(store):
        yield from summary.decode_all(piece)


def ended(store: RedisStore, *, newest_first: bool) -> Iterator[Summary]:
    """The same, from either end."""
    if newest_first:
        yield from done(store)
        return
    for piece in pieces(store, oldest_first=True):
        yield from reversed(summary.decode_all(piece))


def newest_done(store: RedisStore) -> bytes:
    """What was kept last, as a mark for :func:`done_since`; empty: there is nothing."""
    return next(pieces(store, first=1), b"")


def done_since(store: RedisStore, mark: bytes) -> tuple[list[Summary], bytes]:
    """The summaries that came after this mark, the last one first, and the next mark.

    Where the mark isn't kept any more, all that are.
    """
    found: list[Summary] = []
    newest = mark
    for n, piece in enumerate(pieces(store)):
        newest = piece if n == 0 else newest
        if piece == mark:
            break
        found += (read for read in summary.decode_all(piece) if read.state == "done")
    return found, newest


def pieces(store: RedisStore, *, first: int = FIRST, oldest_first: bool = False) -> Iterator[bytes]:
    """All that is kept, as it lies there.

    Args:
      first: How many to read at first.
      oldest_first: From the other end, where others are trimmed away meanwhile.
    """
    start, count, key = 0, first, store.keys.fixed("done")
    while True:
        ends = (-start - count, -start - 1) if oldest_first else (start, start + count - 1)
        if not (page := store.lane.call("LRANGE", key, *ends)):
            return
        yield from reversed(page) if oldest_first else page
        start += len(page)
        fit = PAGE_BYTES * len(page) // (sum(map(len, page)) or 1)
        count = max(1, min(fit, 4 * count, PIECES))
