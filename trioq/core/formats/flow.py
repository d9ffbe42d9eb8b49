"""What decides when a job may start, as it lies beside the job: a row of lines.

The first line is for its turn among fair keys; each other is a take of a limit
(:mod:`trioq.core.limits`).
"""

from __future__ import annotations

from collections.abc import Sequence


def encode(takes: Sequence[str]) -> str:
    """Nothing, for a job that needs no row."""
    return "\n".join(("", *takes)) if takes else ""


def takes_of(row: str) -> tuple[str, ...]:
    """The takes in a row, which somebody else may have written."""
    return tuple(filter(None, row.split("\n")[1:]))
