"""Where jobs wait: the queues, and the doors that some of their jobs lie behind."""

from __future__ import annotations

from collections import deque

import attrs

from trioq.core.formats.door import name_of
from trioq.core.job import Uid
from trioq.core.model.agenda import Agenda
from trioq.core.model.turns import Keyed


@attrs.define
class Door:
    """Jobs of one name that wait until somebody may run that name, or fits their payloads."""

    since_ms: int
    jobs: deque[Uid] = attrs.field(factory=deque[Uid])
    """The oldest first; cancelled ones too, until somebody passes over them."""
    noted: int = 0
    """How many of them, the oldest, have waited at least since then."""
    cancelled: set[Uid] = attrs.field(factory=set[Uid])
    """Those that lie here, or behind another door of the name, and are over."""

    def take(self, limit: int) -> list[Uid]:
        """Take out the oldest."""
        taken = _take(self.jobs, limit)
        self.noted = max(0, self.noted - len(taken))
        return taken

    def pass_over(self, uid: Uid) -> bool:
        """Forget one that was taken out, if it is over. False: it isn't."""
        if uid not in self.cancelled:
            return False
        self.cancelled.remove(uid)
        return True


@attrs.define
class Queue:
    """The jobs that wait in one queue."""

    ready: deque[Uid] = attrs.field(factory=deque[Uid])
    """The oldest first; cancelled ones too, until a claim passes over them."""
    keyed: Keyed = attrs.field(factory=Keyed)
    """Those that have a fair key, and take turns with those of ``ready``."""
    suspects: deque[Uid] = attrs.field(factory=deque[Uid])
    """Jobs that ran when an engine died, to be claimed first and one at a time."""
    scheduled: Agenda = attrs.field(factory=Agenda)
    parked: dict[str, Door] = attrs.field(factory=dict[str, Door])
    cancelled: set[Uid] = attrs.field(factory=set[Uid])
    """Those that lie in ``ready``, or among the keyed, and are over."""

    def door(self, name: str, now_ms: int) -> Door:
        """The one that is called so; made, if nobody waits behind it."""
        if name not in self.parked:
            others = (
                door for called, door in self.parked.items() if name_of(called) == name_of(name)
            )
            over = next((door.cancelled for door in others), set[Uid]())
            self.parked[name] = Door(now_ms, cancelled=over)
        return self.parked[name]

    @property
    def n_ready(self) -> int:
        """How many lie there to be claimed, cancelled ones too."""
        return len(self.ready) + len(self.keyed)

    @property
    def in_line(self) -> int:
        """How many of the ready ones aren't over."""
        return self.n_ready - len(self.cancelled)

    @property
    def is_empty(self) -> bool:
        """Whether no job waits in it, but for its limits."""
        return not (self.in_line or self.suspects or len(self.scheduled) or self.parked)

    def take_ready(self, limit: int) -> list[Uid]:
        return _take(self.ready, limit)

    def take_suspects(self, limit: int) -> list[Uid]:
        return _take(self.suspects, limit)


def _take(jobs: deque[Uid], limit: int) -> list[Uid]:
    return [jobs.popleft() for _ in range(min(limit, len(jobs)))]


@attrs.frozen
class Pause:
    """Since when, until when, who and why."""

    since_ms: int
    until_ms: int
    """0: until somebody has it go on."""
    said: bytes

    @property
    def stored(self) -> bytes:
        """As it is kept."""
        return b"%d:%d:%s" % (self.since_ms, self.until_ms, self.said)

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has come, though nobody has looked yet."""
        return 0 < self.until_ms <= now_ms
