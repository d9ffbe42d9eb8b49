"""A machine of engines that share a breaker, over a network that loses and repeats.

The server and the specification of it take the same requests, and must answer and hold the same. No
more probes run than there may be, and when nothing more gets lost and all goes well it closes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.dump import dump, dump_of_model
from tests.support import Server
from trioq.core.breaker import Permit, Settings, Verdict
from trioq.core.calls import BreakerNews, BreakerSeen
from trioq.core.model.state import SharedBreaker as Shared
from trioq.core.shared_breaker import SharedBreaker
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions
from trioq.testing.machines.counting import Counting, meets


@pytest.fixture(autouse=True, scope="module")
def server() -> Iterator[None]:
    SharedBreakerMachine.server = Server().start()
    yield
    SharedBreakerMachine.server.close()


SETTINGS = Settings(0.5, 60.0, 30.0, min_samples=4)

verdicts = st.sampled_from(["success", "success", "failure", "ignored"])
hows = st.sampled_from(["answered", "answered", "answered", "lost", "late"])
places = st.integers(0, 2)


@attrs.define(eq=False)
class Someone:
    """An engine's boot, with the probes that run there."""

    boot: str
    breaker: SharedBreaker = attrs.field(factory=lambda: SharedBreaker(SETTINGS, "api"))
    probes: list[Permit] = attrs.field(factory=list[Permit])


class SharedBreakerMachine(Counting, RuleBasedStateMachine):
    server: ClassVar[Server]

    def __init__(self) -> None:
        super().__init__()
        self.server.call("FLUSHALL")
        self.now_ms = 1_764_000_000_000
        options = StoreOptions(clock_ms=lambda: self.now_ms)
        self.real = self.server.store(options=options)
        self.model = MemoryStore(options)
        self.writes = 0
        self.boots = 0
        self.late: list[tuple[str, BreakerNews]] = []
        self.here = [self.started() for _ in range(3)]

    @property
    def now(self) -> float:
        return self.now_ms / 1000

    @property
    def there(self) -> Shared:
        return self.model.space.breakers.get("api") or Shared()

    def started(self) -> Someone:
        self.boots += 1
        boot = f"e.{self.boots}"
        for store in (self.real, self.model):
            assert store.register(boot, b"{}")
        return Someone(boot)

    def executed(self, boot: str, news: BreakerNews) -> BreakerSeen:
        before = self.there.state
        (answer,) = self.model.breakers(boot, [news])
        assert self.real.breakers(boot, [news]) == [answer]
        assert dump(self.real).breakers == dump_of_model(self.model.space).breakers
        if (after := self.there.state) != before:
            self.reached[f"it turns {after}"] += 1
        return answer

    def talk(self, who: Someone, how: str = "answered") -> None:
        news = who.breaker.news(self.now)
        self.late.append((who.boot, news))
        if how == "late":
            return
        answer = self.executed(who.boot, news)
        if how == "answered":
            who.breaker.heard(news, answer, self.now)

    @rule(n=places, how=hows)
    def talks(self, n: int, how: str) -> None:
        self.talk(self.here[n], how)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_copy_comes_late(self, data: st.DataObject) -> None:
        boot, news = data.draw(st.sampled_from(self.late[-8:]))
        self.executed(boot, news)

    @rule(n=places, verdict=verdicts, count=st.integers(1, 3))
    def runs_jobs(self, n: int, verdict: Verdict, count: int) -> None:
        """As far as it is closed; else one may be a probe."""
        breaker = self.here[n].breaker
        for _ in range(count):
            permit = breaker.admit(self.now)
            if permit is None:
                return
            if permit.is_probe:
                self.here[n].probes.append(permit)
                self.reached["a probe runs"] += 1
            else:
                breaker.record(permit, verdict, self.now)

    @rule(n=places)
    def it_has_failed_and_is_half_open(self, n: int) -> None:
        """And an engine wants a probe."""
        who = self.here[n]
        self.talk(who)
        if who.breaker.last_state == "closed":
            self.runs_jobs(n, "failure", 20)
            self.talk(who)
        self.now_ms += 31_000
        self.talk(who)
        self.runs_jobs(n, "success", 1)
        self.talk(who)
        self.runs_jobs(n, "success", 1)

    @rule(n=places, verdict=verdicts)
    def a_probe_ends(self, n: int, verdict: Verdict) -> None:
        who = self.here[n]
        if who.probes:
            who.breaker.record(who.probes.pop(0), verdict, self.now)

    @rule(ms=st.sampled_from([1, 500, 1_500, 29_000, 31_000, 61_000]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(n=places, dies=st.booleans())
    def an_engine_goes(self, n: int, dies: bool) -> None:
        """And another comes."""
        who = self.here[n]
        for store in (self.real, self.model):
            if dies:
                store.reap(who.boot, store.observe()[who.boot], 3)
            else:
                store.sign_off(who.boot)
        self.reached["its probe goes with it"] += bool(who.probes)
        self.here[n] = self.started()

    @rule(n=places)
    def an_engine_begins_a_new_boot(self, n: int) -> None:
        """Its runs have ended, and it goes on with the breaker that it has."""
        who = self.here[n]
        for store in (self.real, self.model):
            store.sign_off(who.boot)
        for permit in who.probes:
            who.breaker.record(permit, "ignored", self.now)
        fresh = self.started()
        who.breaker.begin()
        self.here[n] = Someone(fresh.boot, who.breaker)

    @rule()
    def somebody_resets_it(self) -> None:
        self.writes += 1
        was = self.model.reset_breaker("s", self.writes, "api")
        assert self.real.reset_breaker("s", self.writes, "api") == was
        assert dump(self.real).breakers == dump_of_model(self.model.space).breakers

    @invariant()
    def no_more_probes_run_than_may(self) -> None:
        there = self.there
        if there.state == "half_open":
            of_now = (who for who in self.here if who.breaker.turn == there.turn)
            running = sum(
                permit.generation == who.breaker.generation
                for who in of_now
                for permit in who.probes
            )
            assert running <= 1 + there.good

    def teardown(self) -> None:
        """When all goes well from now on it closes, and everybody knows."""
        for _ in range(60):
            for who in self.here * 3:  # who asks is granted one, and tells how it went
                self.talk(who)
                while (permit := who.breaker.admit(self.now)) is not None and permit.is_probe:
                    who.probes.append(permit)
                while who.probes:
                    who.breaker.record(who.probes.pop(), "success", self.now)
            if {who.breaker.last_state for who in self.here} == {"closed"}:
                break
            self.now_ms += 2_000
        else:
            raise AssertionError(f"it stays {self.there}")
        self.real.close()


TestSharedBreaker = meets(
    SharedBreakerMachine,
    "it turns open", "it turns half_open", "it turns closed", "a probe runs",
    "its probe goes with it",
)  # fmt: skip
