"""Engines beat, stop, leave; a reaper looks, is cut off, connects anew. Nobody living is reaped.

Time passes in quarters of a second, so that its sums are exact.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from trioq.core.watch import FULL_LOOK_EVERY, MAX_GAP, MIN_POLLS, Watch, look, next_three
from trioq.testing.machines.counting import Counting, meets

ME = "e5"


class WatchMachine(Counting, RuleBasedStateMachine):
    @initialize(lease_s=st.sampled_from([3.0, 5.0, 12.0]), others=st.integers(0, 8))
    def begin(self, lease_s: float, others: int) -> None:
        self.lease_s, self.interval_s = lease_s, 1.0
        self.watch = Watch(lease_s, self.interval_s)
        self.now = 1000.0
        self.connection = 1
        self.engines = {ME: 0}
        self.moved_at = {ME: self.now}
        self.polls: list[float] = []  # since the reaper was last cut off
        self.number = 0
        for _ in range(others):
            self.register()

    @rule()
    def register(self) -> None:
        """A name is never used again: it ends in the boot."""
        name = f"e{len(self.moved_at) % 10}.{len(self.moved_at)}"
        self.engines[name] = 0
        self.moved_at[name] = self.now

    @precondition(lambda self: len(self.engines) > 1)
    @rule(data=st.data(), beats=st.integers(1, 3))
    def beat(self, data: st.DataObject, beats: int) -> None:
        engine = data.draw(st.sampled_from(sorted(self.engines)))
        self.reached["moved in time"] += self.now - self.moved_at[engine] < self.lease_s
        self.engines[engine] += beats
        self.moved_at[engine] = self.now

    @precondition(lambda self: len(self.engines) > 1)
    @rule(data=st.data())
    def sign_off(self, data: st.DataObject) -> None:
        del self.engines[data.draw(st.sampled_from(sorted(self.engines.keys() - {ME})))]

    @rule(quarters=st.integers(1, 9))
    def let_time_pass(self, quarters: int) -> None:
        self.now += quarters / 4

    @rule()
    def be_cut_off_for_long(self) -> None:
        self.now += 10 * self.lease_s

    @rule()
    def connect_anew(self) -> None:
        self.reached["another connection"] += bool(self.polls)
        self.connection += 1
        self.polls.clear()

    @rule(at_all=st.booleans())
    def poll(self, at_all: bool) -> None:
        self.look(at_all)

    @rule(polls=st.integers(1, 15))
    def poll_on_time(self, polls: int) -> None:
        for _ in range(polls):
            self.now += self.interval_s
            self.look(look(self.number))

    @rule()
    def watch_the_dead(self) -> None:
        """Who doesn't move is found in time, those nearby and those far away."""
        still, near = self.engines.keys() - {ME}, set(next_three(ME, self.engines))
        found: set[str] = set()
        soon = int(self.lease_s / self.interval_s) + MIN_POLLS
        for poll in range(soon + 2 * FULL_LOOK_EVERY):
            self.now += self.interval_s
            found |= self.look(look(self.number))
            if poll >= soon:
                assert found >= near
        assert found == still
        assert self.watch._boots.keys() == still

    def look(self, at_all: bool) -> set[str]:
        """One poll; checks that each engine it finds dead has a right to be."""
        if self.polls and self.now - self.polls[-1] > MAX_GAP * self.interval_s:
            self.polls.clear()
            self.reached["cut off"] += 1
        self.polls.append(self.now)
        self.number += 1
        wanted = self.engines.keys() - {ME} if at_all else next_three(ME, self.engines)
        seen = {engine: self.engines[engine] for engine in wanted}
        self.reached["left out of a look"] += len(self.engines) - 1 > len(seen)
        dead = self.watch.saw(self.now, seen, self.connection)
        for engine, counter in dead:
            assert counter == self.engines[engine]
            assert self.now - self.moved_at[engine] >= self.lease_s
            assert self.now - self.polls[0] >= self.lease_s
            assert len(self.polls) >= MIN_POLLS
        self.reached["dead"] += len(dead)
        return {engine for engine, _ in dead}


TestWatch = meets(
    WatchMachine, "dead", "moved in time", "cut off", "another connection", "left out of a look"
)
