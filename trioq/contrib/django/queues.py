"""Which queue of trioq a task goes to: by its own queue and its priority."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

#: Django's.
LOWEST, HIGHEST = -100, 100

#: The part of a queue's name that a task's own queue takes.
OWN = "{queue}"

_is_name = re.compile("[A-Za-z0-9_.-]{1,64}").fullmatch

DEFAULT: Mapping[int, str] = {1: "{queue}.high", 0: "{queue}", -100: "{queue}.low"}


@attrs.frozen
class Priorities:
    """From which priority on tasks go where.

    trioq's queues have an order, and jobs of one queue have none but that of their coming; so
    priorities are bands, each with a queue of its own.
    """

    bands: tuple[tuple[int, str], ...]
    """The least priority, and the name of the queue; the highest first."""

    @classmethod
    def of(cls, said: Mapping[Any, Any] | None) -> Priorities:
        """As settings have them; None or an empty mapping: one queue for all, whatever they say.

        Raises:
          ValueError: All that is wrong, in one sentence each.
        """
        if said is None or said == {}:
            return cls(((LOWEST, OWN),))
        if faults := list(_faults(said)):
            raise ValueError("; ".join(faults))
        return cls(tuple(sorted(said.items(), reverse=True)))

    @property
    def are_several(self) -> bool:
        """Whether priority makes any difference."""
        return len({name for _, name in self.bands}) > 1

    def queue(self, own: str, priority: int) -> str:
        """Where a task of this queue and this priority goes."""
        name = next(name for least, name in self.bands if priority >= least)
        return name.replace(OWN, own)

    def queues(self, own: Iterable[str]) -> list[str]:
        """All queues that tasks of these queues go to, the most urgent first."""
        names = [name.replace(OWN, each) for _, name in self.bands for each in own]
        return list(dict.fromkeys(names))


def _faults(said: Any) -> Iterator[str]:
    if not isinstance(said, Mapping):
        yield (
            f"expected a dict such as {dict(DEFAULT)!r}: the least priority, and the queue from"
            " there on"
        )
        return
    for least, name in said.items():
        if type(least) is not int or not LOWEST <= least <= HIGHEST:
            yield f"{least!r}: expected a whole number from {LOWEST} to {HIGHEST}"
        if not isinstance(name, str) or not _is_name(name.replace(OWN, "q")):
            yield (
                f"{least!r}: expected the name of a queue, of letters, digits, '_', '-' or '.',"
                f" with {OWN!r} where the task's own goes"
            )
    if LOWEST not in said:
        yield f"nothing is said for the lowest priorities: add {LOWEST}: {OWN!r}"
