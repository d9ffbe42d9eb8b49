"""Jobs that are due later: none early, none twice, none left behind, in order of their time.

Crowds are due in the same millisecond, more of them than one step may promote; the clock comes
to every edge, and is set back.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from props.lockstep import LINE, QUEUES, Call, LockStep, as_test, queue_names
from tests.dump import Dump, Waiting
from trioq.core.calls import BATCH_MAX, StepReply, Unwanted
from trioq.core.model.steps import PROMOTE_MAX
from trioq.core.settlements import Ack, RetryAt, Settlement

pytestmark = pytest.mark.usefixtures("lockstep_server")

delays_ms = st.sampled_from([0, 1, 1, 2, 1000])
orders = st.sampled_from([QUEUES, QUEUES, ("low", "high"), ("low",), ("high",)])
crowds = st.sampled_from([PROMOTE_MAX - 1, PROMOTE_MAX, PROMOTE_MAX + 1, 2 * PROMOTE_MAX])

#: So many jobs that each dump isn't a burden.
MANY = 3 * PROMOTE_MAX


class ScheduleMachine(LockStep):
    """What a step promotes is said once more, from nothing but what lay there before it."""

    engine = "e.1"

    def __init__(self) -> None:
        super().__init__()
        self.due: dict[str, int] = {}
        """Who waits for which time: everybody who was asked to, and hasn't been promoted."""

    @initialize(delays=st.lists(delays_ms, min_size=1, max_size=4))
    def begin(self, delays: list[int]) -> None:
        self.execute(Call("register", (self.engine, b"{}")))
        self.enqueue("low", delays)

    # -- who is due later ----------------------------------------------------------------------

    @rule(
        queue=queue_names,
        delays=st.lists(delays_ms, min_size=1, max_size=4),
        by_clock=st.booleans(),
        ago_ms=st.sampled_from([0, 1, 5000]),
    )
    def enqueue(
        self, queue: str, delays: Sequence[int], by_clock: bool = False, ago_ms: int = 0
    ) -> None:
        """Without a delay, a job is ready at once; so is one whose time has passed."""
        if by_clock:
            times = [self.now_ms + (ms or -ago_ms) for ms in delays]
            jobs = tuple(self.make_job(queue, at_ms=ms) for ms in times)
        else:
            jobs = tuple(self.make_job(queue, delay_ms=ms) for ms in delays)
        self.write("enqueue", "s1", jobs)
        due = zip(jobs, delays, strict=True)
        self.due |= {job.uid: self.now_ms + ms for job, ms in due if ms}
        at_once = [job.uid for job, ms in zip(jobs, delays, strict=True) if not ms]
        assert self.waiting(queue).in_line[-len(at_once) :] == at_once or not at_once

    @precondition(lambda self: len(self.held.jobs) < MANY)
    @rule(queue=queue_names, many=crowds, delay_ms=delays_ms)
    def enqueue_a_crowd(self, queue: str, many: int, delay_ms: int) -> None:
        self.enqueue(queue, [delay_ms] * many)

    @rule(queues=orders, delays=st.lists(delays_ms, min_size=1, max_size=3), more=st.booleans())
    def fail(self, queues: tuple[str, ...], delays: Sequence[int], more: bool) -> None:
        """Who fails is due again: also at once, which is behind all that is due already."""
        reply = self.make_step(queues, len(delays))
        again: list[Settlement] = []
        for claim, delay_ms in zip(reply.claims, delays, strict=False):
            again.append(RetryAt(claim.uid, self.last, delay_ms, claim.attempts + 1, LINE))
            self.due[claim.uid] = self.now_ms + delay_ms
        self.make_step(queues, 1 if more else 0, tuple(again))

    @precondition(lambda self: self.due)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Who waited for a time doesn't come any more."""
        uid = data.draw(st.sampled_from(sorted(self.due)))
        queue = self.history.bodies[uid].queue
        assert self.write("cancel", "s2", (Unwanted(uid, queue, "noop"),)) == ["cancelled"]
        del self.due[uid]

    # -- time ----------------------------------------------------------------------------------

    @precondition(lambda self: self.due)
    @rule(data=st.data(), past_ms=st.sampled_from([-1, 0, 0, 1]))
    def come_to_an_edge(self, data: st.DataObject, past_ms: int) -> None:
        self.now_ms = data.draw(st.sampled_from(sorted(set(self.due.values())))) + past_ms

    @rule(ms=st.sampled_from([-1, -1000, -100_000, 1, 999]))
    def let_time_pass(self, ms: int) -> None:
        """Or go back: who was promoted stays so, and nobody's time is forgotten."""
        self.reached["time goes back under who waits"] += ms < 0 and bool(self.due)
        self.now_ms += ms

    # -- steps ---------------------------------------------------------------------------------

    @rule(queues=orders, want=st.sampled_from([0, 0, 1, 3, BATCH_MAX]))
    def step_on(self, queues: tuple[str, ...], want: int) -> None:
        """What is claimed here succeeds."""
        reply = self.make_step(queues, want)
        if reply.claims:
            done = tuple(Ack(claim.uid, self.last) for claim in reply.claims)
            self.make_step(queues, 0, done)

    def make_step(
        self, queues: tuple[str, ...], want: int, settlements: tuple[Settlement, ...] = ()
    ) -> StepReply:
        before = self.held
        # Whoever fails in it, in a queue that it is about, may be promoted by it.
        asked = {s.uid: self.due[s.uid] for s in settlements if isinstance(s, RetryAt)}
        room = BATCH_MAX - len(self.held.running.get(self.engine, {}))
        reply: StepReply = self.step(self.engine, min(want, room), settlements, queues)
        assert not reply.refused
        self.promoted_are_the_first_that_are_due(queues, before, asked, reply)
        return reply

    def promoted_are_the_first_that_are_due(
        self, queues: tuple[str, ...], before: Dump, asked: dict[str, int], reply: StepReply
    ) -> None:
        room, claimed = PROMOTE_MAX, [claim.uid for claim in reply.claims]
        for queue in queues:
            mine = {u: at for u, at in asked.items() if self.history.bodies[u].queue == queue}
            was = before.queues.get(queue, Waiting())
            agenda = {**was.scheduled, **mine}
            due = sorted((at, uid) for uid, at in agenda.items() if at <= self.now_ms)
            promoted = [uid for _, uid in due[:room]]
            room -= len(promoted)
            self.reached["promoted"] += len(promoted)
            self.reached["due, and left for the next step"] += len(promoted) < len(due)
            for uid in promoted:
                assert self.due.pop(uid) <= self.now_ms
            line = [*was.in_line, *promoted]
            taken = [uid for uid in line if uid in claimed]
            assert taken + self.waiting(queue).in_line == line
        left = [at for q in queues for at in self.waiting(q).scheduled.values()]
        assert reply.next_due_ms == (max(0, min(left) - self.now_ms) if left else None)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """Who waits for a time is who was asked to and wasn't promoted, each with its own."""
        agenda = {uid: at for q in self.held.queues.values() for uid, at in q.scheduled.items()}
        assert agenda == self.due

    # -- below ---------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        """The number of the engine's last step."""
        return self.held.steps[self.engine][0]

    def waiting(self, queue: str) -> Waiting:
        return self.held.queues.get(queue, Waiting())


TestSchedule = as_test(
    ScheduleMachine,
    "promoted", "due, and left for the next step", "time goes back under who waits",
    "retry: accepted", "cancel: cancelled",
    share=0.2,
)  # fmt: skip
