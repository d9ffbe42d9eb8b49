"""Who is silent for a lease loses its jobs, and nobody else; who died with a job is blamed once.

Several engines, several reapers with the :class:`~trioq.core.watch.Watch` that the product has,
and a real server. Engines die, or sleep and come back as zombies; reapers are cut off; the
server is away; the whole machine sleeps; reaps arrive late. An engine had its chance only while
it could have been heard: a lease counts from the end of the last trouble.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from props.lockstep import MAX_REAPS, Call, Granted, LockStep, as_test, queue_names
from tests.dump import Dump, Waiting
from trioq.core.calls import Gone
from trioq.core.settlements import Ack
from trioq.core.watch import MAX_GAP, MIN_POLLS, Watch

LEASE_S, HEARTBEAT_S, INTERVAL_S = 8, 2, 1

pytestmark = pytest.mark.usefixtures("lockstep_server")

seconds = st.sampled_from([0, 1, 2, 5, LEASE_S + 1])


def _signs(dump: Dump, engine: str) -> tuple[int | None, tuple[Any, ...]]:
    return dump.beats.get(engine), dump.steps.get(engine, ())[:1]


@attrs.define
class Process:
    """An engine: ``awake``, ``asleep``, ``dead``, or ``gone`` since it was told so."""

    state: str = "awake"
    unsettled: list[Granted] = attrs.field(factory=list[Granted])
    """What it believes to hold."""

    @property
    def suspect(self) -> bool:
        """Whether one of its next claims may be a suspect."""
        return not any(claim.suspect for claim in self.unsettled)


@attrs.define
class Reaper:
    """One engine's view of the others."""

    watch: Watch = attrs.field(factory=lambda: Watch(LEASE_S, INTERVAL_S))
    connection: int = 1


@attrs.frozen
class Decision:
    """A reap that is under way."""

    engine: str
    seen: int


class LeasesMachine(LockStep):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000
        self.calm_since = self.now
        """Since when everybody who lives could have been heard, and has been listened to."""
        self.signs: dict[str, int] = {}
        """When each engine was heard."""
        self.crashes: dict[str, int] = {}
        self.processes: dict[str, Process] = {}
        self.reapers = [Reaper(), Reaper()]
        self.decisions: list[Decision] = []
        self.ticks = 0
        self.names = map("e.{}".format, count(1))

    @initialize(jobs=st.integers(1, 4))
    def begin(self, jobs: int) -> None:
        self.start()
        self.start()
        self.enqueue("low", jobs)

    # -- life ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.held.jobs) < 10)
    @rule(queue=queue_names, many=st.integers(1, 3))
    def enqueue(self, queue: str, many: int) -> None:
        jobs = tuple(self.make_job(queue) for _ in range(many))
        self.write("enqueue", "s1", jobs)

    @precondition(lambda self: len(self.held.steps) < 4)
    @rule()
    def start(self) -> None:
        name = next(self.names)
        self.processes[name] = Process()
        self.execute(Call("register", (name, b"{}")))

    @precondition(lambda self: self.those("awake"))
    @rule(data=st.data(), want=st.sampled_from([1, 1, 2, 3]), settles=st.booleans())
    def work(self, data: st.DataObject, want: int, settles: bool) -> None:
        """A step, by somebody who is awake, and so has lost nothing that it holds."""
        name = data.draw(st.sampled_from(self.those("awake")))
        reply = self.make_step(name, want, settles=settles)
        assert not isinstance(reply, Gone)
        assert not reply.refused

    @rule(for_s=seconds, slow=st.booleans())
    def life_goes_on(self, for_s: int, slow: bool) -> None:
        """Whoever is awake beats now and then, and the reapers look more often.

        Args:
          slow: What they decide to do is under way for long.
        """
        for _ in range(for_s):
            self.pass_time(INTERVAL_S)
            for reaper in self.reapers:
                self.look(reaper)
            if not slow:
                self.reaps_arrive()
            self.ticks += 1
            if self.ticks % HEARTBEAT_S == 0:
                self.beat_all()

    @rule()
    def who_is_silent_is_found(self) -> None:
        """In a lease and a few looks, by any reaper; and who is awake is left alone."""
        silent = set(self.held.steps) - set(self.those("awake"))
        self.life_goes_on(LEASE_S + MIN_POLLS * INTERVAL_S, slow=False)
        assert not silent & self.held.steps.keys()
        assert self.held.steps.keys() == set(self.those("awake"))

    # -- trouble -------------------------------------------------------------------------------

    @precondition(lambda self: self.those("awake"))
    @rule(data=st.data(), want=st.integers(0, 2), for_s=seconds, slow=st.booleans())
    def die(self, data: st.DataObject, want: int, for_s: int, slow: bool) -> None:
        name = self.somebody_works(data, want)
        self.processes[name].state = "dead"
        self.life_goes_on(for_s, slow)

    @rule(times=st.integers(1, MAX_REAPS), want=st.sampled_from([1, 1, 2]))
    def whoever_works_dies(self, times: int, want: int) -> None:
        """One after the other, of what it claims; a job that ends engines is dead in the end."""
        for _ in range(times):
            if not self.those("awake"):
                self.start()
            name = self.those("awake")[0]
            self.make_step(name, want, settles=False)
            self.processes[name].state = "dead"
            self.who_is_silent_is_found()

    @precondition(lambda self: self.those("awake"))
    @rule(data=st.data(), want=st.integers(0, 2), for_s=seconds, slow=st.booleans())
    def fall_asleep(self, data: st.DataObject, want: int, for_s: int, slow: bool) -> None:
        """And wake, and settle what it believes to hold: all of that counts, or nothing does."""
        name = self.somebody_works(data, want)
        process = self.processes[name]
        process.state = "asleep"
        self.life_goes_on(for_s, slow)
        was_reaped, before = name not in self.held.steps, self.held
        reply = self.make_step(name, 0, settles=True)
        if was_reaped:
            assert isinstance(reply, Gone)
            assert self.held == before
        else:
            assert not reply.refused
        process.state = "gone" if was_reaped else "awake"

    @rule(for_s=st.sampled_from([1, MAX_GAP * INTERVAL_S, 3 * LEASE_S]), times=st.integers(1, 6))
    def the_server_is_away(self, for_s: int, times: int) -> None:
        """Nobody can be heard, and every connection ends. Then reapers may be first to look."""
        for _ in range(times):
            self.pass_time(for_s)
            self.calm_since = self.now
            for reaper in self.reapers:
                reaper.connection += 1
                self.look(reaper)

    @rule(for_s=st.sampled_from([MAX_GAP * INTERVAL_S + 1, LEASE_S, 3 * LEASE_S]))
    def the_machine_sleeps(self, for_s: int) -> None:
        """A laptop's lid is closed: connections stay, and nobody has acted."""
        self.pass_time(for_s)
        self.calm_since = self.now
        for reaper in self.reapers:
            self.look(reaper)

    @rule(which=st.integers(0, 1), for_s=seconds)
    def a_reaper_is_cut_off(self, which: int, for_s: int) -> None:
        """The others go on. It has missed signs of life, and knows that."""
        deaf = self.reapers.pop(which)
        self.life_goes_on(for_s, slow=False)
        self.reapers.insert(which, deaf)
        deaf.connection += 1

    @precondition(lambda self: self.decisions)
    @rule()
    def reaps_arrive(self) -> None:
        """However late: who has shown a sign of life since is alive."""
        for queue in sorted(self.held.bells):  # idle engines have heard what rang before
            self.execute(Call("wait", ([queue], 0.001)))
        while self.decisions:
            decision = self.decisions.pop()
            self.execute(Call("reap", (decision.engine, decision.seen, MAX_REAPS)))
            for reaper in self.reapers:
                reaper.watch.forget(decision.engine)

    # -- promises ------------------------------------------------------------------------------

    @invariant()
    def one_suspect_at_a_time(self) -> None:
        for held in self.held.running.values():
            assert sum(hold.suspect for hold in held.values()) <= 1

    @invariant()
    def blamed_as_often_as_it_died_with_an_engine(self) -> None:
        for uid in self.held.jobs:
            crashes = self.crashes.get(uid, 0)
            assert self.held.reaps.get(uid, 0) == crashes
            assert (uid in self.held.dead) == (crashes == MAX_REAPS)

    def everything_gets_done(self) -> None:
        self.who_is_silent_is_found()
        super().everything_gets_done()

    # -- how it is done ------------------------------------------------------------------------

    def those(self, state: str) -> list[str]:
        return [name for name, process in self.processes.items() if process.state == state]

    def somebody_works(self, data: st.DataObject, want: int) -> str:
        """Who is in the midst of something, if anybody is."""
        holding = [name for name in self.those("awake") if self.processes[name].unsettled]
        name: str = data.draw(st.sampled_from(holding or self.those("awake")))
        if want:
            self.make_step(name, want, settles=False)
        return name

    def pass_time(self, s: int) -> None:
        self.now += s
        self.now_ms += s * 1000

    def make_step(self, name: str, want: int, *, settles: bool) -> Any:
        process, before = self.processes[name], len(self.claims)
        ends = process.unsettled if settles else []
        acks = tuple(Ack(claim.uid, claim.n) for claim in ends)
        boot = self.held.steps.get(name)
        n = boot[0] + 1 if boot else 1 + max((claim.n for claim in ends), default=1)
        suspect = process.suspect or (settles and bool(ends))
        reply = self.step(name, want, acks, suspect=suspect, number=n)
        if settles:
            process.unsettled = []
        process.unsettled += self.claims[before:]
        return reply

    def beat_all(self) -> None:
        """Heartbeats, which change so little that they are compared together."""
        for name in self.those("awake"):
            answer = self.real.beat(name)
            assert answer == self.model.beat(name)
            assert not isinstance(answer, Gone), "somebody who lives was reaped"
        before = self.held
        self.note_signs(before, self.compare(Call("beat", ())))

    def look(self, reaper: Reaper) -> None:
        """What it decides about each engine, that engine has deserved."""
        seen = self.real.observe()
        for engine, counter in reaper.watch.saw(self.now, seen, reaper.connection):
            silent_since = max(self.signs[engine], self.calm_since)
            assert self.now - silent_since >= LEASE_S
            self.decisions.append(Decision(engine, counter))

    def execute(self, call: Call) -> Any:
        before = self.held
        answer = super().execute(call)
        self.note_signs(before, self.held)
        if call.verb == "reap" and before.steps.keys() != self.held.steps.keys():
            self.was_reaped(call.args[0], before)
        return answer

    def note_signs(self, before: Dump, after: Dump) -> None:
        for name in after.beats:
            if _signs(after, name) != _signs(before, name):
                self.signs[name] = self.now

    def was_reaped(self, engine: str, before: Dump) -> None:
        """Its jobs are suspects, before all others and in the order of their claims."""
        assert self.now - self.signs[engine] >= LEASE_S
        held = before.running.get(engine, {})
        for uid, hold in held.items():
            is_blamed = hold.suspect or len(held) == 1
            self.crashes[uid] = self.crashes.get(uid, 0) + is_blamed
            self.reached["blamed" if is_blamed else "spared"] += 1
        order = sorted(held, key=lambda uid: (held[uid].step, held[uid].i))
        back = [uid for uid in order if self.crashes[uid] < MAX_REAPS]
        for queue in before.queues.keys() | {hold.queue for hold in held.values()}:
            mine = tuple(uid for uid in back if held[uid].queue == queue)
            was = before.queues.get(queue, Waiting())
            now = self.held.queues.get(queue, Waiting())
            assert now == attrs.evolve(was, suspects=mine + was.suspects)
            assert queue in self.held.bells or not mine, "nobody is told"


TestLeases = as_test(
    LeasesMachine,
    "blamed", "spared", "reap: kills", "reap: reaped", "reap: alive", "reap: gone",
    "step: gone", "step: claims a suspect",
    share=0.2,
)  # fmt: skip
