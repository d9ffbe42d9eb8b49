"""A real server and its specification, side by side: what the machines of the store share.

Both get the same calls, one after the other, as the server would execute them, and each call
twice. After each the answers and the whole data set are compared, and what the server holds
must be sound, by itself and with its history. A machine adds what it asks for, and what it
promises in its own words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from props.history import History, outcome
from props.reached import Counting, meets
from tests.dump import Dump, dump, dump_of_model
from tests.invariants import assert_sound
from tests.support import Server
from trioq.core.calls import (
    Admit,
    Enqueued,
    Enqueuer,
    Existing,
    Gone,
    NewJob,
    Rate,
    Reaped,
    Replaced,
    Revived,
    Step,
    StepReply,
    Taking,
)
from trioq.core.formats.record import encode
from trioq.core.job import Record
from trioq.core.schedules.tick import Ticked
from trioq.core.settlements import Ack, Settlement
from trioq.errors import QueueFull
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions

MAX_REAPS = 2
LINE = b'{"attempt":1,"type":"ValueError"}'
QUEUES = ("high", "low")

#: Calls whose repetition does something, as it should: a sign of life is another one, and a
#: batch of parked jobs may be followed by the next.
REPEATED_ON_PURPOSE = ("beat", "expire_parked")

queue_names = st.sampled_from(QUEUES)
senders = st.sampled_from(["s1", "s2"])


@attrs.frozen
class Call:
    """A request that has left its client: it may be executed now, later, and again."""

    verb: str
    args: tuple[Any, ...]
    rate: Rate | None = None
    who: Enqueuer | None = None
    taking: Taking | None = None

    def on(self, store: Any) -> Callable[[], Any]:
        more: dict[str, Any] = {"rate": self.rate} if self.rate else {}
        more |= {"who": self.who} if self.who else {}
        more |= {"taking": self.taking} if self.taking else {}
        return lambda: getattr(store, self.verb)(*self.args, **more)


@attrs.frozen
class Granted:
    """A claim that an engine was told of."""

    engine: str
    uid: str
    n: int
    attempts: int
    suspect: bool = False


class LockStep(Counting, RuleBasedStateMachine):
    """RedisStore is what MemoryStore says."""

    server: ClassVar[Server]
    options: ClassVar[StoreOptions] = StoreOptions(keep_done=2, pack_max=3)
    copies_come_late: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.server.call("FLUSHALL")
        self.now_ms = 1_764_000_000_000
        options = attrs.evolve(self.options, clock_ms=lambda: self.now_ms)
        self.real = self.server.store(options=options)
        self.model = MemoryStore(options)
        self.held = dump(self.real)
        """What the server holds."""
        self.history = History()
        self.sent: list[Call] = []
        self.claims: list[Granted] = []
        self.numbers = Counter[str]()
        self.made = 0
        self.is_healthy = True

    @precondition(lambda self: self.copies_come_late and self.sent)
    @rule(data=st.data())
    def a_late_copy_arrives(self, data: st.DataObject) -> None:
        self.execute(data.draw(st.sampled_from(self.sent)))

    def teardown(self) -> None:
        """I15: the faults are over, and whatever is left gets done."""
        try:
            if self.is_healthy:
                self.everything_gets_done()
        finally:
            self.real.lane.close()

    def everything_gets_done(self) -> None:
        for what in self.held.paused:
            self.write("pause", "s1", what, False)
        for engine in list(self.model.space.boots):
            self.execute(Call("sign_off", (engine,)))
        due = [at for queue in self.held.queues.values() for at in queue.scheduled.values()]
        self.now_ms = max([self.now_ms, *due]) + 1_000_000
        self.execute(Call("register", ("e.last", b"{}")))
        done: tuple[Settlement, ...] = ()
        for n in range(1, 200):
            doors = tuple(Admit(*door, 100) for door in self.model.space.doors())
            step = Step("e.last", n, 100, QUEUES, admits=doors, settlements=done)
            reply = self.execute(Call("step", (step,)))
            done = tuple(Ack(claim.uid, n) for claim in reply.claims)
            if not (done or reply.left or reply.parked):
                break
        left = self.held
        assert left.jobs.keys() == left.dead.keys(), "I15: some jobs are never done"
        assert not left.queues, f"I16: {left.queues}"
        assert not left.parked, f"I16: {left.parked}"

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
        self.made += not uid
        uid = uid or f"{self.made:032x}"
        stored, big = encode(Record(uid, name, queue, payload, options.get("id")))
        return NewJob(uid, queue, stored, big, **options)

    def holds(self, claim: Granted) -> bool:
        boot = self.model.space.boots.get(claim.engine)
        hold = boot.held.get(claim.uid) if boot else None
        return hold is not None and hold.step == claim.n

    def running(self) -> list[Granted]:
        """The claims that haven't ended, in their order."""
        return [claim for claim in self.claims if self.holds(claim)]

    # -- how they are executed -----------------------------------------------------------------

    def execute(self, call: Call) -> Any:
        """The server executes the call, and at once a second copy of it."""
        self.is_healthy = False
        before = self.held
        first = outcome(call.on(self.real))
        expected = outcome(call.on(self.model))
        assert first == expected, f"{call}\n{first}\n{expected}"
        self.reached.update(_kinds(call, first))
        after = self.compare(call)
        if not _changed_nothing(call, first):
            self.tell_history(call, first, before, after)
        else:
            assert _but_for_senders(before) == _but_for_senders(after), f"I18: {call}"
        if call.verb not in REPEATED_ON_PURPOSE and call.verb != "wait":
            second = outcome(call.on(self.real))
            assert second == outcome(call.on(self.model))
            again = self.compare(call)
            assert again == after, f"I17: {call}\n{after.difference(again)}"
            assert _same_news(first, second), f"I17: {call}: {first}, then {second}"
        # `register` is never re-sent: a copy that came after a reap would bring the boot back, and
        # its old steps could be executed a second time.
        if call.verb not in ("wait", "register"):
            self.sent.append(call)
        self.is_healthy = True
        return first

    def compare(self, call: Call) -> Dump:
        """The server holds what the model holds, and it is sound."""
        self.held = dump(self.real)
        expected = dump_of_model(self.model.space)
        assert self.held == expected, f"{call}\n{self.held.difference(expected)}"
        assert_sound(self.held, max_reaps=MAX_REAPS, keep_done=self.options.keep_done)
        return self.held

    def tell_history(self, call: Call, answer: Any, before: Dump, after: Dump) -> None:
        is_new = before.senders != after.senders
        if call.verb == "enqueue" and isinstance(answer, Enqueued) and is_new:
            jobs = call.args[2]
            new = self.history.enqueued(jobs, answer, call.rate, self.now_ms)
            self.history.line_grew_at_its_end(new, before, after, self.now_ms)
            self.line_was_kept(call, {job.queue for job in new}, before, after)
            self.reached["enqueue: drops"] += before.dead.keys() != after.dead.keys()
            if call.taking is not None and call.taking.how != "dead" and new:
                self.history.lost_its_id(call.taking.uid)
        if call.verb == "replace" and getattr(answer, "word", "") == "replaced" and is_new:
            self.history.replaced(call.args[2].job)
        job = call.args[3] if call.verb == "tick" else None
        if job is not None and isinstance(answer, Ticked) and is_new:
            existing = {0: Existing(answer.uid, "live")} if answer.word == "known" else {}
            enqueued = Enqueued(1, existing, frozenset())
            self.history.enqueued([job], enqueued, None, self.now_ms)
        if call.verb == "cancel":
            self.history.cancelled(call.args[2], answer)
        if call.verb == "step" and isinstance(answer, StepReply):
            (step,) = call.args
            self.history.stepped(step, answer, before, after)
            self.claims += (
                Granted(step.boot, claim.uid, step.number, claim.attempts, claim.suspect)
                for claim in answer.claims
            )
        settlements = call.args[0].settlements if call.verb == "step" else ()
        script = "enqueue" if call.verb == "tick" else call.verb
        self.history.called(script, before, after, self.now_ms, settlements)

    def line_was_kept(self, call: Call, queues: set[str], before: Dump, after: Dump) -> None:
        """By these jobs that were queued now, in the queues for which one waits."""
        places = [place.split() for line in before.line.values() for place in line]
        mine = [int(nth) for uid, nth, *_ in places if uid == call.args[2][0].uid]
        nth = mine[0] if mine else call.who.nth if call.who else 0
        for queue in queues & self.options.max_lengths.keys():
            if self.options.when_full.get(queue) != "drop_oldest":
                most = self.options.max_lengths[queue]
                self.history.nobody_overtook(
                    queue, before, after, most=most, nth=nth, now_ms=self.now_ms
                )
        self.reached["enqueue: after a wait"] += bool(nth)


def as_test(machine: type[LockStep], *promises: str, share: float = 1.0) -> Any:
    """The machine as a test, with its share of the examples that a profile gives to one.

    Args:
      promises: What it must have met, in the words of :func:`_kinds` or in its own.
    """
    case = meets(machine, *promises)
    case.settings = settings(max_examples=round(settings.default.max_examples * share))
    # It executes each request again by itself, and compares what every single one did.
    case.pytestmark = [pytest.mark.direct]
    return case


def _kinds(call: Call, answer: Any) -> Iterator[str]:
    """What kind of answer this is, in words."""
    match answer:
        case StepReply(word=word):
            yield f"step: {word}"
            for settlement in call.args[0].settlements:
                is_refused = settlement.uid in answer.refused
                yield f"{settlement.verb}: {'refused' if is_refused else 'accepted'}"
            yield from ("step: claims a suspect" for claim in answer.claims if claim.suspect)
            yield from ("step: cancels what was asked to end" for _ in answer.cancelled)
            yield from ("step: tells of an ask" for _ in answer.asks)
            yield from ("step: tells what was noted" for _ in answer.notes)
            yield from ("step: tells what is paused" for _ in answer.paused)
        case Revived(count=count):
            yield f"{call.verb}: {'something' if count else 'nothing'}"
        case Gone(word=word) | Reaped(word=word):
            yield f"{call.verb}: {word}"
            yield from ("reap: kills" for _ in getattr(answer, "dead", ()))
            yield from (
                "reap: cancels what was asked to end" for _ in getattr(answer, "cancelled", ())
            )
        case Enqueued():
            yield from (f"enqueue: {other.state}" for other in answer.existing.values())
            yield from ("enqueue: seen" for _ in answer.seen)
            yield from ["enqueue: waits"] if answer.wait_us else []
            if call.taking is not None:
                yield f"take: {'moved' if answer.moved else call.taking.how}"
        case Replaced(word=word):
            yield f"replace: {word}"
            yield from ["replace: tells who runs before"] if answer.after else []
        case Ticked(word=word):
            yield f"tick: {word}"
        case list() if call.verb == "cancel":
            yield from (f"cancel: {word}" for word in answer)
        case frozenset() if call.verb == "note":
            yield f"note: {'refused' if answer else 'kept'}"
        case tuple():
            yield f"{call.verb}: {answer[0]}"
        case int():
            yield f"{call.verb}: {'something' if answer else 'nothing'}"


def _changed_nothing(call: Call, answer: Any) -> bool:
    """Whether the answer says so (I18)."""
    match answer:
        case Gone() | ("TrioqBug", _):
            return True
        case False:
            return call.verb == "register"
        case Ticked(word="moved" | "alive") | Enqueued(moved=True):
            return True
        case Replaced(word=word):
            return word != "replaced"
        case StepReply(word="again") | Reaped("alive" | "gone"):
            return True
        case list() if call.verb == "cancel":
            # Asked once more, a bell may ring again.
            return set(answer) <= {"dead", "unknown"}
        case (QueueFull.__name__, _):
            return True
    return False


def _but_for_senders(dump: Dump) -> Dump:
    """A client's number is remembered also where nothing else changes."""
    return attrs.evolve(dump, senders={})


def _same_news(first: Any, second: Any) -> bool:
    """Whether the repetition tells what the first answer told."""
    match first, second:
        case StepReply(), StepReply():
            return (first.claims, first.refused) == (second.claims, second.refused)
        case Enqueued(), Enqueued():
            return attrs.evolve(first, wait_us=0) == attrs.evolve(second, wait_us=0)
        case True, False:
            return True  # registered; it is known already
        case Reaped("reaped"), Reaped("gone"):
            return True
    return bool(first == second)
