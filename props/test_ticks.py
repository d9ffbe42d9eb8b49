"""Schedules: a tick fires once, whoever sees it, and each that came is accounted for."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from props.lockstep import Call, LockStep, as_test
from trioq.core.schedules.due import Misfire, due
from trioq.core.schedules.tick import Mark, Tick, Ticked
from trioq.core.schedules.when import Every, Once, When
from trioq.core.settlements import Ack, DeadLetter
from trioq.store.protocol import StoreOptions

pytestmark = pytest.mark.usefixtures("lockstep_server")

MINUTE = 60_000
GRACE = 20_000
NAMES = ("hourly", "nightly")
ENGINES = ("e.1", "e.2", "e.3")

names = st.sampled_from(NAMES)


class Ticks(LockStep):
    """Engines that see ticks come, sooner or later, and make them."""

    options: ClassVar[StoreOptions] = StoreOptions(
        keep_done=2, max_lengths={"low": 2}, when_full={"low": "reject"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.whens: dict[str, When] = {}
        self.seen: dict[tuple[str, str], tuple[bytes, int]] = {}
        """What an engine has seen a schedule say, and where."""
        self.fired = set[tuple[str, int]]()
        self.execute(Call("register", ("e.0", b"{}")))

    @rule(ms=st.sampled_from([GRACE, MINUTE, MINUTE, 3 * MINUTE]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(name=names, minutes=st.integers(1, 3), once=st.booleans())
    def put(self, name: str, minutes: int, once: bool) -> None:
        when = Once(self.now_ms + minutes * MINUTE) if once else Every(minutes * MINUTE)
        before = self.held.ticks.get(name)
        changed = self.write(
            "put_schedule", "s1", name, repr(when).encode(), when.after(self.now_ms)
        )
        if changed:
            self.whens[name] = when
            if before is not None and before <= self.now_ms:
                assert self.held.ticks[name] == before, "what has come stays"
                self.reached["put: a tick had come"] += 1

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.write("put_schedule", "s1", name, b"", None)
        self.whens.pop(name, None)

    @precondition(lambda self: self.fired)
    @rule(data=st.data())
    def data_is_rolled_back(self, data: st.DataObject) -> None:
        """As far as schedules go: one stands at a tick that it has fired."""
        name, tick = data.draw(st.sampled_from(sorted(self.fired)))
        self.write("put_schedule", "s1", name, b"", None)
        self.write("put_schedule", "s1", name, b"{}", tick)
        self.whens.setdefault(name, Every(MINUTE))

    @rule(engine=st.sampled_from(ENGINES), name=names)
    def see(self, engine: str, name: str) -> None:
        if name in self.held.ticks and name in self.whens:
            self.seen[engine, name] = self.held.schedules[name], self.held.ticks[name]

    @precondition(lambda self: self.seen)
    @rule(
        data=st.data(),
        misfire=st.sampled_from(["skip", "last", "all"]),
        alive_max=st.sampled_from([None, None, 0, 1]),
        looks=st.booleans(),
    )
    def make_it(
        self, data: st.DataObject, misfire: Misfire, alive_max: int | None, looks: bool
    ) -> None:
        engine, name = data.draw(st.sampled_from(sorted(self.seen)))
        if looks:
            self.see(engine, name)
        if name not in self.whens:
            return
        (row, seen), when = self.seen[engine, name], self.whens[name]
        found = due(when, seen, self.now_ms, misfire, GRACE)
        if found is None:
            return
        tick = found.fires[0] if found.fires else None
        marks = [
            Mark(each, "missed", self.now_ms - each)
            for each in found.misfired
            if tick is None or each < tick
        ]
        job, next_ms = None, found.next
        if tick is not None:
            job = self.make_job("low", id=f"schedule:{name}:{tick}")
            marks.append(Mark(tick, "fired", self.now_ms - tick, job.uid))
            next_ms = min(
                (t for t in (*found.fires, *found.misfired) if t > tick), default=found.next
            )
        move = Tick(name, row, seen, next_ms, tuple(marks[-20:]), alive_max)
        stood, says = self.held.ticks.get(name), self.held.schedules.get(name)
        answer = self.write("tick", engine, move, job)
        if answer == Ticked("ok"):
            assert (stood, says) == (seen, row)
            assert self.held.ticks.get(name) == next_ms
            if tick is not None:
                assert (name, tick) not in self.fired, "a tick fires once"
                self.fired.add((name, tick))
            self.reached["tick: passed over"] += bool(found.misfired)

    @precondition(lambda self: self.seen)
    @rule()
    def another_is_enqueued(self) -> None:
        """It may fill the queue, and a tick finds no room."""
        self.write("enqueue", "s1", (self.make_job("low"),))

    @rule(want=st.integers(0, 3), dies=st.booleans())
    def work(self, want: int, dies: bool) -> None:
        held = self.running()
        settlements: Any = tuple(
            DeadLetter(claim.uid, claim.n, 1, "failures", b"{}")
            if dies
            else Ack(claim.uid, claim.n)
            for claim in held
        )
        self.step("e.0", want, settlements)


TestTicks = as_test(
    Ticks,
    "tick: ok",
    "tick: known",
    "tick: moved",
    "tick: alive",
    "tick: QueueFull",
    "tick: passed over",
    "put: a tick had come",
    share=0.3,
)
