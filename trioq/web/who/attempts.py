"""How often one may try a password: ever more slowly, from one place and for one name."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

import attrs

#: So many wrong ones cost nothing: people mistype.
FREE = 4
#: Then one waits so long, and twice as long after each more, up to the last.
FIRST_S, LAST_S = 1.0, 300.0
#: After so long without an attempt they are forgotten.
FORGET_S = 900.0
#: Beyond so many places and names the oldest are forgotten.
MOST = 10_000


@attrs.define
class _Tried:
    wrong: int = 0
    at: float = 0.0


class Attempts:
    """Counts wrong attempts, by place and by name.

    A name is slowed down as well, so that many places can't try it; whoever has it and comes from
    a place that was right before isn't locked out by them.

    Args:
      now: A monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tried = OrderedDict[tuple[str, ...], _Tried]()
        self._known = OrderedDict[tuple[str, str], None]()

    def wait_s(self, place: str, name: str) -> float:
        """Seconds until the next attempt; 0: it may be made now."""
        now = self._now()
        waits: list[float] = [
            tried.at + min(FIRST_S * 2 ** min(tried.wrong - FREE, 20), LAST_S) - now
            for who in self._counted(place, name)
            if (tried := self._tried.get(who)) and tried.wrong >= FREE
            and now < tried.at + FORGET_S
        ]  # fmt: skip
        return max([0.0, *waits])

    def begin(self, place: str, name: str) -> None:
        """One is made. It counts as wrong until it was right, so that many at once don't slip
        through."""
        now = self._now()
        for who in self._counted(place, name):
            tried = self._tried.setdefault(who, _Tried())
            if now >= tried.at + FORGET_S:
                tried.wrong = 0
            tried.wrong, tried.at = tried.wrong + 1, now
            self._tried.move_to_end(who)
        while len(self._tried) > MOST:
            self._tried.popitem(last=False)

    def was_right(self, place: str, name: str) -> None:
        """It was right. The place's own wrong ones stay counted: else who has a password could
        try others' in between."""
        for who in (("name", name), ("both", place, name)):
            self._tried.pop(who, None)
        tried = self._tried.get(("place", place))
        if tried is not None and (place, name) not in self._known:  # this one was counted
            tried.wrong = max(0, tried.wrong - 1)
        self._known[place, name] = None
        self._known.move_to_end((place, name))
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def _counted(self, place: str, name: str) -> Iterator[tuple[str, ...]]:
        if (place, name) in self._known:
            yield "both", place, name
        else:
            yield "place", place
            yield "name", name
