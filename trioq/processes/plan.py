"""What a supervisor does next: pure, from what can be seen of its children.

It isn't told what has happened but what there is, and each time says one thing to do, so that
whatever happens meanwhile (a child dies, somebody wants more of them, all are to be replaced)
is just another state to go on from. The idea is that of Kubernetes' controllers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

Phase = Literal["starting", "ready", "draining"]


@attrs.frozen
class Seen:
    """One child, as it is seen."""

    number: int
    """Its own, from 1; never used again."""
    phase: Phase
    leaving: str = ""
    """Why it is to be replaced; empty: it isn't."""
    leads: bool = False
    """Whether it does what only one has to do: scan, and see when all is done."""


@attrs.frozen
class Start:
    """Start another."""

    leads: bool


@attrs.frozen
class Drain:
    """Let this one finish what it runs and end."""

    number: int
    why: str


def next_act(children: Sequence[Seen], wanted: int) -> Start | Drain | None:
    """What to do now; None: wait until something changes.

    One is started at a time. One that is to be replaced drains when another is ready in its
    place, and one at a time. There is always one that leads, or about to be.
    """
    start = Start(leads=not any(_stays(child) and child.leads for child in children))
    if any(child.phase == "starting" for child in children):
        return None
    ready = [child for child in children if child.phase == "ready"]
    if len(ready) < wanted:
        return start
    if leaving := [child for child in ready if child.leaving]:
        if any(child.leaving and child.phase == "draining" for child in children):
            return None
        if len(ready) == wanted > 0:
            return start
        return Drain(leaving[0].number, leaving[0].leaving)
    if len(ready) > wanted:
        spare = [child for child in ready if not child.leads] or ready
        return Drain(spare[-1].number, "fewer are wanted")
    return None


def _stays(child: Seen) -> bool:
    return child.phase != "draining" and not child.leaving
