"""Which queue to look at next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def order(queues: Sequence[tuple[str, float | None]], random: Callable[[], float]) -> list[str]:
    """The queues in the order of the next claim.

    Without weights that is the listed order: strict priority. With weights it is a random
    permutation in which each next queue is drawn in proportion to its weight; one without
    weighs 1. That is the sampling of Efraimidis and Spirakis, with logarithms: whose
    exponential clock of rate ``weight`` rings first comes first.

    Args:
      queues: Names and weights; a weight is above 0.
      random: Draws from [0, 1).
    """
    if all(weight is None for _, weight in queues):
        return [name for name, _ in queues]
    rings = [
        (-math.log1p(-random()) / (1 if weight is None else weight), name)
        for name, weight in queues
    ]
    return [name for _, name in sorted(rings)]
