"""What decides when a job may start, as it lies beside the job: a row of lines.

The first line is for its turn among fair keys (:mod:`trioq.core.fair`): nothing, or its tag,
once the server has given it one, its key's weight, and its key. Each other is a take of a limit
(:mod:`trioq.core.limits`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trioq.core.fair import FairKey, tag_text

_FAIR = re.compile(r"([0-9a-f]*) (\d[\d.]*) (.+)")


def encode(takes: Sequence[str], fair: FairKey | None = None, tag: int | None = None) -> str:
    """Nothing, for a job that needs no row."""
    takes = tuple(dict.fromkeys(takes))
    if fair is None:
        return "\n".join(("", *takes)) if takes else ""
    start = "" if tag is None else tag_text(tag)
    return "\n".join((start + fair.row, *takes))


def takes_of(row: str) -> tuple[str, ...]:
    """The takes in a row, which somebody else may have written."""
    return tuple(filter(None, row.split("\n")[1:]))


def turn_in(row: str) -> tuple[str, FairKey] | None:
    """The tag, if it has one yet, and the key; None of a job without a key, and of what isn't
    ours."""
    found = _FAIR.fullmatch(row.split("\n", maxsplit=1)[0])
    return None if found is None else (found[1], FairKey(found[3], float(found[2])))
