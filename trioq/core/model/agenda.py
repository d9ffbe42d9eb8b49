"""Names with times."""

from __future__ import annotations

import heapq
from collections.abc import Iterator


class Agenda:
    """Names with times, the earliest first; of equal times, in order of the names."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, name: str) -> bool:
        return name in self._at

    def items(self) -> Iterator[tuple[str, int]]:
        """Name and time, in no order."""
        return iter(self._at.items())

    def at(self, name: str) -> int:
        """The time of a name that is here."""
        return self._at[name]

    def put(self, name: str, at_ms: int) -> None:
        """Note a name's time, instead of the one it had."""
        self._at[name] = at_ms
        heapq.heappush(self._heap, (at_ms, name))

    def drop(self, name: str) -> bool:
        """Forget a name. False: it wasn't there."""
        return self._at.pop(name, None) is not None

    def first(self) -> tuple[int, str] | None:
        """The earliest time and its name."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # dropped, or noted anew with another time
        return self._heap[0] if self._heap else None

    def take(self, limit: int, until_ms: int | None = None) -> list[str]:
        """Take out the earliest names, up to this time, ``limit`` at most."""
        taken: list[str] = []
        while len(taken) < limit and (first := self.first()):
            if until_ms is not None and first[0] > until_ms:
                break
            taken.append(first[1])
            self.drop(first[1])
        return taken
