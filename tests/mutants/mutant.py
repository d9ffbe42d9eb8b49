"""One thing that is broken on purpose."""

from __future__ import annotations

import attrs

Killers = tuple[str, ...]


@attrs.frozen
class Mutant:
    """One thing that is wrong."""

    name: str
    """What is wrong, in words."""
    file: str
    """Below ``trioq/``."""
    old: str
    new: str
    killers: Killers
