"""Fair keys: jobs of one queue that take turns by what they have in common, as a tenant."""

from __future__ import annotations

import json

from trioq.core.values import value

#: Of virtual time, what one job of weight 1 takes.
TURN = 1 << 20

#: What a key may weigh: so that none waits for ever, and turns stay whole numbers.
LIGHTEST, HEAVIEST = 0.01, 100.0

#: What one job of the lightest takes.
LONGEST = 100 * TURN

#: A key in bytes, as it is told to the server with each job.
KEY_BYTES = 256


@value
class FairKey:
    """Whose turn a job is."""

    key: str
    """As JSON, ASCII and in one line; empty for no job."""
    weight: float = 1.0
    """How many turns it has where one of weight 1 has one."""

    @property
    def row(self) -> str:
        """As it is told to the server."""
        return f" {self.weight:.12g} {self.key}"


@value
class Asked:
    """What an enqueue says of turns itself."""

    key: str | int | None = None
    """None: what the queue goes by."""
    weight: float | None = None
    """None: what the configuration gives the key."""


ASKS_NOTHING = Asked()


def fair_key(of: str | float, weight: float = 1.0) -> FairKey:
    """The key of jobs that have this in common.

    Raises:
      ValueError: It is too long, or weighs too little or too much.
    """
    key = json.dumps(of)
    if len(key) > KEY_BYTES:
        start = json.dumps(of[:40]) if isinstance(of, str) else key[:40]
        raise ValueError(f"the fair_key {start}… has {len(key)} bytes, {KEY_BYTES} at most")
    check_weight(weight)
    return FairKey(key, weight)


def check_weight(weight: float) -> None:
    """Raises ValueError: it is too little or too much."""
    if not LIGHTEST <= weight <= HEAVIEST:
        raise ValueError(f"a weight is from {LIGHTEST:g} to {HEAVIEST:g}, not {weight:g}")


def turn_of(weight: float) -> int:
    """What a job of this weight takes of virtual time."""
    return int(TURN / float(f"{weight:.12g}"))


def tag_text(tag: int) -> str:
    """A tag as it lies there: in the order of the tags."""
    return f"{tag:016x}"
