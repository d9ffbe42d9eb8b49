"""What anybody may have kept in Redis, as texts, numbers and times.

Other clients of the same server may have written anything into our keys. What isn't what it
should be is told as that, and nobody fails of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from trioq.core import valid

#: A count that nobody's arithmetic has trouble with.
_DIGITS = re.compile(rb"\d{1,18}")

#: How texts go to the server: what :func:`text` read goes back as the bytes that it was.
ENCODING_ERRORS = "surrogateescape"


def text(raw: bytes) -> str:
    """A name as it lies there. Bytes that aren't UTF-8 are half surrogate pairs."""
    return raw.decode("utf-8", ENCODING_ERRORS)


def raw(value: Any) -> Any:
    """An argument of a command: a text as the bytes that it was read from.

    Half a surrogate pair that stands for no byte was read from nowhere. It is spelled as if there
    were UTF-8 for it: whoever looks for such a name is told that there is none.
    """
    if not isinstance(value, str):
        return value
    try:
        return value.encode("utf-8", ENCODING_ERRORS)
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def texts(names: Iterable[bytes]) -> list[str]:
    """Names as they lie there."""
    names = list(names)
    # All at once, where that can be told apart from each by itself.
    joined = b"\n".join(names)
    if joined.isascii() and names and joined.count(b"\n") == len(names) - 1:
        return joined.decode("ascii").split("\n")
    return [text(name) for name in names]


def numbers(counts: Sequence[bytes | None]) -> list[int]:
    """Counts, as :func:`number` has them; most are none."""
    return [0 if count is None else number(count) for count in counts]


def is_number(raw: bytes) -> bool:
    """Whether it is a count."""
    return _DIGITS.fullmatch(raw) is not None


def number(raw: bytes | None) -> int:
    """A count; 0 where there is none, or somebody else wrote something there."""
    return int(raw) if raw is not None and is_number(raw) else 0


def leading(raw: bytes) -> int:
    """The count that it begins with; 0 where it begins with none."""
    found = _DIGITS.match(raw)
    return 0 if found is None else int(found[0])


def beats(raw: bytes) -> int | None:
    """How many beats are noted: counted down from -1; up from 0 by older versions. None: it is no
    count."""
    count = raw.removeprefix(b"-")
    if not is_number(count):
        return None
    return int(count) - (count != raw)


def time_ms(score: bytes | float) -> int | None:
    """A time in epoch milliseconds, from the score of a sorted set; None: it is no time."""
    at = float(score)
    return int(at) if math.isfinite(at) and 0 <= at <= valid.LATEST_MS else None


def place(raw: bytes) -> str | None:
    """The queue in ``step:index:suspect:queue``, where a running job came from; None: none."""
    parts = raw.split(b":", 3)
    return text(parts[3]) if len(parts) == 4 else None


def pack_place(field: bytes) -> str | None:
    """The queue in ``step:index:queue``, where a pack of running jobs came from; None: none."""
    parts = field.split(b":", 2)
    return text(parts[2]) if len(parts) == 3 else None


def pack_count(pack: bytes) -> int:
    """How many are in ``count:uid uid …``."""
    return number(pack.partition(b":")[0])


def pack_uids(pack: bytes) -> list[str]:
    """The uids in ``count:uid uid …``."""
    return texts(pack.partition(b":")[2].split(b" "))


def ask(raw: bytes) -> bytes:
    """The summary in ``nth:step:keep ms:summary``, of somebody who wants a job to end; empty: it is
    none. By the 0th it may run to its end, as another is its next run."""
    nth, _, rest = raw.partition(b":")
    return rest.split(b":", 2)[-1] if nth != b"0" and rest.count(b":") >= 2 else b""


def door(field: str) -> tuple[str, str]:
    """The queue and the name in ``queue:name``, of jobs that are parked."""
    queue, _, name = field.partition(":")
    return queue, name


def mark_of(path: str) -> str:
    """The field of ``seen`` with a file's mark; the path itself has the short one."""
    return "\0" + path


def is_mark(field: str) -> bool:
    """No path has a NUL."""
    return field.startswith("\0")
