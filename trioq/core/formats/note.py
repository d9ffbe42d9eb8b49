"""What a handler has said of how far it is: a JSON object, in ``notes``.

The last one of a job goes with the job, and stays with a dead one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from trioq.core.formats import lenient

#: A note has so many bytes at most.
NOTE_MAX = 20_000

_text = json.encoder.encode_basestring


@attrs.frozen
class Progress:
    """How far a job is, as its handler has said."""

    fraction: float
    """From 0 to 1."""
    text: str = ""
    data: Any = None
    """Anything that JSON holds."""
    attempt: int = 0
    """In which attempt."""
    at_ms: int | None = None
    """When: epoch, by the engine's clock."""


@attrs.frozen
class Noted:
    """All that an attempt has said."""

    attempt: int
    progress: Progress | None = None
    """None: it has only logged."""
    log: tuple[str, ...] = ()
    """The last lines."""
    logged: int = 0
    """How many lines there ever were."""

    def as_json(self) -> dict[str, Any]:
        """As ``trioq job --json`` shows it."""
        return attrs.asdict(self)


def encode(
    attempt: int,
    said: tuple[float, str, bytes | None, int] | None,
    logged: int = 0,
    log: Sequence[str] = (),
    room: int = NOTE_MAX,
) -> bytes:
    """As it is stored; of the log as many of the last lines as there is room for.

    Args:
      said: The fraction, a text, JSON, and when it was: epoch milliseconds.
      room: Bytes of it all.
    """
    head = f'{{"attempt":{attempt}'
    if said is not None:
        fraction, text, data, at_ms = said
        head += f',"progress":{fraction!r},"text":{_text(text)},"at_ms":{at_ms}'
        if data is not None:
            head += f',"data":{data.decode("ascii")}'
    if logged:
        head += f',"logged":{logged}'
    start = head.encode("utf-8")
    if not log:
        return start + b"}"
    kept = last_that_fit((_text(line).encode("utf-8") for line in reversed(log)),
                         room - len(start) - len(b',"log":[]}'))  # fmt: skip
    return start + b',"log":[' + b",".join(kept) + b"]}"


def last_that_fit(newest_first: Iterable[bytes], room: int) -> list[bytes]:
    """As many of these as there is room for with a byte between them, the oldest first."""
    kept: list[bytes] = []
    for line in newest_first:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def decode(encoded: bytes | str | None) -> Noted | None:
    """What can be read of it, whoever wrote it; None: nothing."""
    return read(lenient.members(encoded))


def read(told: Any) -> Noted | None:
    """The same of what was JSON."""
    if not isinstance(told, dict):
        return None
    attempt, progress = lenient.count(told.get("attempt")), None
    if (fraction := lenient.fraction(told.get("progress"))) is not None:
        text, at_ms = lenient.text(told.get("text")), lenient.time_ms(told.get("at_ms"))
        progress = Progress(fraction, text, told.get("data"), attempt, at_ms)
    return Noted(
        attempt, progress, lenient.texts(told.get("log")), lenient.count(told.get("logged"))
    )
