"""The scripts do what the specification says, whatever is asked of them and however often.

A real server and the model get the same calls, one after the other, as the server would
execute them. After each call the answers and the whole data set are compared, and what the
server holds must be sound. Any call may be executed again at any later moment, as a copy that
was under way for long: engines that are gone still make steps, old numbers come back. At the
end the faults stop, and everything must still get done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from props.history import History, outcome
from tests.dump import Dump, dump, dump_of_model
from tests.invariants import assert_sound
from tests.support import Server
from trioq.core.codec import encode
from trioq.core.job import Record
from trioq.errors import QueueFull
from trioq.store.memory import MemoryStore
from trioq.store.protocol import (
    Ack,
    Admit,
    DeadLetter,
    Enqueued,
    Gone,
    NewJob,
    Park,
    Rate,
    Reaped,
    Release,
    RetryAt,
    Settlement,
    Step,
    StepReply,
    StoreOptions,
)

MAX_REAPS = 2
EXPIRE_MS = 2000
RATE = Rate("producer", interval_us=30_000_000, burst=3)
LINE = b'{"attempt":1,"type":"ValueError"}'

#: Calls whose repetition does something, as it should: a sign of life is another one, and a
#: batch of parked jobs may be followed by the next.
REPEATED_ON_PURPOSE = ("beat", "expire_parked")

queue_names = st.sampled_from(["high", "low"])
job_names = st.sampled_from(["noop", "strange"])
orders = st.sampled_from([("high", "low"), ("low", "high"), ("low",), ("high",)])
senders = st.sampled_from(["s1", "s2"])
delays_ms = st.sampled_from([0, 0, 0, 1, 1000])
marks = st.none() | st.tuples(st.sampled_from(["a", "b\udcff"]), st.sampled_from(["1:1", "2:2"]))
ids = st.none() | st.sampled_from(["x", "y"])


@attrs.frozen
class Call:
    """A request that has left its client: it may be executed now, later, and again."""

    verb: str
    args: tuple[Any, ...]
    rate: Rate | None = None

    def on(self, store: Any) -> Callable[[], Any]:
        more = {"rate": self.rate} if self.rate else {}
        return lambda: getattr(store, self.verb)(*self.args, **more)


@attrs.frozen
class Granted:
    """A claim that an engine was told of."""

    engine: str
    uid: str
    n: int
    attempts: int


class StoreMachine(RuleBasedStateMachine):
    """RedisStore is what MemoryStore says."""

    server: ClassVar[Server]

    @initialize()
    def begin(self) -> None:
        self.server.call("FLUSHALL")
        self.now_ms = 1_764_000_000_000
        options = StoreOptions(
            keep_done=2,
            id_retention_ms=1500,
            max_lengths={"high": 4},
            claim_bytes=400,
            clock_ms=lambda: self.now_ms,
        )
        self.real = self.server.store(options=options)
        self.model = MemoryStore(options)
        self.history = History()
        self.sent: list[Call] = []
        self.engines: list[str] = []
        self.claims: list[Granted] = []
        self.numbers = {"s1": 0, "s2": 0}
        self.made = 0
        self.is_healthy = True

    # -- calls ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.engines) < 4)
    @rule()
    def register(self) -> None:
        self.engines.append(f"e.{len(self.engines)}")
        self.execute(Call("register", (self.engines[-1], b"{}")))

    @rule(
        data=st.data(),
        sender=senders,
        count=st.sampled_from([1, 1, 2, 4]),
        limited=st.sampled_from([False, False, True]),
    )
    def enqueue(self, data: st.DataObject, sender: str, count: int, limited: bool) -> None:
        jobs = [self.new_job(data) for _ in range(count)]
        self.write("enqueue", sender, tuple(jobs), rate=RATE if limited else None)

    @precondition(lambda self: self.engines)
    @rule(data=st.data(), queues=orders, ahead=st.sampled_from([1] * 12 + [0, -1, 2]))
    def step(self, data: st.DataObject, queues: tuple[str, ...], ahead: int) -> None:
        engine = data.draw(st.sampled_from(self.engines), label="engine")
        boot = self.model.space.engines.get(engine)
        doors = [door for door in self.model.space.doors() if door[0] in queues]
        admitted = data.draw(st.lists(st.sampled_from(doors), unique=True)) if doors else []
        step = Step(
            engine=engine,
            n=max(0, (boot.last if boot else 3) + ahead),
            want=data.draw(st.integers(0, 3), label="want"),
            queues=queues,
            suspect=data.draw(st.booleans(), label="suspect"),
            admits=tuple(Admit(*door, data.draw(st.integers(1, 3))) for door in admitted),
            settlements=self.settlements(data, engine, queues),
            parked_version=data.draw(st.sampled_from([-1, self.model.space.parked_version])),
        )
        self.execute(Call("step", (step,)))

    @precondition(lambda self: self.engines)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        self.execute(Call("beat", (data.draw(st.sampled_from(self.engines)),)))

    @precondition(lambda self: self.engines)
    @rule(data=st.data(), behind=st.sampled_from([0, 0, 0, 1]))
    def reap(self, data: st.DataObject, behind: int) -> None:
        engine = data.draw(st.sampled_from(self.engines))
        boot = self.model.space.engines.get(engine)
        seen = (boot.beats if boot else 1) - behind
        self.execute(Call("reap", (engine, seen, MAX_REAPS)))

    @precondition(lambda self: self.engines)
    @rule(data=st.data())
    def sign_off(self, data: st.DataObject) -> None:
        self.execute(Call("sign_off", (data.draw(st.sampled_from(self.engines)),)))

    @precondition(lambda self: self.history.bodies)
    @rule(data=st.data(), sender=senders)
    def cancel(self, data: st.DataObject, sender: str) -> None:
        uid = data.draw(st.sampled_from(list(self.history.bodies)))
        self.write("cancel", sender, uid, self.history.bodies[uid].queue, self.name_of(uid))

    @precondition(lambda self: self.model.space.dead)
    @rule(data=st.data(), sender=senders)
    def revive(self, data: st.DataObject, sender: str) -> None:
        uids = data.draw(st.lists(st.sampled_from(list(self.history.bodies)), max_size=3))
        uids += list(self.model.space.dead)[:1]
        jobs = tuple((uid, self.history.bodies[uid].queue) for uid in uids)
        self.write("revive", sender, jobs)

    @precondition(lambda self: self.model.space.dead)
    @rule(data=st.data(), sender=senders)
    def purge_dead(self, data: st.DataObject, sender: str) -> None:
        uids = data.draw(st.lists(st.sampled_from(list(self.history.bodies)), max_size=3))
        self.write("purge_dead", sender, tuple(uids) + tuple(self.model.space.dead)[:1])

    @rule(
        sender=senders,
        queue=queue_names,
        names=st.sampled_from([(), ("noop",), ("noop", "strange")]),
        limit=st.sampled_from([1, 2, 100]),
    )
    def purge(self, sender: str, queue: str, names: tuple[str, ...], limit: int) -> None:
        self.write("purge", sender, queue, names, limit)

    @rule(sender=senders, queue=queue_names, paused=st.booleans())
    def pause(self, sender: str, queue: str, paused: bool) -> None:
        self.write("pause", sender, queue, paused)

    @rule(queue=queue_names, name=job_names)
    def expire_parked(self, queue: str, name: str) -> None:
        self.execute(Call("expire_parked", (queue, name, EXPIRE_MS, LINE)))

    @rule(order=orders)
    def hear_a_bell(self, order: tuple[str, ...]) -> None:
        if self.model.space.bells & set(order):
            self.execute(Call("wait", (order, 0.001)))

    @rule()
    def ask(self) -> None:
        for verb, args in (
            ("observe", ()),
            ("engines", ()),
            ("seen", (["a", "b\udcff", "c"],)),
            *(("payload", (uid,)) for uid in list(self.history.bodies)[-3:]),
            *(("history", (uid,)) for uid in list(self.history.bodies)[:3]),
        ):
            call = Call(verb, args)
            assert call.on(self.real)() == call.on(self.model)()

    # -- faults ---------------------------------------------------------------------------

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def a_late_copy_arrives(self, data: st.DataObject) -> None:
        self.execute(data.draw(st.sampled_from(self.sent)))

    @rule()
    def scripts_are_flushed(self) -> None:
        self.real.lane.call("SCRIPT", "FLUSH")

    @rule(ms=st.sampled_from([1, 999, 1000, 1001, EXPIRE_MS, 60_000]))
    def let_time_pass(self, ms: int) -> None:
        self.now_ms += ms

    @rule(data=st.data(), past=st.sampled_from([-1, 0, 1]))
    def come_to_an_edge(self, data: st.DataObject, past: int) -> None:
        space = self.model.space
        edges = {at for queue in space.queues.values() for _, at in queue.scheduled.items()}
        edges |= {at for _, at in space.forget.items()}
        edges |= {
            door.since_ms + EXPIRE_MS
            for queue in space.queues.values()
            for door in queue.parked.values()
        }
        edges |= {tat_us // 1000 for tat_us in space.limits.values()}
        ahead = sorted(at + past for at in edges if at + past > self.now_ms)
        if ahead:
            self.now_ms = data.draw(st.sampled_from(ahead))

    @rule(ms=st.sampled_from([1, 1500, 100_000]))
    def clock_goes_back(self, ms: int) -> None:
        self.now_ms -= ms
        self.history.clock_went_back()

    # -- the end --------------------------------------------------------------------------

    def teardown(self) -> None:
        """I15: the faults are over, and whatever is left gets done."""
        try:
            if self.is_healthy:
                self.everything_gets_done()
        finally:
            self.real.lane.close()

    def everything_gets_done(self) -> None:
        for queue in ("high", "low"):
            self.write("pause", "s1", queue, False)
        for engine in list(self.model.space.engines):
            self.execute(Call("sign_off", (engine,)))
        self.now_ms += 1_000_000
        self.execute(Call("register", ("e.last", b"{}")))
        done: tuple[Settlement, ...] = ()
        for n in range(1, 200):
            doors = tuple(Admit(*door, 100) for door in self.model.space.doors())
            step = Step("e.last", n, 100, ("high", "low"), admits=doors, settlements=done)
            reply = self.execute(Call("step", (step,)))
            done = tuple(Ack(claim.uid, n) for claim in reply.claims)
            if not (done or reply.left or reply.parked):
                break
        left = dump(self.real)
        assert left.jobs.keys() == left.dead.keys(), "I15: some jobs are never done"
        assert not left.queues, f"I16: {left.queues}"
        assert not left.parked, f"I16: {left.parked}"

    # -- how it is done -------------------------------------------------------------------

    def write(self, verb: str, sender: str, *args: Any, rate: Rate | None = None) -> None:
        """A client's next write."""
        self.numbers[sender] += 1
        self.execute(Call(verb, (sender, self.numbers[sender], *args), rate))

    def execute(self, call: Call) -> Any:
        """The server executes the call, and at once a second copy of it."""
        self.is_healthy = False
        before = dump(self.real)
        first = outcome(call.on(self.real))
        expected = outcome(call.on(self.model))
        assert first == expected, f"{call}\n{first}\n{expected}"
        after = self.compare(call, before)
        if not _changed_nothing(call, first):
            self.tell_history(call, first, before, after)
        else:
            assert _but_for_senders(before) == _but_for_senders(after), f"I18: {call}"
        if call.verb not in REPEATED_ON_PURPOSE and call.verb != "wait":
            second = outcome(call.on(self.real))
            assert second == outcome(call.on(self.model))
            again = self.compare(call, after)
            assert again == after, f"I17: {call}\n{after.difference(again)}"
            assert _same_news(first, second), f"I17: {call}: {first}, then {second}"
        if call.verb != "wait":
            self.sent.append(call)
        self.is_healthy = True
        return first

    def compare(self, call: Call, before: Dump) -> Dump:
        """The server holds what the model holds, and it is sound."""
        after = dump(self.real)
        expected = dump_of_model(self.model.space)
        assert after == expected, f"{call}\n{after.difference(expected)}"
        assert_sound(after, max_reaps=MAX_REAPS, keep_done=2)
        return after

    def tell_history(self, call: Call, answer: Any, before: Dump, after: Dump) -> None:
        if (
            call.verb == "enqueue"
            and isinstance(answer, Enqueued)
            and before.senders != after.senders
        ):
            jobs = call.args[2]
            new = self.history.enqueued(jobs, answer, call.rate, self.now_ms)
            self.history.line_grew_at_its_end(new, before, after)
        if call.verb == "step" and isinstance(answer, StepReply):
            (step,) = call.args
            self.history.stepped(step, answer, before, after)
            self.claims += (
                Granted(step.engine, claim.uid, step.n, claim.attempts) for claim in answer.claims
            )
        self.history.called(call.verb, before, after, self.now_ms)

    def new_job(self, data: st.DataObject) -> NewJob:
        self.made += 1
        uid = f"{self.made:032x}"
        queue, name = data.draw(queue_names), data.draw(job_names)
        size = data.draw(st.sampled_from([2, 2, 2, 250, 9000]))
        id = data.draw(ids)
        record = Record(uid, name, queue, b"{" + b" " * (size - 2) + b"}", id)
        stored, big = encode(record)
        return NewJob(uid, queue, stored, big, data.draw(delays_ms), id, data.draw(marks))

    def name_of(self, uid: str) -> str:
        return "strange" if b'"strange"' in self.history.bodies[uid].stored else "noop"

    def settlements(
        self, data: st.DataObject, engine: str, queues: tuple[str, ...]
    ) -> tuple[Settlement, ...]:
        """Of its own claims, old ones too, and now and then of another engine's."""
        if not self.claims:
            return ()
        mine = [claim for claim in self.claims if claim.engine == engine][-6:]
        whose = data.draw(st.sampled_from([mine] * 5 + [self.claims])) or self.claims
        chosen = data.draw(st.lists(st.sampled_from(whose), max_size=3), label="settle")
        made: list[Settlement] = []
        for claim in chosen:
            uid, n, tries = claim.uid, claim.n, claim.attempts + 1
            queue = self.history.bodies[uid].queue
            verbs = [
                Ack(uid, n, b'{"uid":"%s"}' % uid.encode()),
                Ack(uid, n),
                RetryAt(uid, n, data.draw(delays_ms), tries, LINE),
                RetryAt(uid, n, 1000, tries - 1),
                DeadLetter(uid, n, tries, "failures", LINE),
                Release(uid, n),
            ]
            if queue in queues:
                verbs.append(Park(uid, n, queue, self.name_of(uid)))
            made.append(data.draw(st.sampled_from(verbs)))
        return tuple(made)


def _changed_nothing(call: Call, answer: Any) -> bool:
    """Whether the answer says so (I18)."""
    match answer:
        case Gone() | ("TrioqBug", _):
            return True
        case False:
            return call.verb == "register"
        case StepReply(word="again") | Reaped("alive" | "gone"):
            return True
        case "running" | "dead" | "unknown" | (QueueFull.__name__, _):
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


@pytest.fixture(autouse=True)
def _a_server(shared_server: Server) -> None:
    StoreMachine.server = shared_server


TestStore = StoreMachine.TestCase
