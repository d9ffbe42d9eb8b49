"""A step: an engine settles some claims and takes others, exactly once."""

from __future__ import annotations

from typing import Literal

import attrs

from trioq.core.calls import Ask, Claim, Gone, Step, StepReply, Unwanted, WaitedFor, check_batch
from trioq.core.formats.pause import is_name, is_take, name_of, take_of
from trioq.core.job import Uid
from trioq.core.model.boots import Hold, Registration
from trioq.core.model.limits import ROOMS_MAX
from trioq.core.model.picking import Picking
from trioq.core.model.room import make_way
from trioq.core.model.settle import SETTLE, Settling
from trioq.core.model.state import Namespace
from trioq.core.settlements import SETTLEMENTS, Settlement
from trioq.errors import TrioqBug

#: Scheduled jobs that one step makes ready.
PROMOTE_MAX = 256

#: Of a record that is larger than any of ours, in bytes: it can't be read either way.
RECORD_MAX = 1 << 20


def step(space: Namespace, asked: Step, *, now_ms: int) -> StepReply | Gone:
    """Settle and claim.

    The numbers of an engine's steps make them a strict sequence. The last one again is
    answered as it was; a smaller one is a late copy; a larger one than the next comes from
    a time that this data set doesn't know.

    Raises:
      TrioqBug: The same number with other settlements, or too many; nothing was changed.
    """
    check_batch(max(asked.want, len(asked.settlements)))
    boot = space.boots.get(asked.boot)
    if boot is None or asked.number > boot.last + 1:
        return Gone()
    if asked.number < boot.last:
        return Gone("old")
    if asked.number == boot.last:
        return _again(space, boot, asked, now_ms)
    acting = _Acting(space, boot, asked, now_ms, Settling(space, now_ms))
    acting.lift()
    space.forget_turns()
    acting.forget_names()
    acting.settle()
    acting.promote()
    acting.claim()
    acting.ring()
    boot.last = asked.number
    boot.refused = frozenset(acting.refused)
    boot.cancelled = frozenset(unwanted.uid for unwanted in acting.stopped)
    return attrs.evolve(
        _reply(space, boot, asked, now_ms, "ok"), waits=acting.waits, behind=acting.behind
    )


def _again(space: Namespace, boot: Registration, asked: Step, now_ms: int) -> StepReply:
    for settlement in asked.settlements:
        held = boot.held.get(settlement.uid)
        is_settled = held is None or held.step != settlement.step
        if not is_settled and settlement.uid not in boot.refused:
            raise TrioqBug(f"step {asked.boot}:{asked.number} was re-sent with other settlements")
    return _reply(space, boot, asked, now_ms, "again")


def _reply(
    space: Namespace,
    boot: Registration,
    asked: Step,
    now_ms: int,
    word: Literal["ok", "again"],
) -> StepReply:
    took = space.flow.took
    claims = tuple(
        Claim(uid, life.stored[:RECORD_MAX], life.attempts, hold.suspect, took.get(uid, ()))
        for uid, hold in boot.in_order()
        for life in [space.jobs[uid]]
        if hold.step == asked.number
    )
    queues = [space.queue(name) for name in asked.queues]
    due = [first[0] for queue in queues if (first := queue.scheduled.first())]
    permit_ms = space.flow.next_permit_ms(asked.queues)
    due += [] if permit_ms is None else [permit_ms]
    return StepReply(
        word=word,
        refused=boot.refused,
        claims=claims,
        held=len(boot.held),
        left=sum(_left_in(space, q) for q in asked.queues if not space.is_paused(q, now_ms)),
        next_due_ms=max(0, min(due) - now_ms) if due else None,
        parked_version=space.parked_version,
        parked=None if asked.parked_version == space.parked_version else tuple(space.doors()),
        cancelled=boot.cancelled,
        asked=None if asked.asked == boot.asked else boot.asked,
        asks=_news(boot, asked.asked),
        notes={claim.uid: note for claim in claims if (note := space.jobs[claim.uid].note)},
        paused=() if asked.parked_version == space.parked_version else _paused_names(space, now_ms),
    )


def _paused_names(space: Namespace, now_ms: int) -> tuple[str, ...]:
    names = filter(is_name, space.paused)
    return tuple(sorted(name_of(what) for what in names if space.is_paused(what, now_ms)))


def _left_in(space: Namespace, queue: str) -> int:
    """Who is there to be claimed; of each open room, one."""
    return space.queue(queue).n_ready + len(space.flow.open_in(queue)[:ROOMS_MAX])


def _news(boot: Registration, known: int) -> tuple[Ask, ...]:
    """The asks that it doesn't know of; all, if it knows of more than there were."""
    if known == boot.asked:
        return ()
    asks = sorted(boot.asks.values(), key=lambda ask: ask.nth)
    new = [ask for ask in asks if ask.nth and (ask.nth > known or known > boot.asked)]
    return tuple(Ask(ask.unwanted.uid, ask.step, ask.unwanted.summary) for ask in new)


@attrs.define
class _Acting:
    """One step as it is carried out."""

    space: Namespace
    boot: Registration
    asked: Step
    now_ms: int
    settling: Settling
    refused: set[Uid] = attrs.field(factory=set[Uid])
    stopped: list[Unwanted] = attrs.field(factory=list[Unwanted])
    """Whom somebody has asked to end, and who would go back to a queue."""
    ended: list[Uid] = attrs.field(factory=list[Uid])
    freed: set[str] = attrs.field(factory=set[str])
    """Takes that are there for others."""
    took_suspect: bool = False
    lifted_name: bool = False
    waits: dict[Uid, WaitedFor] = attrs.field(factory=dict[Uid, "WaitedFor"])
    """What some of the claimed had waited for."""
    behind: dict[Uid, str] = attrs.field(factory=dict[Uid, str])
    """Some of the claimed → the door behind which they were."""

    def lift(self) -> None:
        """What was paused until a time that has come isn't any more."""
        over = [what for what, pause in self.space.paused.items() if pause.is_over(self.now_ms)]
        for what in over:
            del self.space.paused[what]
            if is_take(what):
                self.space.flow.resume(take_of(what))
                self.freed.add(take_of(what))
        self.lifted_name = any(map(is_name, over))

    def forget_names(self) -> None:
        """Of many queues, those that nothing is in needn't be looked at: their names go."""
        space = self.space
        has_doors = any(queue.parked for queue in space.queues.values())
        if len(self.asked.queues) <= space.many_queues or has_doors:
            return
        for name in space.used.intersection(self.asked.queues) - space.paused.keys():
            queue = space.queue(name)
            if not (queue.n_ready or space.anybody_waits_in(name)):
                space.used.remove(name)
                space.bells.discard(name)

    def settle(self) -> None:
        """Verb by verb; a claim is settled once, and by the engine that holds it."""
        accepted: dict[type[Settlement], list[tuple[Settlement, Hold]]] = {}
        for kind in SETTLEMENTS:
            accepted[kind] = []
            for settlement in self.asked.settlements:
                if type(settlement) is kind:
                    hold = self._taken(settlement)
                    if hold is None:
                        self.refused.add(settlement.uid)
                    elif not self._stopped(settlement, hold):
                        accepted[kind].append((settlement, hold))
        for kind, settled in accepted.items():
            SETTLE[kind](self.settling, settled)
        self.space.cancel(self.stopped, self.now_ms)
        self.freed |= self.space.flow.free(self.ended)

    def _taken(self, settlement: Settlement) -> Hold | None:
        """The claim that it ends, which the engine holds no longer. None: it is refused."""
        hold = self.boot.held.get(settlement.uid)
        if hold is None or hold.step != settlement.step:
            return None
        if settlement.returns and hold.queue not in self.asked.queues:
            return None  # it would have nowhere to go
        self.ended.append(settlement.uid)
        return self.boot.held.pop(settlement.uid)

    def _stopped(self, settlement: Settlement, hold: Hold) -> bool:
        """Whether it would go back to a queue, and somebody has asked it to end."""
        asked = self.boot.answered(settlement.uid, hold)
        if asked is None or not settlement.returns or not self.space.stops(asked):
            return False
        self.stopped.append(asked.unwanted)
        return True

    # -- promote and claim -----------------------------------------------------------------

    def promote(self) -> None:
        """What is due becomes ready, in order of its time, behind what is ready already."""
        room = PROMOTE_MAX
        for name in self.asked.queues:
            queue = self.space.queue(name)
            due = queue.scheduled.take(room, self.now_ms)
            for uid in due:
                self.space.make_ready(name, uid)
            room -= len(due)
        self.space.flow.promote(self.now_ms)

    def claim(self) -> None:
        """In each queue a suspect, then what waited at doors now open, then who waited for limits
        that have something to give, then the rest."""
        picking = Picking(self.space, self.boot, self.asked, self.now_ms)
        picking.pick()
        self.took_suspect, self.waits, self.behind = (
            picking.took_suspect, picking.waits, picking.behind,
        )  # fmt: skip
        make_way(self.space, picking.left, self.now_ms)
        shut = [self.space.shut(admit.queue, admit.name) for admit in self.asked.admits]
        if self.settling.opened or any(shut) or self.lifted_name:
            self.space.parked_version += 1

    def ring(self) -> None:
        """Something is left for others: one of them wakes, and rings again."""
        space, flow = self.space, self.space.flow
        # Whose suspect has moved can't have another now, but others can; and so can all where
        # what one was refused may be free.
        suspects_moved = self.took_suspect or self.settling.gave_suspects or bool(self.freed)
        for name in self.asked.queues:
            queue = space.queue(name)
            is_left = queue.n_ready > len(queue.cancelled) or bool(flow.open_in(name))
            if name not in space.paused and (is_left or (suspects_moved and queue.suspects)):
                space.ring(name)
        for name in flow.waiting_for(self.freed) - {*self.asked.queues}:
            space.ring(name)
