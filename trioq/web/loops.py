"""One of something for each event loop: limiters and locks belong to the loop that uses them.

A mounted page may be asked in several loops of one process, one after the other or in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from anyio.lowlevel import RunVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Made when it is first asked for in a loop; gone with it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._here = RunVar[T](f"trioq-{id(self)}")

    @property
    def here(self) -> T:
        """That of this loop."""
        try:
            return self._here.get()
        except LookupError:
            made = self._make()
            self._here.set(made)
            return made
