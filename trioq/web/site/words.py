"""Times, numbers and texts, as people read them. What comes from jobs is bounded here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from trioq.core.duration import exactly, roughly
from trioq.core.flow import allows
from trioq.core.formats.history import failures, last_error
from trioq.core.formats.note import Noted
from trioq.core.limits import LimitSettings, key_of, shown_limit, shown_take
from trioq.web.masks import masked

#: Of a text so many characters are shown, in a cell and by itself.
CELL, TEXT = 120, 32_768

#: Of a payload or a result.
JSON_TEXT = 65_536


def count(value: float | None) -> str:
    """``1,234``; of a fraction, as much as tells."""
    if value is None:
        return "–"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"


def lasting(seconds: float | None) -> str:
    """``12 s``, ``3 min``, ``2.5 h``."""
    return "–" if seconds is None else roughly(seconds)


def age(ms: float | None) -> str:
    """The same of milliseconds."""
    return lasting(None if ms is None else ms / 1000)


def ago(at_ms: float | None, now_ms: float) -> str:
    """How long it is since then, or until then."""
    if at_ms is None:
        return "–"
    seconds = (now_ms - at_ms) / 1000
    if -2 < seconds < 1:  # clocks differ a little
        return "now"
    return f"{roughly(seconds)} ago" if seconds >= 0 else f"in {roughly(-seconds)}"


def moment(at_ms: float | None) -> str:
    """``2026-11-30 14:03:22 UTC``."""
    at = _datetime(at_ms)
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def machine_time(at_ms: float | None) -> str:
    """The same for ``<time datetime>``."""
    at = _datetime(at_ms)
    return "" if at is None else at.isoformat(timespec="milliseconds")


def clipped(text: object, most: int = CELL) -> str:
    """No more than so many characters of it, and whether there are more."""
    said = str(text)
    return said if len(said) <= most else f"{said[: most - 1]}…"


def text(value: object) -> str:
    """A text by itself: a traceback, a line of a log. What isn't a letter is spelled out."""
    said = clipped(value, TEXT)
    return "".join(c if c.isprintable() or c in "\n\t" else _spelled(c) for c in said)


def line(value: object, most: int = CELL) -> str:
    """A text in a cell, on one line."""
    said = clipped(value, most)
    return "".join(c if c.isprintable() else _spelled(c) for c in said)


def as_json(value: Any) -> str:
    """A payload, or a result, for people."""
    try:
        said = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        said = str(value)
    more = len(said) - JSON_TEXT
    shown = said if more <= 0 else f"{said[:JSON_TEXT]}\n… {more:,} more characters"
    return "".join(c if c.isprintable() or c == "\n" else _spelled(c) for c in shown)


def brief_json(value: Any) -> str:
    """A payload in a cell."""
    if isinstance(value, str):
        return line(value)
    return line("" if value is None else json.dumps(value, ensure_ascii=False, default=str))


def key_json(take: str) -> str:
    """The value that a take is for, as a form says it."""
    return json.dumps(key_of(take), ensure_ascii=False)


def percent(part: float | None) -> str:
    """``42 %``."""
    return "–" if part is None else f"{part:.0%}".replace("%", " %")


def lag(seconds: float | None) -> str:
    """How late an event loop is."""
    return "–" if seconds is None else f"{1000 * seconds:,.0f} ms"


def width(used: float, most: float) -> str:
    """Of a bar that is 100 wide."""
    return f"{100 * min(1.0, used / most) if most else 0:.1f}"


def limit_words(settings: LimitSettings | None) -> str:
    """What a limit allows."""
    return "anything: nobody has told of it" if settings is None else allows(settings)


def progress_of(noted: Noted | None) -> float | None:
    """How far a job is."""
    return noted.progress.fraction if noted and noted.progress else None


#: In templates by these names.
FILTERS = {
    "age": age,
    "ago": ago,
    "as_json": as_json,
    "brief_json": brief_json,
    "clipped": clipped,
    "count": count,
    "exactly": exactly,
    "failures": failures,
    "key_json": key_json,
    "lag": lag,
    "last_error": last_error,
    "lasting": lasting,
    "limit_words": limit_words,
    "line": line,
    "machine_time": machine_time,
    "masked": masked,
    "moment": moment,
    "percent": percent,
    "shown_limit": shown_limit,
    "shown_take": shown_take,
    "text": text,
    "width": width,
}


#: The colours of the words that states have.
TONES = {
    "cancelled": "warn",
    "closed": "good",
    "dead": "bad",
    "done": "good",
    "draining": "warn",
    "failed": "bad",
    "fault": "bad",
    "half-open": "warn",
    "half_open": "warn",
    "no engine": "warn",
    "ok": "good",
    "open": "bad",
    "paused": "warn",
    "running": "accent",
    "served": "good",
    "silent": "bad",
    "suspect": "warn",
    "unreadable": "bad",
    "warning": "warn",
}


def _spelled(character: str) -> str:
    # Of what turns writing round, or can't be seen, one should see that it is there.
    return character.encode("unicode_escape").decode("ascii")


def _datetime(at_ms: float | None) -> datetime | None:
    if at_ms is None:
        return None
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
