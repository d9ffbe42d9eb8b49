"""Which runs there are to be, once it is known what a run without a fault comes by.

Nothing here acts: places go in, and faults come out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Literal, get_args

import attrs

from trioq.testing.exploring.stepped import Place

Kind = Literal["crash", "cancel", "freeze", "beside", "lost-request", "lost-reply"]

#: What each of the faults that people name is made of.
FAULTS: dict[str, tuple[Kind, ...]] = {
    "crash": ("crash",),
    "cancel": ("cancel",),
    "freeze": ("freeze", "beside"),
    "lost": ("lost-request", "lost-reply"),
}

#: So many runs are made, if nobody says how many may be.
BUDGET = 1000


@attrs.frozen
class Fault:
    """Something that goes wrong, once."""

    kind: Kind
    at: int
    """At which step; of what gets lost: at which call of the store. From 1."""

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}"

    @property
    def is_of_calls(self) -> bool:
        """Whether it is counted by calls of the store: threads may make one more or less."""
        return self.kind in FAULTS["lost"]


Faults = tuple[Fault, ...]
"""Of one run, in their order; the second is counted from the first on."""


def told(faults: Faults) -> str:
    """As they are written."""
    return "+".join(map(str, faults)) or "none"


def read(text: str) -> Faults:
    """As they were written.

    Raises:
      ValueError: They weren't like this.
    """
    return () if text == "none" else tuple(map(_read, text.split("+")))


def _read(text: str) -> Fault:
    found = re.fullmatch(r"([a-z-]+)@([1-9][0-9]*)", text)
    if found is None or found[1] not in get_args(Kind):
        kinds = ", ".join(get_args(Kind))
        raise ValueError(f"{text!r} is no step: expected crash@3, say; the faults are {kinds}")
    return Fault(found[1], int(found[2]))  # type: ignore[arg-type]


def kinds(faults: Sequence[str]) -> tuple[Kind, ...]:
    """
    Raises:
      ValueError: There is no such fault.
    """
    if isinstance(faults, str):
        faults = (faults,)
    for fault in faults:
        if fault not in FAULTS:
            raise ValueError(f"faults has {fault!r}: expected some of {', '.join(FAULTS)}")
    return tuple(kind for fault in faults for kind in FAULTS[fault])


def runs(places: Sequence[Place], calls: int, kinds: Sequence[Kind]) -> list[Faults]:
    """One for each fault at each step, fault by fault: the plainest first. Of a place that is come
    by more often in a row, a loop's say, the turns in between come after all else.

    Args:
      places: By which a run comes to which nothing is done.
      calls: How often the store is called meanwhile.
    """
    ends = _ends(places)
    found: list[Faults] = []
    between: list[Faults] = []
    for kind in kinds:
        if kind.startswith("lost"):
            numbers: Sequence[int] = range(1, calls + 1)
        else:
            steps = [n for n, place in enumerate(places, 1) if not _is_idle(kind, place)]
            numbers = [n for n in steps if n in ends]
            between += [(Fault(kind, n),) for n in steps if n not in ends]
        found += [(Fault(kind, number),) for number in numbers]
    return found + between


def second(first: Faults, places: Sequence[Place], kinds: Sequence[Kind]) -> list[Faults]:
    """The same run with one more fault, at each step that comes after the first one."""
    return [
        (*first, *faults)
        for faults in runs(places, 0, [kind for kind in kinds if kind in ("crash", "cancel")])
    ]


def within(budget: int, runs: list[Faults], seed: int) -> list[Faults]:
    """So many of them, in their order."""
    if len(runs) <= budget:
        return runs
    chosen = random.Random(seed).sample(range(len(runs)), budget)
    return [runs[number] for number in sorted(chosen)]


def _is_idle(kind: Kind, place: Place) -> bool:
    """Whether it changes nothing there: who has not begun, or has returned, isn't cancelled."""
    return kind == "cancel" and place.kind in ("start", "end")


def _ends(places: Sequence[Place]) -> set[int]:
    """The numbers of the steps at which something differs from the one before or the next."""
    around = [None, *places, None]
    return {n for n, place in enumerate(places, 1) if not around[n - 1] == place == around[n + 1]}
