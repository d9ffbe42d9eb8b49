"""What limits the starts of jobs, and where those lie that wait for it.

A job takes of its limits all or none, in its claim, so that whoever waits holds nothing. What a
claim took is free with its end. Who is refused lies in the *room* of the first take that refused
it, by its age; a room is *open* while its take may have something to give.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

import attrs

from trioq.core.job import Uid
from trioq.core.limiter import Grant, grant
from trioq.core.limits import ONE_EACH, LimitSettings, is_own, limit_of
from trioq.core.model.agenda import Agenda
from trioq.core.model.deployed import Deployed

Room = tuple[str, str]
"""A queue, and the take that is waited for."""

#: Stands before a take where it is until when that rests.
RESTS = "\0"

#: Of those times that are over, so many are forgotten by a step that starts jobs at a rate, beside
#: two for each that it writes.
SWEEP_MIN = 16

#: Open rooms of one queue that one step looks into.
ROOMS_MAX = 128

#: Rooms of one queue among which the oldest is looked for when somebody has to go.
OLDEST_OF = 128

#: Rooms whose permit has come that one step opens.
DUE_MAX = 256

#: Among so many of the next permits those of a step's own queues are looked for.
NEXT_MAX = 16


@attrs.define
class Limits:
    """All of it, of one namespace."""

    settings: dict[str, tuple[int, LimitSettings]] = attrs.field(
        factory=dict[str, "tuple[int, LimitSettings]"]
    )
    """What holds: by name, each with its version; and by the takes that have settings of their
    own. Of a limit that is over, that it limits nothing."""
    deployed: Deployed = attrs.field(factory=Deployed)
    """What engines declare."""
    took: dict[Uid, tuple[str, ...]] = attrs.field(factory=dict[Uid, "tuple[str, ...]"])
    """What claims that are held took."""
    slots: Counter[str] = attrs.field(factory=Counter[str])
    """How many claims hold each take."""
    tats: Agenda = attrs.field(factory=Agenda)
    """Take → the theoretical arrival time of its next start, epoch µs; and of a take that rests,
    with :data:`RESTS` before it, until when. A rate's clock doesn't bound that."""
    rooms: dict[Room, list[Uid]] = attrs.field(factory=dict[Room, "list[Uid]"])
    """Who waits there, the oldest first; none is empty."""
    open: set[Room] = attrs.field(factory=set[Room])
    """Those that somebody should look into."""
    paused: set[str] = attrs.field(factory=set[str])
    """Takes with which nobody is to start, until somebody has them go on or their time is over."""
    permits: Agenda = attrs.field(factory=Agenda)
    """``queue, NUL, take`` of rooms that wait for a permit, and when it comes, epoch ms."""

    def known(self, take: str) -> int:
        """The version of what holds for a limit, or for one value of its key; -1: there is none."""
        return max(self.version(take), self.version(limit_of(take)))

    def version(self, take: str) -> int:
        return self.settings.get(take, (-1,))[0]

    def renew(self, settings: Mapping[str, LimitSettings], version: int) -> set[str]:
        """Somebody sets these by hand; of each the newest version holds. Returns the queues in
        which somebody waits whom they may admit."""
        new = {
            take
            for take in settings
            if self.version(take) < version and self.known(take) <= version
        }
        self.settings |= {take: (version, settings[take]) for take in new}
        return self._opened(new)

    def deploy(self, settings: Mapping[str, LimitSettings], now_ms: int) -> set[str]:
        """A deployment brings these; what was set by hand is over, of their values too. Returns
        the queues in which somebody waits whom that may admit."""
        newest = dict.fromkeys(settings, now_ms)
        of_them = {take for take in self.settings if limit_of(take) in settings}
        for take in of_them:
            newest[limit_of(take)] = max(newest[limit_of(take)], 1 + self.version(take))
        for take in of_them - settings.keys():
            del self.settings[take]
        # Above whatever somebody who doesn't know of it yet sets by hand.
        self.settings |= {name: (1 + newest[name], each) for name, each in settings.items()}
        return self._opened({*settings, *of_them})

    def _opened(self, changed: Container[str]) -> set[str]:
        """Somebody should look whom these admit now."""
        opened = {room for room in self.rooms if room[1] in changed or limit_of(room[1]) in changed}
        self.open |= opened
        return {queue for queue, _ in opened}

    # -- what a take has to give ---------------------------------------------------------------

    def of(self, take: str) -> LimitSettings:
        """What limits it; nothing, if nobody knows its name. Trioq's own need no telling."""
        if is_own(take):
            return ONE_EACH
        of_limit = self.settings.get(limit_of(take), (0, LimitSettings()))
        return self.settings.get(take, of_limit)[1]

    def is_full(self, take: str) -> bool:
        most = self.of(take).concurrency
        return 0 < most <= self.slots[take]

    def is_shut(self, take: str) -> bool:
        """Whether it lets nobody start, whatever the time."""
        return take in self.paused or self.is_full(take)

    def granted(self, take: str, now_us: int) -> Grant:
        """One start, or how long to wait for it. Where the clock went back, the time is noted
        bounded, so that it heals."""
        limit, rest_us = self.of(take), self._rest_us(take, now_us)
        if limit.interval_us == 0:
            return Grant(0, 0, rest_us) if rest_us else Grant(1, 0, 0)
        stored_us = self.tats.at(take) if take in self.tats else 0
        if stored_us > (most_us := now_us + limit.burst * limit.interval_us):
            self.tats.put(take, most_us)
        found = grant(stored_us, now_us, wanted=1, interval_us=limit.interval_us, burst=limit.burst)
        return found if rest_us <= found.wait_us else Grant(0, found.tat_us, rest_us)

    def rest(self, take: str, until_us: int) -> None:
        """Nobody starts with it until then, or until later, if that was said before."""
        name = RESTS + take
        if name not in self.tats or self.tats.at(name) < until_us:
            self.tats.put(name, until_us)

    def _rest_us(self, take: str, now_us: int) -> int:
        name = RESTS + take
        return max(0, self.tats.at(name) - now_us) if name in self.tats else 0

    def refusing(
        self, takes: Sequence[str], queue: str, now_us: int, *, is_new: bool
    ) -> str | None:
        """The first take that refuses a job; None: it may start.

        Args:
          is_new: It has waited for none of them yet: those who have go first.
        """
        for take in takes:
            if (is_new and (queue, take) in self.rooms) or self.is_shut(take):
                return take
        return next((take for take in takes if not self.granted(take, now_us).granted), None)

    # -- claims ----------------------------------------------------------------------------------

    def start(self, uid: Uid, takes: Sequence[str], now_us: int) -> int:
        """It takes what nobody has refused. Returns of how many the rate was touched."""
        if takes:
            self.took[uid] = tuple(takes)
        self.slots.update(takes)
        rated = [take for take in takes if self.of(take).interval_us]
        for take in rated:
            self.tats.put(take, self.granted(take, now_us).tat_us)
        return len(rated)

    def free(self, uids: Iterable[Uid]) -> set[str]:
        """These claims are over: what they took is there for others, whose rooms are open."""
        freed = set[str]()
        for uid in uids:
            for take in self.took.pop(uid, ()):
                freed.add(take)
                self.slots[take] -= 1
                if not self.slots[take]:
                    del self.slots[take]
        self.look_into(freed)
        return freed

    def resume(self, take: str) -> set[str]:
        """Who waits for it may start again. Returns the queues in which somebody does."""
        self.paused.discard(take)
        self.look_into({take})
        return {queue for queue, waited_for in self.rooms if waited_for == take}

    def look_into(self, takes: set[str]) -> None:
        """Open are the rooms in which somebody waits for one of these."""
        self.open |= {room for room in self.rooms if room[1] in takes}

    def waiting_for(self, freed: Iterable[str]) -> set[str]:
        """Queues in which somebody waits for one of these that has something to give."""
        takes = {take for take in freed if not self.is_full(take)}
        return {queue for queue, take in self.rooms if take in takes}

    # -- rooms ---------------------------------------------------------------------------------

    def enter(self, queue: str, take: str, uid: Uid, now_us: int) -> None:
        """It waits for what this take has not to give, before whoever is younger."""
        bisect.insort(self.rooms.setdefault((queue, take), []), uid)
        if not self.is_shut(take):
            self.await_permit((queue, take), now_us)

    def await_permit(self, room: Room, now_us: int) -> None:
        """If it is a permit that is waited for, note when it comes; else somebody should look."""
        if wait_us := self.granted(room[1], now_us).wait_us:
            self.permits.put("\0".join(room), math.ceil((now_us + wait_us) / 1000))
        else:
            self.open.add(room)

    def leave(self, room: Room, uid: Uid) -> None:
        """It waits there no longer; a room that nobody is in is none."""
        self.rooms[room].remove(uid)
        if not self.rooms[room]:
            del self.rooms[room]
            self.open.discard(room)
            self.permits.drop("\0".join(room))

    def take_out(self, queue: str, uid: Uid) -> bool:
        """It waits in no room of this queue any more. False: it did in none."""
        room = next((r for r, uids in self.rooms.items() if r[0] == queue and uid in uids), None)
        if room is not None:
            self.leave(room, uid)
        return room is not None

    def take_oldest(self, queue: str, limit: int) -> list[Uid]:
        """Take out the oldest of those that wait in the first rooms of a queue."""
        rooms = sorted(room for room in self.rooms if room[0] == queue)[:OLDEST_OF]
        oldest = sorted((uid, room) for room in rooms for uid in self.rooms[room])[:limit]
        for uid, room in oldest:
            self.leave(room, uid)
        return [uid for uid, _ in oldest]

    def of_queue(self, queue: str) -> list[tuple[str, Uid]]:
        """All who wait in a queue's rooms: take and uid, room by room."""
        rooms = sorted(room for room in self.rooms if room[0] == queue)
        return [(room[1], uid) for room in rooms for uid in self.rooms[room]]

    def open_in(self, queue: str) -> list[str]:
        """What is waited for in the open rooms of a queue."""
        return sorted(take for name, take in self.open if name == queue)

    def promote(self, now_ms: int) -> None:
        """Rooms whose permit has come are open."""
        due = self.permits.take(DUE_MAX, now_ms)
        self.open |= {(queue, take) for queue, _, take in (name.partition("\0") for name in due)}

    def next_permit_ms(self, queues: Sequence[str]) -> int | None:
        """When the next permit comes that is waited for in these queues, as far as is looked."""
        found: list[tuple[int, str]] = sorted((at, room) for room, at in self.permits.items())
        mine = {*queues}
        first = [at for at, room in found[:NEXT_MAX] if room.partition("\0")[0] in mine]
        return first[0] if first else found[NEXT_MAX - 1][0] if len(found) >= NEXT_MAX else None

    def sweep(self, rated: int, now_us: int) -> None:
        """Times that are over say nothing any more; each step forgets some."""
        if rated:
            self.tats.take(SWEEP_MIN + 2 * rated, now_us)
