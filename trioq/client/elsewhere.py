"""Where clients lead while somebody says so: the test kit, for as long as a world of it lives.

In programs nobody does, and :func:`led` answers None. A client that is open by then goes elsewhere
with its next call, and back when that is over: as a forked child it then begins anew, with a sender
of its own (:func:`place`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trioq.client.admin import Admin
    from trioq.client.runtime import Runtime
    from trioq.store.protocol import Way


class Elsewhere(Protocol):
    """Another place to lead to."""

    def way(self, instead_of: Way | None = None) -> Way:
        """For a client of ordinary code.

        Args:
          instead_of: How it would go by its configuration; closed with that.
        """

    def runtime(self) -> Runtime:
        """For a client in the loop that runs here, trio's or asyncio's."""

    def admin(self, queues: Sequence[str]) -> Admin:
        """For operators."""


_led: Elsewhere | None = None


def led() -> Elsewhere | None:
    """Where clients lead; None: where their configuration says."""
    return _led


@contextmanager
def lead(elsewhere: Elsewhere) -> Iterator[None]:
    """While this lasts the clients of this process lead there."""
    global _led  # noqa: PLW0603
    before, _led = _led, elsewhere
    try:
        yield
    finally:
        _led = before


def way(by_itself: Way) -> Way:
    """The way that a client goes now that goes this one by itself."""
    return by_itself if _led is None else _led.way(by_itself)


def place() -> object:
    """From where, and to where, a client sends: this process, or where it is led. Whoever finds
    itself in another place begins anew."""
    return os.getpid() if _led is None else _led
