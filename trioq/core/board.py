"""What is known of a run while it runs: how far it is, lines of a log, and what it waits for.

A handler may say it a million times a second. So to say it is to put it on a board, and what
stands there is sent now and then (:mod:`trioq.engine.shard.notes`).
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from trioq.core.formats import note, payload
from trioq.core.valid import Rule, is_sendable
from trioq.core.waiting import Waiting, of_run
from trioq.core.wall import wall_ms
from trioq.errors import PayloadRejected

#: Of a text, and of a line of a log, so many characters.
TEXT_MAX = 500
LINE_MAX = 2000
#: Of data, so many bytes of JSON.
DATA_MAX = 4096
#: Of an attempt's log the last so many lines are kept, and so many bytes.
LINES = 200
LOG_BYTES = 16_384

FRACTION = Rule(
    "a number from 0 to 1",
    lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    ),
)
TEXT = Rule(
    f"a text of at most {TEXT_MAX} characters, none of them half of a surrogate pair",
    lambda value: isinstance(value, str) and len(value) <= TEXT_MAX and is_sendable(value),
)


class Said(NamedTuple):
    """How far a job is, as its handler says."""

    fraction: float
    text: str
    data: bytes | None
    """JSON."""
    at_ms: int


def said(fraction: float, text: str, data: Any) -> Said:
    """Look at what a handler says.

    Raises:
      ValueError: It can't be said.
    """
    # Most of it is right, and is said often.
    if not (type(fraction) is float and 0.0 <= fraction <= 1.0):
        FRACTION.check("fraction", fraction)
    if not (type(text) is str and text.isascii() and len(text) <= TEXT_MAX):
        TEXT.check("text", text)
    encoded = None if data is None else _encoded(data)
    return Said(float(fraction), text, encoded, wall_ms())


_said = said


def _encoded(data: Any) -> bytes:
    try:
        encoded = payload.encode_value(data, "data")
    except PayloadRejected as error:
        raise ValueError(f"data: {error}") from None
    if len(encoded) > DATA_MAX:
        raise ValueError(f"data has {len(encoded):,} bytes of JSON: expected {DATA_MAX:,} at most")
    return encoded


class Board:
    """One run's. Any thread may write on it."""

    __slots__ = (
        "_bytes", "_lines", "_lock", "_waits", "is_refused", "logged", "said", "told", "told_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self.said: Said | None = None
        """The last of it."""
        self.logged = 0
        """How many lines there ever were."""
        self.told: tuple[Said | None, int] = (None, 0)
        """What the server has of both."""
        self.told_at = -math.inf
        self.is_refused = False
        """Whether the job is another's by now: nothing more is sent."""
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._waits: dict[object, Waiting] = {}
        self._lock = threading.Lock()

    @property
    def now(self) -> tuple[Said | None, int]:
        """What there is to be told."""
        return self.said, self.logged

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever said."""
        return self.now == (None, 0)

    @property
    def has_news(self) -> bool:
        """Whether there is something that the server doesn't know and may be told."""
        return not self.is_refused and self.now != self.told

    def log(self, text: str) -> None:
        """Put lines to the log, and forget the oldest."""
        self.add(line[:LINE_MAX] for line in text.splitlines() or [""])

    def add(self, lines: Iterable[str]) -> None:
        """Put these to the log, which are no longer than they may be."""
        with self._lock:
            for text in lines:
                line = text
                if not is_sendable(text):
                    line = text.encode("utf-8", "backslashreplace").decode()
                self._lines.append(line)
                self.logged += 1
                self._bytes += _size(line)
                while len(self._lines) > LINES or self._bytes > LOG_BYTES:
                    self._bytes -= _size(self._lines.popleft())

    @property
    def lines(self) -> tuple[str, ...]:
        """The last ones, the oldest first."""
        with self._lock:
            return tuple(self._lines)

    @contextmanager
    def waits(self, queues: Iterable[str]) -> Iterator[None]:
        """While this lasts, the run waits for the ends of jobs in these queues."""
        wait = object()
        self._waits[wait] = Waiting(frozenset(queues), time.monotonic())
        try:
            yield
        finally:
            del self._waits[wait]

    @property
    def waiting(self) -> Waiting | None:
        """What it waits for; None: nothing."""
        return of_run(tuple(self._waits.values()))

    def news(self) -> dict[str, Any]:
        """What is new on it, as JSON has it, for a board elsewhere; it's known from then on."""
        with self._lock:
            said, logged = self.said, self.logged
            new = min(logged - self.told[1], len(self._lines))
            lines = list(self._lines)[len(self._lines) - new :]
        self.told = said, logged
        told = None
        if said is not None:
            data = None if said.data is None else json.loads(said.data)
            told = [said.fraction, said.text, data, said.at_ms]
        waits = None if (on := self.waiting) is None else [sorted(on.queues), on.since]
        return {"said": told, "logged": logged, "lines": lines, "waits": waits}

    def copy(self, said: Any, logged: int, lines: Iterable[str], waits: Any) -> None:
        """Put here what is new on a board elsewhere.

        Raises:
          Exception: That is nothing that a board tells.
        """
        if said is not None:
            fraction, text, data, at_ms = said
            self.said = _said(fraction, text, data)._replace(at_ms=int(at_ms))
        self.add(str(line)[:LINE_MAX] for line in lines)
        self.logged = int(logged)
        self._waits = {}
        if waits is not None:
            queues, since = waits
            self._waits[self] = Waiting(frozenset(map(str, queues)), float(since))

    def note(self, attempt: int, room: int = note.NOTE_MAX) -> bytes:
        """What stands there, as it is stored; of the log as much as there is room for."""
        said = None if self.said is None else (*self.said,)
        return note.encode(attempt, said, self.logged, self.lines, room)


def _size(line: str) -> int:
    return len(line) if line.isascii() else len(line.encode("utf-8"))
