"""What is paused, and what is said of it: in ``pauses``, as ``since:until:said``.

Said is who paused it and why, a JSON object. What is paused is a queue; or the jobs of a name, with
an ``@`` before it; or those that take of a limit for one value of its key: that take, with a
``=`` before it; or a schedule, with a ``~``. No queue's name begins so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import attrs

from trioq.core.formats import lenient
from trioq.core.valid import LATEST_MS

#: The note to a pause has so many characters at most: it is told in one line, wherever it matters.
NOTE_MAX = 200


def of_name(name: str) -> str:
    """What is paused where jobs of this name are."""
    return f"@{name}"


def of_schedule(name: str) -> str:
    """What is paused where a schedule is."""
    return f"~{name}"


def is_schedule(what: str) -> bool:
    """Whether it is a schedule that is paused."""
    return what.startswith("~")


def is_name(what: str) -> bool:
    """Whether it is the jobs of a name that are paused, and not a queue."""
    return what.startswith("@")


def name_of(what: str) -> str:
    """The name of the jobs that are paused."""
    return what[1:]


def of_take(take: str) -> str:
    """What is paused where the jobs that take this of a limit are."""
    return f"={take}"


def is_take(what: str) -> bool:
    """Whether it is the jobs that take something of a limit that are paused."""
    return what.startswith("=")


def take_of(what: str) -> str:
    """What the paused jobs take."""
    return what[1:]


@attrs.frozen
class Pause:
    """Of one queue, one name, or one value of a limit's key."""

    since_ms: int | None
    """By the server's clock, epoch. None: an older version paused it, which didn't tell."""
    until_ms: int | None = None
    """When it ends; None: when somebody resumes it."""
    by: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """What is told of it in JSON; times are epoch milliseconds."""
        return attrs.asdict(self)

    def in_words(self, what: str, resumed: str, command: str = "trioq resume") -> str:
        """By whom, since when, why and until when, as a sentence.

        Args:
          resumed: How the command is told of it.
          command: What has it go on.
        """
        parts = [f"{what} is paused"]
        if self.by:
            parts.append(f" by {self.by}")
        if self.since_ms is not None:
            parts.append(f" since {_moment(self.since_ms)}")
        if self.note:
            parts.append(f" ({self.note})")
        until = "" if self.until_ms is None else f" {_moment(self.until_ms)} or"
        return "".join((*parts, f", until{until} {command} {resumed}"))


def encode(by: str, note: str) -> bytes:
    """What is said of a pause."""
    return json.dumps({"by": by, "note": note}).encode("ascii")


def decode(raw: bytes | None) -> Pause:
    """As far as it can be read."""
    since, _, rest = (raw or b"").partition(b":")
    until, _, said = rest.partition(b":")
    fields = lenient.members(said) or {}
    return Pause(
        _time(since), _time(until), lenient.text(fields.get("by")), lenient.text(fields.get("note"))
    )


def _moment(at_ms: int) -> str:
    """By the server's clock: whoever reads it may be in another place than who wrote it."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _time(digits: bytes) -> int | None:
    return int(digits) if digits.isdigit() and 0 < int(digits) <= LATEST_MS else None
