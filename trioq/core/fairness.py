"""Which queue to look at next, and how much to claim of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

#: Where several queues have jobs, so many claims in a row are shared out among them by their
#: weights, but no fewer to the heaviest than LEAST_TURN, so that many queues don't need as many
#: steps: of any 1,000 claims each queue's share is then off by less than 5 %.
TURN, LEAST_TURN = 64, 24

#: A queue that weighs less than this part of the heaviest weighs this part.
LEAST = 1e-9

#: Of so many claims one goes first to a queue whose jobs wait for too long.
LATE_EVERY = 4


@attrs.define
class Shares:
    """Whose turn it is among an engine's queues.

    Without weights it is always the first listed one's: strict priority. With weights it is whose
    jobs have had the least of their share: start-time fair queueing (Goyal, Vin and Cheng, 1996),
    where a claim moves its queue's time on by one over the weight, and a queue that is empty is
    at the time of those that aren't: it saves nothing up.

    Args:
      queues: Names and weights; a weight is above 0, and one without weighs 1.
    """

    queues: Sequence[tuple[str, float | None]]
    late: Mapping[str, float] = attrs.field(factory=dict[str, float], init=False)
    """Queues whose oldest job waits for longer than it should, and how many times as long."""
    _weights: Mapping[str, float] | None = attrs.field(init=False)
    """None: priority is strict."""
    _ahead: dict[str, float] = attrs.field(init=False)
    """By how much each has had more than the one whose turn it is."""
    _empty: set[str] = attrs.field(factory=set[str], init=False)
    """Those in which nothing was left when we last looked."""
    _since_late: int = attrs.field(default=0, init=False)
    """Claims since one went to a late queue first."""

    def __attrs_post_init__(self) -> None:
        names = [name for name, _ in self.queues]
        self._weights = None
        if any(weight is not None for _, weight in self.queues):
            weights = {name: 1.0 if weight is None else weight for name, weight in self.queues}
            most = max(weights.values())
            self._weights = {name: max(weights[name] / most, LEAST) for name in names}
        self._ahead = dict.fromkeys(names, 0.0)

    @property
    def are_counted(self) -> bool:
        """Whether the order of the next claims depends on the last ones."""
        return self._weights is not None or bool(self.late)

    def order(self) -> tuple[str, ...]:
        """The queues in the order of the next claim."""
        names = [name for name, _ in self.queues]
        if (weights := self._weights) is not None:
            # Of those whose turn it is, first who had nothing: it may have something by now.
            names.sort(key=lambda q: (self._ahead[q], q not in self._empty, -weights[q]))
        if self._is_turn_of_late:
            names.sort(key=lambda name: -self.late.get(name, 0.0))
        return tuple(names)

    def most(self) -> int | None:
        """How many to claim at a time, so that the others' turns come soon enough.

        None: nobody else waits for a turn. Then a claim isn't bounded: what an engine claims ahead
        is what its workers begin within a moment (:mod:`trioq.core.ahead`), and whoever comes to
        another queue waits for no more than that.
        """
        if self._weights is None:
            return None
        contending = [name for name, _ in self.queues if name not in self._empty]
        if len(contending) < 2:
            return None
        weights = [self._weights[name] for name in contending]
        each = max(TURN / sum(weights), LEAST_TURN / max(weights))
        # Who is first may be one that had nothing when we last looked, and heavier.
        return max(1, int(min(TURN, each * self._weights[self.order()[0]])))

    def claimed(self, order: Sequence[str], claims: Mapping[str, int], *, is_all: bool) -> None:
        """Count what a step has claimed.

        Args:
          order: In which it looked into the queues.
          claims: How many of each.
          is_all: Whether it claimed all that there was.
        """
        if not claims and not is_all:
            return
        last = max((place for place, name in enumerate(order) if claims.get(name)), default=0)
        emptied = order if is_all else order[:last]
        self._count_late(emptied)
        self._empty.difference_update(order[: last + 1])
        self._empty.update(emptied)
        if self._weights is not None:
            self._move_on(claims, self._weights)

    def _move_on(self, claims: Mapping[str, int], weights: Mapping[str, float]) -> None:
        ahead = self._ahead
        for name, count in claims.items():
            if name in ahead:
                ahead[name] += count / weights[name]
        waiting = [ahead[name] for name in ahead if name not in self._empty]
        # All that was there is claimed: nobody waits for a turn, and the next ones begin anew.
        now = min(waiting, default=max(ahead.values(), default=0.0))
        for name in ahead:
            ahead[name] = max(0.0, ahead[name] - now)

    # -- queues that must not starve -------------------------------------------------------

    @property
    def _is_turn_of_late(self) -> bool:
        return bool(self.late) and self._since_late >= LATE_EVERY - 1

    def _count_late(self, emptied: Collection[str]) -> None:
        self._since_late = 0 if self._is_turn_of_late else self._since_late + 1
        if self.late:
            self.late = {name: by for name, by in self.late.items() if name not in emptied}
