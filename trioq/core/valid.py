"""What a job may be: the client refuses what isn't so, and an engine runs all that is.

valid.ATTEMPTS.check("max_attempts", 2.5)  # ValueError: max_attempts is 2.5: expected …
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

#: A century, in seconds and in milliseconds: a job that waits or runs for longer is as good as
#: lost, and the sum with an epoch time is a whole number that Redis scores and Lua hold exactly.
LONGEST_S = 100 * 365 * 86400
LONGEST_MS = LONGEST_S * 1000

#: In the year 5138, in epoch milliseconds: no time that is meant lies beyond, and every clock,
#: calendar and float can hold it.
LATEST_MS = 10**14

#: JSON's numbers and Lua's are exact up to here.
LARGEST = 2**53

#: How deep a payload may be nested. Whoever reads it does so on a stack of its own size.
DEEPEST = 100

#: Of a text that is wrong, so much is shown.
SHOWN = 60


@attrs.frozen
class Rule:
    """What one part of a job may be."""

    words: str
    """What would be right."""
    allows: Callable[[Any], bool]

    def check(self, what: str, value: Any) -> None:
        """Refuse what isn't so.

        Raises:
          ValueError: With what it is and what would be right.
        """
        if not self.allows(value):
            raise ValueError(f"{what} is {shown(value)}: expected {self.words}")


def shown(value: Any) -> str:
    """A wrong value, for a message: short and printable."""
    if isinstance(value, int) and value.bit_length() > 100:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str | int | float | None):
        said = ascii(value)
        return said if len(said) <= SHOWN else said[:SHOWN] + "…"
    return f"a {type(value).__name__}"


#: Wherever queues aren't configured, these names will do.
QUEUE_PATTERN = "[A-Za-z0-9_.-]{1,64}"

_is_queue = re.compile(QUEUE_PATTERN).fullmatch


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_sendable(text: str) -> bool:
    """Half a surrogate pair isn't."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


QUEUE = Rule(
    'the name of a queue: 1 to 64 letters, digits, "_", "-" or "."',
    lambda value: isinstance(value, str) and _is_queue(value) is not None,
)
NAME = Rule(
    "the name of a handler: 1 to 200 printable characters",
    lambda value: isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable(),
)
ID = Rule(
    "a text of 1 to 500 characters, none of them NUL or half of a surrogate pair",
    lambda value: (
        isinstance(value, str)
        and 0 < len(value) <= 500
        and "\0" not in value
        and is_sendable(value)
    ),
)
TIME_MS = Rule(
    "a time in epoch milliseconds, before the year 5138",
    lambda value: _is_whole(value, 0, LATEST_MS),
)
DELAY_S = Rule(
    "a time in seconds, from 0 to a century",
    lambda value: _is_number(value) and 0 <= value <= LONGEST_S,
)
TIMEOUT_S = Rule(
    "a time in seconds, above 0 and at most a century",
    lambda value: _is_number(value) and 0 < value <= LONGEST_S,
)
KEEP_S = Rule(
    'a time, such as "1h" or 3600 (seconds), above 0 and at most a century',
    lambda value: _is_number(value) and 0 < value <= LONGEST_S,
)
RETENTION_S = Rule(
    'a time, such as "1h" or 3600 (seconds), from 0 to a century',
    lambda value: _is_number(value) and 0 <= value <= LONGEST_S,
)
AHEAD_S = Rule(
    'an aware datetime; or a time from now, such as "1h" or 3600 (seconds), above 0 and at most 30'
    " years",
    # What time.time() tells lies beyond.
    lambda value: _is_number(value) and 0 < value <= 30 * 365 * 86400,
)
ATTEMPTS = Rule(
    "a whole number of at least 1",
    lambda value: _is_whole(value, 1, LARGEST),
)


def is_too_deep(value: Any) -> bool:
    """Whether a JSON value is nested deeper than a payload may be."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list | tuple)
        ]
        if not level:
            return False
    return True
