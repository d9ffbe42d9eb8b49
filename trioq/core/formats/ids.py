"""A caller's id as it lies beside its job: the id, and for how long it is remembered.

Of most jobs it is the id alone. Where one says something itself, that stands behind a NUL, which
no id has: ``after_end until latest`` in milliseconds, ``-`` where it says nothing. A NUL stands
before all that of a job whose id was taken.
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


def encode(id: str, kept: Kept = PLAIN, *, is_lost: bool = False) -> str:
    """As it lies there."""
    said = "\0" + id if is_lost else id
    if kept == PLAIN:
        return said
    numbers = (kept.after_end_ms, kept.until_ms, kept.latest_ms)
    return f"{said}\0" + " ".join("-" if each is None else str(each) for each in numbers)


def id_in(stored: str) -> str:
    """The id alone; empty: it is another job's by now, or free."""
    return stored.partition("\0")[0]
