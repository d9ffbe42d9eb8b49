"""A breaker that all engines of a namespace share, as one engine has it.

The server decides, with its clock: this keeps what it has said, and what there is to tell it. The
counts only grow, so that whatever is executed twice or late says nothing new, and nothing that is
lost is missing. A probe is granted to a boot, and is that boot's until it has told its end, or is
gone. While the server is away all stays as it was heard last.
"""

from __future__ import annotations

import math

import attrs

from trioq.core.breaker import UNLIMITED, Breaker, Change, Permit, State, Verdict
from trioq.core.calls import BreakerNews, BreakerSeen
from trioq.errors import TrioqBug

#: So many probes are asked for at most, beside those that run.
WANT = 16

#: Whoever got none asks again after this.
AGAIN_S = 0.25

#: A probe that was granted and finds no job in this time goes back: others may have one for it.
UNUSED_S = 1.0


@attrs.define
class SharedBreaker(Breaker):
    """See the module. Times are seconds of one monotonic clock."""

    name: str
    is_wanted: bool = attrs.field(default=False, init=False)
    """Whether a job has asked for a probe, and there was none."""
    _turn_there: int = attrs.field(default=0, init=False)
    _reopens_at: float = attrs.field(default=0.0, init=False)
    _granted: int = attrs.field(default=0, init=False)
    _used: int = attrs.field(default=0, init=False)
    """Of these probes, those that were given to jobs or went back."""
    _granted_at: float = attrs.field(default=0.0, init=False)
    """When the last of them came."""
    _refused_at: float = attrs.field(default=-math.inf, init=False)
    """When the server had none for us."""
    _told: tuple[int, int, int] = attrs.field(default=(0, 0, 0), init=False)
    _counts: dict[Verdict, int] = attrs.field(
        factory=lambda: {"success": 0, "failure": 0, "ignored": 0}, init=False
    )
    """What runs of this boot have found since the last change."""

    @property
    def is_calm(self) -> bool:
        """Whether it is closed: here no success opens it."""
        return self._state == "closed"

    @property
    def turn(self) -> int:
        """How often it had changed when the server told of it last."""
        return self._turn_there

    @property
    def granted(self) -> int:
        """How many probes it was granted since the last change."""
        return self._granted

    @property
    def due(self) -> float:
        """When the server should hear of it, or tell of it: it may be over already."""
        _, bad, ignored = self._told
        if self._state == "open":
            return self._reopens_at
        if self._counts["failure"] > bad or self._counts["ignored"] > ignored:
            return -math.inf
        if self._state == "closed":
            return math.inf
        if sum(self._counts.values()) > sum(self._told):
            return -math.inf  # what a good probe makes room for
        if self.is_wanted:
            return self._refused_at + AGAIN_S
        return self._granted_at + UNUSED_S if self._granted > self._used else math.inf

    def state(self, now: float) -> State:
        """The state that it was in when the server told of it last."""
        return self._state

    def reopens_at(self, now: float) -> float | None:
        """When an open breaker admits a probe, ``now`` at the earliest; None if it isn't open."""
        return max(now, self._reopens_at) if self._state == "open" else None

    def poll(self, now: float) -> Change | None:
        """Time alone changes nothing here; what was granted in vain goes back."""
        left = self._granted - self._used
        if left and now >= self._granted_at + UNUSED_S:
            self._used += left
            self._counts["ignored"] += left
        return None

    def room(self, now: float) -> int:
        """How many permits there are now; who finds none is taken to want one."""
        if self._state == "closed":
            return UNLIMITED
        self.poll(now)
        left = self._granted - self._used
        self.is_wanted = self.is_wanted or left == 0
        return left

    def admit(self, now: float) -> Permit | None:
        """A permit, or None where no job may run now."""
        if self._state == "closed":
            return Permit(self._generation)
        if self.room(now) == 0:
            return None
        self._used += 1
        return Permit(self._generation, is_probe=True)

    def record(self, permit: Permit, verdict: Verdict, now: float) -> Change | None:
        """Give a permit back, with what came of it, to be told to the server.

        Raises:
          TrioqBug: This permit came back before.
        """
        if permit.returned:
            raise TrioqBug("a breaker's permit was returned twice")
        permit.returned = True
        is_of_now = permit.generation == self._generation
        if is_of_now and (permit.is_probe or verdict != "ignored"):
            self._counts[verdict] += 1
        return None

    def succeeded(self, count: int, now: float) -> Change | None:
        """So many jobs, begun while it was closed, were good."""
        if self._state == "closed":
            self._counts["success"] += count
        return None

    def reset(self, now: float) -> Change | None:
        """The server resets it, and tells."""
        return None

    # -- the server ------------------------------------------------------------------------

    def begin(self) -> None:
        """A new boot has said nothing yet, and has no probe."""
        self._begin_turn(self._turn_there)

    def news(self, now: float) -> BreakerNews:
        """What is to be told, and asked."""
        self.poll(now)
        has, counts = self.settings, self._counts
        return BreakerNews(
            self.name,
            has.failure_threshold,
            max(1, round(has.window_s * 1000)),
            round(has.cooldown_s * 1000),
            has.min_samples,
            turn=self._turn_there,
            good=counts["success"],
            bad=counts["failure"],
            ignored=counts["ignored"],
            want=self._used + WANT if self.is_wanted else 0,
        )

    def heard(self, sent: BreakerNews, seen: BreakerSeen, now: float) -> Change | None:
        """What the server has answered; returns the change that it tells of.

        Args:
          sent: What it was told with that request, since :meth:`begin`.
        """
        before = self._state
        self._reopens_at = now + seen.left_ms / 1000
        if seen.turn != self._turn_there or seen.state != before:
            self._since = now - seen.for_ms / 1000
            self._state = seen.state
            self._begin_turn(seen.turn)
        else:
            self._told = sent.good, sent.bad, sent.ignored
            if seen.granted > self._granted:
                self._granted, self._granted_at, self.is_wanted = seen.granted, now, False
            elif sent.want:
                self._refused_at = now
        return None if before == self._state else Change(before, self._state, now)

    def _begin_turn(self, turn: int) -> None:
        self._turn_there = turn
        self._generation += 1
        self._granted = self._used = 0
        self._refused_at = -math.inf
        self._told = 0, 0, 0
        self._counts = {"success": 0, "failure": 0, "ignored": 0}
        self.is_wanted = self._state != "closed" and self.is_wanted
