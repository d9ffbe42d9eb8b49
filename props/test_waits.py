"""Whoever waits for a job's end is told it, whatever gets lost on the way.

The waits of a client, on the specification of the store; between them a network that loses
messages, answers and connections, and lets a message overtake an answer. When nothing more gets
lost, everybody whose job has ended knows how, and nobody else has been told anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.store.drive import Driver, Sender, line
from tests.support import new_job
from trioq.client.waits import CHECK_S, Awaited, Wait, Waiter, Waits
from trioq.core.calls import End, Ended
from trioq.core.job import Uid
from trioq.core.model.state import WAITED_MS
from trioq.core.settlements import Ack, DeadLetter, Deliver
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions
from trioq.testing.machines.counting import Counting, meets

ME = "me"
LARGE = b"x" * 2000


@attrs.define(eq=False)
class Someone:
    """One who waits for one job."""

    uid: Uid
    wait: Wait = attrs.field(init=False)
    told_ms: int | None = None


class WaitsMachine(Counting, RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_764_000_000_000
        self.store = MemoryStore(StoreOptions(clock_ms=lambda: self.now_ms))
        self.store.on_end(self.published)
        self.engine, self.sender = Driver(self.store), Sender(self.store)
        self.waits = Waits()
        self.people: list[Someone] = []
        self.ended: dict[Uid, End] = {}
        self.noted: dict[Uid, int] = {}
        """Of those ends, when those came that the server knew to be waited for."""
        self.queued: list[Uid] = []
        self.listens = False
        self.messages: list[Ended] = []
        """Under way, in their order."""
        self.answer: tuple[Sequence[Awaited], list[End]] | None = None
        """Of the request that is under way."""

    @property
    def now(self) -> float:
        return self.now_ms / 1000

    def published(self, client: str, uid: Uid, end: End) -> None:
        if self.listens and client == ME:
            self.messages.append(Ended(uid, end))
        self.reached[f"published: {'heard' if self.listens else 'missed'}"] += 1
        self.reached["published: large"] += self.listens and end.state == "later"

    # -- jobs ----------------------------------------------------------------------------------

    @rule()
    def enqueue(self) -> None:
        self.queued.append(self.sender.enqueue(new_job())[0])

    @precondition(lambda self: len(self.ended) < len(self.queued))
    @rule(how=st.sampled_from(["ack", "result", "large", "large", "dead"]))
    def end_one(self, how: str) -> None:
        uid, n = self.engine.claim().uid, self.engine.n
        keep_ms = 3_600_000
        ends = {
            "ack": (Ack(uid, n), End("done")),
            "result": (Deliver(uid, n, keep_ms, "done", b"5"), End("done", b"5")),
            "large": (Deliver(uid, n, keep_ms, "done", LARGE), End("done", LARGE)),
            "dead": (DeadLetter(uid, n, 1, "failures", line("x")), End("dead")),
        }
        settlement, self.ended[uid] = ends[how]
        if uid in self.store.space.waits:
            self.noted[uid] = self.now_ms
        self.engine.step(0, settlement)

    # -- who waits -----------------------------------------------------------------------------

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def begin_to_wait(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(self.queued))
        someone = Someone(uid)

        def wake() -> None:
            someone.told_ms = self.now_ms

        someone.wait = Wait(Waiter(wake), 0)
        self.waits.add(uid, None, someone.wait)
        self.people.append(someone)

    @precondition(lambda self: self.people)
    @rule(data=st.data())
    def wait_no_longer(self, data: st.DataObject) -> None:
        someone = data.draw(st.sampled_from(self.people))
        self.people.remove(someone)
        self.waits.leave(someone.uid, someone.wait)

    # -- the network ---------------------------------------------------------------------------

    @precondition(lambda self: not self.listens)
    @rule()
    def listen(self) -> None:
        self.waits.unheard()
        self.listens = True

    @precondition(lambda self: self.listens)
    @rule()
    def the_connection_is_lost(self) -> None:
        self.listens = False
        self.messages.clear()

    @precondition(lambda self: self.messages)
    @rule()
    def a_message_arrives(self) -> None:
        message = self.messages.pop(0)
        self.waits.told(message.uid, message.end)
        self.reached["a message while a request is under way"] += self.answer is not None

    @precondition(lambda self: self.messages)
    @rule()
    def a_message_is_lost(self) -> None:
        self.messages.pop()

    @precondition(lambda self: self.answer is None)
    @rule()
    def ask(self) -> None:
        if jobs := self.waits.next(self.now):
            ends = self.store.wait_for(ME, [(job.uid, job.id) for job in jobs])
            self.answer = jobs, ends

    @precondition(lambda self: self.answer is not None)
    @rule(arrives=st.sampled_from([True, True, True, False]))
    def the_answer(self, arrives: bool) -> None:
        assert self.answer is not None
        (jobs, ends), self.answer = self.answer, None
        if arrives:
            self.waits.answered(jobs, ends, self.now)

    @rule(seconds=st.sampled_from([0.1, 1.0, CHECK_S]))
    def time_passes(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)

    # -- what must hold ------------------------------------------------------------------------

    def check(self) -> None:
        for someone in self.people:
            told = someone.wait.end
            if told is not None:
                assert told in self.possible(someone), f"{someone.uid}: {told}"

    def possible(self, someone: Someone) -> list[End]:
        """What can truly be told. Of a plain end nothing is kept, but for a minute where somebody
        was noted who might not have heard of it."""
        uid, told_ms = someone.uid, someone.told_ms or 0
        if uid not in self.ended:
            return []
        if uid in self.noted and told_ms < self.noted[uid] + WAITED_MS:
            return [self.ended[uid]]
        return [self.ended[uid], End("unknown"), End("expired")]

    def teardown(self) -> None:
        """What is under way gets lost, though no connection does; then nothing any more."""
        self.messages.clear()
        self.answer = None
        if not self.listens:
            self.listen()
        for _ in range(3):
            while self.messages:
                self.a_message_arrives()
            while jobs := self.waits.next(self.now):
                ends = self.store.wait_for(ME, [(job.uid, job.id) for job in jobs])
                self.waits.answered(jobs, ends, self.now)
            self.time_passes(CHECK_S)
        self.check()
        for someone in self.people:
            is_told = someone.wait.end is not None
            assert is_told == (someone.uid in self.ended), f"{someone.uid} waits for ever"
        assert len(self.waits) == len({s.uid for s in self.people if s.uid not in self.ended})


TestWaits = meets(
    WaitsMachine,
    "published: heard", "published: missed", "published: large",
    "a message while a request is under way",
)  # fmt: skip
