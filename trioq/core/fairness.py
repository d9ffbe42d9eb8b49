"""Which queue to look at next."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def order(queues: Sequence[tuple[str, float | None]], random: Callable[[], float]) -> list[str]:
    """The queues in the order of the next claim.

    Without weights that is the listed order: strict priority. With weights it is a random
    permutation in which a queue comes first in proportion to its weight (the exponential
    keys of Efraimidis and Spirakis); a queue without one weighs 1.
    """
    if all(weight is None for _, weight in queues):
        return [name for name, _ in queues]
    keys = {name: random() ** (1 / (weight or 1.0)) for name, weight in queues}
    return sorted(keys, key=keys.__getitem__, reverse=True)
