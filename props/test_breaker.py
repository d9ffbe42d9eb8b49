"""A machine that uses a breaker as engines do, and as engines that lose permits do.

Beside the breaker it keeps a model: a plain list of results, and a ledger of permits.
"""

from __future__ import annotations

import copy
import math

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from trioq.core.breaker import (
    BUCKETS,
    UNLIMITED,
    Breaker,
    Change,
    Permit,
    Settings,
    State,
    Verdict,
)
from trioq.testing.machines.counting import Counting, meets

CHANGES = {
    ("closed", "open"),
    ("open", "half_open"),
    ("half_open", "closed"),
    ("half_open", "open"),
}

steps_s = st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0, 3.0, 10.0, 100.0]) | st.floats(0, 20)
verdicts = st.sampled_from(["success", "failure", "failure", "ignored"])
all_settings = st.builds(
    Settings,
    failure_threshold=st.sampled_from([0.05, 0.3, 0.5, 0.55, 1.0]),
    window_s=st.sampled_from([0.5, 6.0, 7.3]),
    cooldown_s=st.sampled_from([0.0, 1.0, 5.0]),
    min_samples=st.integers(1, 5),
    probe_lease_s=st.sampled_from([0.2, 2.0]),
)


class BreakerMachine(Counting, RuleBasedStateMachine):
    @initialize(settings=all_settings, now=st.floats(-1e3, 1e6))
    def begin(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.breaker = Breaker(settings)
        self.now = now
        self.state: State = "closed"
        self.held: list[tuple[Permit, float, int]] = []
        self.dropped: list[tuple[Permit, float, int]] = []
        self.changes = 0
        self.opened_at = now
        self.results: list[tuple[int, bool]] = []
        self.probed: list[bool] = []
        self.ledger = {"admitted": 0, "success": 0, "failure": 0, "ignored": 0}

    def told(self, change: Change | None) -> None:
        """Note a change; it must be one that there is, from where the breaker was."""
        if change is None:
            return
        assert change.before == self.state
        assert (change.before, change.after) in CHANGES
        assert change.at == self.now
        if change.after == "half_open":
            assert self.now >= self.opened_at + self.settings.cooldown_s
        if change.after == "open":
            self.opened_at = self.now
        self.reached[f"{change.before} to {change.after}"] += 1
        self.state = change.after
        self.changes += 1
        self.results.clear()
        self.probed.clear()

    def live_probes(self) -> int:
        return sum(
            permit.is_probe
            and changes == self.changes
            and self.now < admitted_at + self.settings.probe_lease_s
            for permit, admitted_at, changes in self.held + self.dropped
        )

    @rule(dt=steps_s)
    def let_time_pass(self, dt: float) -> None:
        self.now += dt

    @rule()
    def poll(self) -> None:
        self.told(self.breaker.poll(self.now))
        assert self.breaker.poll(self.now) is None

    @rule()
    def admit(self) -> None:
        self.told(self.breaker.poll(self.now))
        room, live = self.breaker.room(self.now), self.live_probes()
        permit = self.breaker.admit(self.now)
        assert (permit is not None) == (room > 0)
        assert self.breaker.state(self.now) == self.state
        if self.state == "open":
            assert permit is None
        if self.state == "closed":
            assert room == UNLIMITED
            assert permit is not None
            assert not permit.is_probe
        if self.state == "half_open":
            assert room == max(0, 1 + sum(self.probed) - live)
            self.reached["several probes at a time"] += permit is not None and live > 0
        if permit is not None:
            self.ledger["admitted"] += 1
            self.held.append((permit, self.now, self.changes))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), verdict=verdicts)
    def finish(self, data: st.DataObject, verdict: Verdict) -> None:
        permit, _, changes = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        is_late = changes != self.changes
        before = (self.breaker.state(self.now), self.breaker.room(self.now))
        change = self.breaker.record(permit, verdict, self.now)
        self.ledger[verdict] += 1
        if is_late:
            self.reached["a late result"] += 1
            assert change is None
            assert before == (self.breaker.state(self.now), self.breaker.room(self.now))
        else:
            self.check_change(change, permit, verdict)
        self.told(change)

    def check_change(self, change: Change | None, permit: Permit, verdict: Verdict) -> None:
        """A result that counts changes what the model says."""
        if verdict == "ignored":
            self.reached["a probe proves nothing"] += permit.is_probe
            assert change is None
            return
        if permit.is_probe:
            self.probed.append(verdict == "success")
            good, total = sum(self.probed), len(self.probed)
            is_proven = total >= self.settings.min_samples
            is_bad = (total - good) / total >= self.settings.failure_threshold
            after = None if change is None else change.after
            if is_proven or good == 0:
                assert after == ("open" if good == 0 or is_bad else "closed")
            else:
                assert after is None
            return
        slot = math.floor(self.now / self.settings.window_s * BUCKETS)
        self.results.append((slot, verdict == "failure"))
        inside = [failed for s, failed in self.results if s > slot - BUCKETS]
        too_bad = (
            len(inside) >= self.settings.min_samples
            and sum(inside) / len(inside) >= self.settings.failure_threshold
        )
        assert (change is not None) == too_bad

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """The holder vanishes: nobody will ever give this permit back."""
        self.reached["a permit is lost"] += 1
        self.dropped.append(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @invariant()
    def open_never_admits(self) -> None:
        if self.breaker.state(self.now) == "open":
            assert copy.deepcopy(self.breaker).admit(self.now) is None

    @invariant()
    def no_more_probes_live_than_good_ones_have_made_room_for(self) -> None:
        assert self.live_probes() <= 1 + sum(self.probed)

    @invariant()
    def every_permit_is_accounted_for(self) -> None:
        ended = sum(self.ledger[verdict] for verdict in ("success", "failure", "ignored"))
        assert self.ledger["admitted"] == ended + len(self.held) + len(self.dropped)

    @invariant()
    def no_state_is_for_ever(self) -> None:
        """Whoever asks again after cool-down and probe lease gets in, and can close it."""
        other, later = copy.deepcopy(self.breaker), self.now
        for _ in range(2 * self.settings.min_samples):  # what is bad already may open it once more
            later += self.settings.cooldown_s + self.settings.probe_lease_s
            later += abs(later) * 1e-12 + 1e-9
            permit = other.admit(later)
            assert permit is not None
            other.record(permit, "success", later)
        assert other.state(later) == "closed"

    @invariant()
    def it_is_known_when_an_open_breaker_admits(self) -> None:
        at = self.breaker.reopens_at(self.now)
        assert (at is None) == (self.state != "open")
        if at is not None:
            assert at == max(self.now, self.opened_at + self.settings.cooldown_s)
            assert self.breaker.state(at) == "half_open"


TestBreaker = meets(
    BreakerMachine,
    *(f"{before} to {after}" for before, after in CHANGES),
    "a probe proves nothing", "several probes at a time", "a permit is lost", "a late result",
)  # fmt: skip
