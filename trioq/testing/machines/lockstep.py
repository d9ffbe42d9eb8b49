"""A store and its specification, side by side.

Both get the same calls, one after the other, and each call twice; any of them may come again at any
later moment, as a copy that was under way for long. After each the answers are compared. At the end
the faults are over, and whatever is left has to get done. (Lock-step comparison with a reference
model, as of QuickCheck's state machines: Claessen and Hughes, 2002.)

A machine adds rules, which say what is asked for: :mod:`.store` has those that ask for everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from trioq.core.calls import Admit, Enqueued, Enqueuer, NewJob, Rate, Step, StepReply, Taking
from trioq.core.formats.record import encode
from trioq.core.job import Record
from trioq.core.settlements import Ack, Settlement
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions
from trioq.testing.machines.calls import (
    QUEUES,
    REPEATED_ON_PURPOSE,
    Call,
    Granted,
    changed_nothing,
    kinds,
    outcome,
    same_news,
)
from trioq.testing.machines.counting import Counting

MakeStore = Callable[[StoreOptions], Any]
"""Makes an empty :class:`trioq.store.protocol.Store`, which goes by the options' clock."""


def edited_by(call: Call, model: MemoryStore) -> Mapping[str, NewJob]:
    """The jobs that this call has revived with another payload."""
    if call.verb != "revive" or len(call.args) < 4:
        return {}
    edited: Mapping[str, NewJob] = call.args[3]
    lives = model.space.jobs
    return {
        uid: job
        for uid, job in edited.items()
        if uid in lives and lives[uid].stored == job.stored and uid not in model.space.dead
    }


class LockStep(Counting, RuleBasedStateMachine):
    """A store does what :class:`~trioq.store.memory.MemoryStore` does."""

    make: ClassVar[MakeStore]
    options: ClassVar[StoreOptions] = StoreOptions(keep_done=2, pack_max=3)
    copies_come_late: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_764_000_000_000
        options = attrs.evolve(self.options, clock_ms=lambda: self.now_ms)
        self.real = self.open(options)
        self.model = MemoryStore(options)
        self.bodies: dict[str, NewJob] = {}
        """Every job that was ever queued."""
        self.sent: list[Call] = []
        self.claims: list[Granted] = []
        self.numbers = Counter[str]()
        self.made = 0
        self.is_healthy = True

    # -- the store: what a machine for a certain one may say anew ------------------------------

    def open(self, options: StoreOptions) -> Any:
        """The store, with nothing in it."""
        return type(self).make(options)

    def close(self) -> None:
        """The example is over."""
        if (close := getattr(self.real, "close", None)) is not None:
            close()

    def forget_cached(self) -> None:
        """What the store keeps to be quick, such as scripts, is lost."""

    def executed(self, call: Call, answer: Any) -> None:
        """Both have given this answer. A repetition isn't told."""
        match answer:
            case _ if changed_nothing(call, answer):
                return
            case Enqueued() if call.verb == "enqueue":
                taken = enumerate(call.args[2][: answer.taken])
                old = answer.existing.keys() | answer.seen
                self.bodies |= {job.uid: job for i, job in taken if i not in old}
            case StepReply():
                step = call.args[0]
                self.claims += (
                    Granted(step.boot, claim.uid, step.number, claim.attempts, claim.suspect)
                    for claim in answer.claims
                )
        if call.verb == "replace":
            self.bodies[call.args[2].job.uid] = call.args[2].job
        edited = edited_by(call, self.model)
        self.bodies |= edited
        self.reached["revive: another payload"] += bool(edited)

    def repeated(self, call: Call) -> None:
        """And the same once more."""

    def clock_went_back(self) -> None:
        """The store's clock was set back."""

    # -- its end -------------------------------------------------------------------------------

    @precondition(lambda self: self.copies_come_late and self.sent)
    @rule(data=st.data())
    def a_late_copy_arrives(self, data: st.DataObject) -> None:
        self.execute(data.draw(st.sampled_from(self.sent)))

    def teardown(self) -> None:
        """The faults are over, and whatever is left gets done (I15)."""
        try:
            if self.is_healthy:
                self.everything_gets_done()
        finally:
            self.close()

    def everything_gets_done(self) -> None:
        """By one engine, after all times have come."""
        space = self.model.space
        for what in sorted(space.paused):
            self.write("pause", "s1", what, False)
        for engine in list(space.boots):
            self.execute(Call("sign_off", (engine,)))
        due = [at for queue in space.queues.values() for _, at in queue.scheduled.items()]
        self.now_ms = max([self.now_ms, *due]) + 1_000_000
        self.execute(Call("register", ("e.last", b"{}")))
        done: tuple[Settlement, ...] = ()
        for n in range(1, 200):
            doors = tuple(Admit(*door, 100) for door in space.doors())
            step = Step("e.last", n, 100, QUEUES, admits=doors, settlements=done)
            reply = self.execute(Call("step", (step,)))
            done = tuple(Ack(claim.uid, n) for claim in reply.claims)
            if not (done or reply.left or reply.parked):
                break
        self.all_is_done()

    def all_is_done(self) -> None:
        """Looked at when it should be."""
        space = self.model.space
        assert space.jobs.keys() == space.dead.keys(), "I15: some jobs are never done"

    # -- calls ---------------------------------------------------------------------------------

    def write(
        self,
        verb: str,
        sender: str,
        *args: Any,
        rate: Rate | None = None,
        who: Enqueuer | None = None,
        taking: Taking | None = None,
    ) -> Any:
        """A client's next write."""
        self.numbers[sender] += 1
        return self.execute(Call(verb, (sender, self.numbers[sender], *args), rate, who, taking))

    def step(
        self,
        engine: str,
        want: int = 0,
        settlements: tuple[Settlement, ...] = (),
        queues: tuple[str, ...] = QUEUES,
        **options: Any,
    ) -> Any:
        """An engine's next step. Admitted is whoever waits behind a door."""
        boot = self.model.space.boots.get(engine)
        doors = tuple(Admit(*door, 100) for door in self.model.space.doors() if door[0] in queues)
        options = {"number": boot.last + 1 if boot else 1, "admits": doors, **options}
        step = Step(boot=engine, want=want, queues=queues, settlements=settlements, **options)
        return self.execute(Call("step", (step,)))

    def make_job(
        self,
        queue: str,
        name: str = "noop",
        payload: bytes = b"{}",
        uid: str = "",
        **options: Any,
    ) -> NewJob:
        """One that wasn't there yet, unless its uid is named."""
        self.made += not uid
        uid = uid or f"{self.made:032x}"
        stored, big = encode(Record(uid, name, queue, payload, options.get("id")))
        return NewJob(uid, queue, stored, big, **options)

    def holds(self, claim: Granted) -> bool:
        """Whether it hasn't ended."""
        boot = self.model.space.boots.get(claim.engine)
        hold = boot.held.get(claim.uid) if boot else None
        return hold is not None and hold.step == claim.n

    def running(self) -> list[Granted]:
        """The claims that haven't ended, in their order."""
        return [claim for claim in self.claims if self.holds(claim)]

    def execute(self, call: Call) -> Any:
        """The store executes the call, and at once a second copy of it; what the first answered."""
        self.is_healthy = False
        first, expected = outcome(call.on(self.real)), outcome(call.on(self.model))
        assert first == expected, f"{call}\n{first}\n{expected}"
        self.reached.update(kinds(call, first))
        self.executed(call, first)
        if call.verb not in REPEATED_ON_PURPOSE and call.verb != "wait":
            second = outcome(call.on(self.real))
            again = outcome(call.on(self.model))
            assert second == again, f"I17: {call}, twice\n{second}\n{again}"
            self.repeated(call)
            assert same_news(first, second), f"I17: {call}: {first}, then {second}"
        # `register` is never re-sent: a copy that came after a reap would bring the boot back, and
        # its old steps could be executed a second time.
        if call.verb not in ("wait", "register"):
            self.sent.append(call)
        self.is_healthy = True
        return first
