"""A caller's id as it lies beside its job: the id, and for how long it is remembered.

Of most jobs it is the id alone. Where one says something itself, that stands behind a NUL, which
no id has: ``after_end until latest`` in milliseconds, ``-`` where it says nothing.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Kept:
    """What a job says of its caller's id."""

    after_end_ms: int | None = None
    """For how long it is remembered after the end; None: as long as any other."""
    until_ms: int | None = None
    """And until then at least, epoch."""
    latest_ms: int | None = None
    """When the job is due at the latest, epoch."""


#: Nothing.
PLAIN = Kept()


def encode(id: str, kept: Kept = PLAIN) -> str:
    """As it lies there."""
    if kept == PLAIN:
        return id
    numbers = (kept.after_end_ms, kept.until_ms, kept.latest_ms)
    return f"{id}\0" + " ".join("-" if each is None else str(each) for each in numbers)


def id_in(stored: str) -> str:
    """The id alone."""
    return stored.partition("\0")[0]
