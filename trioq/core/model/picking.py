"""A step's claims: who is taken, from where, and who is refused."""

from __future__ import annotations

from collections import deque
from typing import Literal

import attrs

from trioq.core.calls import Admit, Step, WaitedFor
from trioq.core.job import Uid
from trioq.core.model.boots import Hold, Registration
from trioq.core.model.limits import ROOMS_MAX
from trioq.core.model.queues import Door, Queue
from trioq.core.model.state import Namespace

#: Of jobs that a limit refuses, a step looks at so many, and at two for each that it wants.
LOOKS_MIN = 64

#: Suspects that one step looks at, where the first are refused.
SUSPECTS_MAX = 16

Sorted = Literal["claimed", "passed over", "refused", "too much"]


@attrs.define
class Picking:
    """One step's claims as they are made: one job after the other, until it has enough."""

    space: Namespace
    boot: Registration
    asked: Step
    now_ms: int
    took_suspect: bool = False
    """Whether one left the others, of whom somebody else may have the next."""
    left: dict[str, bool] = attrs.field(factory=dict[str, bool])
    """Queues whose line has become shorter."""
    bytes_left: int = 0
    met: int = 0
    """Claimed, or passed over."""
    looks: int = 0
    taken: int = 0
    took_keyed: set[str] = attrs.field(factory=set[str])
    """Queues of which some were taken that have a fair key."""
    rated: int = 0
    """How many starts were taken that have a rate."""
    is_full: bool = False
    waits: dict[Uid, WaitedFor] = attrs.field(factory=dict[Uid, "WaitedFor"])
    """What some that were taken had waited for."""
    behind: dict[Uid, str] = attrs.field(factory=dict[Uid, str])
    """Some that were taken → the door behind which they were."""

    def pick(self) -> None:
        """From each queue that isn't paused, in the order of the step."""
        self.bytes_left = self.space.claim_bytes
        may_take_suspect = self.asked.suspect
        for name in self.asked.queues:
            if self.space.is_paused(name, self.now_ms):
                continue
            queue = self.space.queue(name)
            if may_take_suspect and queue.suspects and self.goes_on:
                may_take_suspect = not self._suspect(name, queue)
            for admit in self.asked.admits:
                if admit.queue == name and admit.name in queue.parked:
                    self._admitted(queue.parked[admit.name], admit)
            for take in self.space.flow.open_in(name)[:ROOMS_MAX]:
                self._room(name, take)
            while queue.keyed and self.goes_on:
                self._turns(name, queue)
            if self._line(name, queue.ready, self.asked.want):
                self.left[name] = True
        for name in self.took_keyed:
            if not self.space.queue(name).keyed:
                self.space.turns.none_left(name)
        self.space.flow.sweep(self.rated, self.now_us)
        self.space.stats["claimed"] += self.taken

    @property
    def now_us(self) -> int:
        return self.now_ms * 1000

    @property
    def goes_on(self) -> bool:
        return not self.is_full and self.met < self.asked.want and self.looks < self.looks_max

    @property
    def looks_max(self) -> int:
        return 2 * self.asked.want + LOOKS_MIN

    # -- where they lie ------------------------------------------------------------------------

    def _suspect(self, name: str, queue: Queue) -> bool:
        """The first whom nothing refuses; they stay in their places. False: there is none."""
        for uid in list(queue.suspects)[:SUSPECTS_MAX]:
            if not self.goes_on:
                break
            how = self._sort(uid, name, suspect=True)
            if how in ("claimed", "passed over"):
                queue.suspects.remove(uid)
                self.took_suspect = True
                return True
        return False

    def _admitted(self, door: Door, admit: Admit) -> None:
        before = [*door.jobs]
        left = self._line(admit.queue, door.jobs, admit.limit, door)
        self.behind |= {uid: admit.name for uid in before[:left] if uid in self.boot.held}
        if left:
            # Somebody knows the name: whoever still waits has waited since now, for expiry.
            door.since_ms, door.noted = self.now_ms, 0

    def _line(self, name: str, jobs: deque[Uid], limit: int, door: Door | None = None) -> int:
        """From the head of a list, so many at most. Returns how many have left it."""
        most, left = self.met + limit, 0
        while jobs and self.met < most and self.goes_on:
            how = self._sort(jobs[0], name, door=door)
            if how == "too much":
                break  # and whatever comes after it waits too, so that nothing is overtaken
            uid = jobs.popleft()
            left += 1
            if how == "refused":
                self._enter(name, uid)
        return left

    def _turns(self, name: str, queue: Queue) -> None:
        """From the ready ones of a queue, each key in its turn."""
        most = min(self.asked.want - self.met, self.looks_max - self.looks)
        found = self.space.turns.merged(name, queue.ready, queue.keyed, most)
        if any(tag is not None for _, tag in found):
            self.took_keyed.add(name)
        left = 0
        for uid, tag in found:
            how = self._sort(uid, name)
            if how == "too much":
                break
            left += 1
            if how == "claimed":
                self.space.turns.claimed(name, tag)
                if tag is not None:
                    self.waits[uid] = "fair"
            elif how == "refused":
                self._enter(name, uid)
        if left:
            self.left[name] = True
        for uid, tag in reversed(found[left:]):
            if tag is None:
                queue.ready.appendleft(uid)
            else:
                queue.keyed.put(uid, tag)

    def _enter(self, name: str, uid: Uid) -> None:
        """Into the room of what refuses it."""
        flow, takes = self.space.flow, self.space.jobs[uid].takes
        take = flow.refusing(takes, name, self.now_us, is_new=True)
        assert take is not None
        flow.enter(name, take, uid, self.now_us)

    def _room(self, name: str, take: str) -> None:
        """Who waits for this take, the oldest first, as long as it has something to give."""
        flow, room = self.space.flow, (name, take)
        while room in flow.open and self.goes_on:
            if flow.is_shut(take) or not flow.granted(take, self.now_us).granted:
                flow.open.discard(room)
                if not flow.is_shut(take):
                    flow.await_permit(room, self.now_us)
                break
            uid = flow.rooms[room][0]
            how = self._sort(uid, name, waited=True)
            if how == "too much":
                break
            flow.leave(room, uid)
            self.left[name] = True
            if how == "claimed":
                self.waits[uid] = "limited"
            elif how == "refused":
                takes = self.space.jobs[uid].takes
                other = flow.refusing(takes, name, self.now_us, is_new=False)
                assert other is not None
                flow.enter(name, other, uid, self.now_us)

    # -- what becomes of one -------------------------------------------------------------------

    def _sort(
        self,
        uid: Uid,
        queue: str,
        *,
        door: Door | None = None,
        suspect: bool = False,
        waited: bool = False,
    ) -> Sorted:
        flow, life = self.space.flow, self.space.jobs.get(uid)
        takes = () if life is None else life.takes
        if life is not None:
            is_new = not (suspect or waited)
            if flow.refusing(takes, queue, self.now_us, is_new=is_new) is not None:
                self.looks += 1
                return "refused"
            if self.taken and len(life.stored) > self.bytes_left:
                self.is_full = True
                return "too much"
        self.looks += 1
        self.met += 1
        if life is None:
            self._pass_over(uid, queue, door)
            return "passed over"
        self.bytes_left -= len(life.stored)
        self.taken += 1
        self.boot.held[uid] = Hold(self.asked.number, self.taken, queue, suspect)
        self.rated += flow.start(uid, takes, self.now_us)
        return "claimed"

    def _pass_over(self, uid: Uid, name: str, door: Door | None) -> None:
        """A uid without a job: cancelled, or a bug."""
        queue = self.space.queue(name)
        if door is not None and door.pass_over(uid):
            pass
        elif uid in queue.cancelled:
            queue.cancelled.remove(uid)
        else:
            self.space.strays.append(uid)
            self.space.stats["strays"] += 1
