"""While ``trioq enqueue`` waits for room in a queue: it says so, and Ctrl-C ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

import attrs

from trioq.cli.bulk import Stop, interrupted
from trioq.cli.common import note
from trioq.core.calls import MustWait

#: After so long one wonders.
TELL_S = 0.5


@attrs.define
class Patience:
    """Of one command."""

    how_far: Callable[[], str]
    """What was queued by now, in words."""
    stop: Stop | None = None
    """Where Ctrl-C ends something else first."""
    _is_told: bool = attrs.field(default=False, init=False)

    @contextmanager
    def waiting(self, full: MustWait) -> Iterator[None]:
        """Around each wait: nothing of what waits is queued by then."""
        teller = Timer(TELL_S, self._tell, (full,))
        teller.daemon = True
        teller.start()
        if self.stop is not None:
            self.stop.is_at_once = True
        try:
            yield
        except KeyboardInterrupt:
            interrupted(self.how_far())
        finally:
            teller.cancel()
            if self.stop is not None:
                self.stop.is_at_once = False

    def _tell(self, full: MustWait) -> None:
        if not self._is_told:
            self._is_told = True
            note(
                f"{full.queue} is full ({full.length:,} of {full.max_length:,}), waiting for room:"
                " Ctrl-C or --full-timeout ends that"
            )
