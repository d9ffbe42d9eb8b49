"""What a door is called that jobs are parked behind: a handler's name, and perhaps signatures.

Jobs whose payload doesn't fit every version of their handler wait behind a door that says which
they didn't fit: the name, a tab, their signatures. No name has a tab, so to an engine of an older
version it is the door of a handler that it doesn't know.
"""

from __future__ import annotations

from collections.abc import Iterable

TAB = "\t"


def named(name: str, unfit: Iterable[str]) -> str:
    """The door of jobs of this name that don't fit these signatures."""
    signatures = " ".join(sorted(unfit))
    return name + TAB + signatures if signatures else name


def name_of(door: str) -> str:
    """Whose jobs wait behind it."""
    return door.partition(TAB)[0]


def unfit_of(door: str) -> frozenset[str]:
    """The signatures that they didn't fit; none: they wait for something else."""
    return frozenset(door.partition(TAB)[2].split())
