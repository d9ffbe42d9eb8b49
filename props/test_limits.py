"""Limits hold, whatever is asked of the store and however often; and who waits for one comes on.

In words of its own: at no moment do more claims hold a take than its limit admits, nor have more
starts been made in any time than its rate does, nor any while it rests; whoever is refused waits by
its age; and when all that runs has ended, everybody starts.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from props.lockstep import LINE, MAX_REAPS, QUEUES, Call, Granted, LockStep, as_test, queue_names
from trioq.core.calls import Admit, Pausing, Step, StepReply, Unwanted
from trioq.core.fair import FairKey
from trioq.core.formats.pause import is_take, of_take
from trioq.core.limits import LimitSettings
from trioq.core.settlements import (
    Ack,
    Cancel,
    DeadLetter,
    Deliver,
    Park,
    Release,
    RetryAt,
    Settlement,
)
from trioq.store.protocol import StoreOptions

pytestmark = pytest.mark.usefixtures("lockstep_server")

TAKES = [("all",), ("all", "key:1"), ("key:1",), ("key:2", "all"), ("rate",), ("rate",), ()]
TAKES += [("rate", "all"), ("unknown",)]
SETTINGS = {
    "all": st.builds(LimitSettings, concurrency=st.sampled_from([1, 1, 2, 3])),
    "key": st.builds(LimitSettings, concurrency=st.sampled_from([1, 1, 2]), keyed=st.just(True)),
    # Of values of its key.
    "key:1": st.builds(LimitSettings, concurrency=st.sampled_from([0, 1, 2, 3])),
    "key:2": st.builds(
        LimitSettings,
        interval_us=st.sampled_from([0, 900_000]),
        concurrency=st.sampled_from([1, 2]),
    ),
    "rate": st.builds(
        LimitSettings,
        interval_us=st.sampled_from([1_500_000, 700_500]),
        burst=st.sampled_from([1, 2]),
        concurrency=st.sampled_from([0, 0, 1]),
    ),
}


class Limits(LockStep):
    """Few jobs, few slots, several queues and engines."""

    options = StoreOptions(
        keep_done=2, pack_max=3, claim_bytes=700, many_queues=1,
        max_lengths={"low": 9}, when_full={"low": "drop_oldest"},
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.engines: list[str] = []
        self.version = 0
        self.starts = dict[tuple[str, int], list[int]]()
        """Of each take with a rate, by the version of that, the times at which it was started."""
        self.rests = dict[str, int]()
        """Takes that somebody has let rest, and until when."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.set_limits(data)
        for _ in range(2):
            self.register()
        for queue in QUEUES:
            jobs = [self.make_job(queue, takes=takes) for takes in TAKES]
            self.write("enqueue", "s1", tuple(jobs))
        first, second = self.engines
        self.step(first, 4)
        self.step(second, 4)

    @precondition(lambda self: len(self.engines) < 4)
    @rule()
    def register(self) -> None:
        self.engines.append(f"e.{len(self.engines)}")
        self.execute(Call("register", (self.engines[-1], b"{}")))

    @rule(data=st.data(), queue=queue_names, sender=st.sampled_from(["s1", "s2"]))
    def enqueue(self, data: st.DataObject, queue: str, sender: str) -> None:
        takes = data.draw(st.lists(st.sampled_from(TAKES), min_size=1, max_size=6))
        padding = b"{" + b" " * data.draw(st.sampled_from([0, 0, 300])) + b"}"
        fair = data.draw(st.sampled_from([None, None, FairKey('"a"'), FairKey('"b"', 2.0)]))
        jobs = [self.make_job(queue, payload=padding, takes=each, fair=fair) for each in takes]
        self.write("enqueue", sender, tuple(jobs))

    @rule(data=st.data())
    def set_limits(self, data: st.DataObject) -> None:
        names = data.draw(st.sets(st.sampled_from(sorted(SETTINGS)), min_size=1), label="limits")
        settings = {name: data.draw(SETTINGS[name], label=name) for name in sorted(names)}
        self.version = max(0, self.version + data.draw(st.sampled_from([1, 1, 1, 0, -1])))
        newer = self.execute(Call("set_limits", (settings, self.version)))
        after = self.model.space.flow.settings.keys()
        self.reached["set_limits: an older one"] += bool(newer)
        self.reached["set_limits: a value has its own"] += bool(after & {"key:1", "key:2"})

    @rule(data=st.data(), told=st.sets(st.sampled_from(["all", "key", "rate"])))
    def declare(self, data: st.DataObject, told: set[str]) -> None:
        """An engine of some deployment, or one that is gone."""
        engine = data.draw(st.sampled_from(self.engines), label="engine")
        settings = {name: data.draw(SETTINGS[name], label=name) for name in sorted(told)}
        known = dict(self.model.space.flow.deployed.known)
        held = dict(self.model.space.flow.settings)
        is_known = self.execute(Call("declare_limits", (engine, settings)))
        flow = self.model.space.flow
        self.version = max(self.version, *(version for version, _ in flow.settings.values()))
        self.reached["declare: by one that is gone"] += not is_known
        for name in known.keys() | flow.deployed.known.keys():
            before, after = known.get(name, ()), flow.deployed.known.get(name, ())
            self.reached["declare: a limit is over"] += not after
            self.reached["declare: an older one again"] += 0 < len(after) < len(before)
            self.reached["declare: another one holds"] += len(after) > 1
        values = {take for take in held if ":" in take} - flow.settings.keys()
        self.reached["declare: what was set for a value is over"] += bool(values)

    @precondition(lambda self: self.model.space.boots)
    @rule(
        data=st.data(),
        queues=st.sampled_from([QUEUES, ("low", "high"), ("low",), ("high",)]),
        want=st.sampled_from([0, 1, 1, 2, 4]),
        suspect=st.booleans(),
    )
    def make_a_step(
        self, data: st.DataObject, queues: tuple[str, ...], want: int, suspect: bool
    ) -> None:
        space = self.model.space
        engine = data.draw(st.sampled_from(list(space.boots)), label="engine")
        mine = [claim for claim in self.running() if claim.engine == engine]
        ended = data.draw(st.lists(st.sampled_from(mine), max_size=4)) if mine else []
        settlements = tuple(self.draw_end(data, claim, queues) for claim in ended)
        doors = [Admit(*door, 2) for door in space.doors() if door[0] in queues]
        admits = tuple(door for door in doors if data.draw(st.booleans()))
        number = space.boots[engine].last + 1
        self.execute(
            Call(
                "step",
                (Step(engine, number, want, queues, suspect, admits, settlements),),
            )
        )

    def draw_end(self, data: st.DataObject, claim: Granted, queues: tuple[str, ...]) -> Settlement:
        uid, n = claim.uid, claim.n
        queue = self.history.bodies[uid].queue
        ways: list[Settlement] = [
            Ack(uid, n, b"{}"),
            Ack(uid, n, b"{}"),
            Release(uid, n),
            *(
                Release(uid, n, take, ms)
                for take in self.held.took.get(uid, ())
                for ms in (0, 1000, 9000)
            ),
            RetryAt(uid, n, 0, 1, LINE),
            RetryAt(uid, n, 1000, 1, LINE),
            DeadLetter(uid, n, 1, "failures", LINE),
            Deliver(uid, n, 1000, "done", b"5"),
            Cancel(uid, n, b"{}"),
        ]
        ways += [Park(uid, n, queue, "noop")] if queue in queues else []
        # Whoever claimed it finds out what nobody had told.
        has = self.model.space.jobs[uid].takes
        ways += [Release(uid, n, takes=(*has, *more)) for more in TAKES if {*has}.isdisjoint(more)]
        return data.draw(st.sampled_from(ways), label="end")

    @precondition(lambda self: self.model.space.boots)
    @rule(data=st.data(), how=st.sampled_from(["reap", "reap", "sign_off"]))
    def an_engine_is_gone(self, data: st.DataObject, how: str) -> None:
        engine = data.draw(st.sampled_from(list(self.model.space.boots)), label="engine")
        seen = self.model.space.boots[engine].signs
        self.execute(Call(how, (engine, seen, MAX_REAPS) if how == "reap" else (engine,)))

    @precondition(lambda self: self.model.space.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        waiting = [uid for uids in self.model.space.flow.rooms.values() for uid in uids]
        uid = data.draw(st.sampled_from(sorted(waiting or self.model.space.jobs)))
        self.reached["cancel: in a room"] += bool(waiting)
        wish = Unwanted(uid, self.history.bodies[uid].queue, "noop", b"{}")
        self.write("cancel", "s1", (wish,))

    @precondition(lambda self: self.model.space.dead)
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.model.space.dead)))
        self.write("revive", "s2", ((uid, self.history.bodies[uid].queue),))

    @rule(
        queue=queue_names,
        what=st.sampled_from(["pause", "resume", "resume", "forget", "purge"]),
        limit=st.sampled_from([1, 2, 100]),
    )
    def operate(self, queue: str, what: str, limit: int) -> None:
        if what == "purge":
            self.write("purge", "s1", queue, ("noop",), limit)
        elif what == "forget":
            self.execute(Call("forget_queues", ((queue,),)))
        else:
            self.write("pause", "s2", queue, what == "pause")

    @rule(
        take=st.sampled_from(["key:1", "key:2", "all", "unknown"]),
        pauses=st.booleans(),
        ms=st.sampled_from([0, 0, 700, 3000]),
    )
    def pause_a_key(self, take: str, pauses: bool, ms: int) -> None:
        waited_for = any(room[1] == take for room in self.model.space.flow.rooms)
        was_paused = take in self.model.space.flow.paused
        self.write("pause", "s2", of_take(take), pauses, Pausing(for_ms=ms))
        self.reached["pause: somebody waits for the key"] += was_paused and waited_for

    @precondition(lambda self: any(pause.until_ms for pause in self.model.space.paused.values()))
    @rule(past=st.sampled_from([-1, 0, 0]))
    def come_to_the_end_of_a_pause(self, past: int) -> None:
        ends = [pause.until_ms for pause in self.model.space.paused.values() if pause.until_ms]
        self.now_ms = max(self.now_ms, min(ends) + past)

    @rule(ms=st.sampled_from([1, 700, 1500, 3000, 60_000, 3_600_000, -1000]))
    def let_time_pass(self, ms: int) -> None:
        self.now_ms += ms
        if ms < 0:
            self.history.clock_went_back()
            self.starts.clear()

    @precondition(lambda self: len(self.model.space.flow.permits))
    @rule(past=st.sampled_from([-1, 0, 0]))
    def come_to_a_permit(self, past: int) -> None:
        at = min(at for _, at in self.model.space.flow.permits.items())
        self.now_ms = max(self.now_ms, at + past)

    # -- what it promises ------------------------------------------------------------------------

    def tell_history(self, call, answer, before, after) -> None:  # type: ignore[no-untyped-def]
        super().tell_history(call, answer, before, after)
        flow = self.model.space.flow
        if call.verb == "step" and isinstance(answer, StepReply):
            self.let_rest(call.args[0], answer)
        new = after.took.keys() - before.took.keys() if call.verb == "step" else set[str]()
        for uid in new:
            for take in after.took[uid]:
                self.started(take)
                assert of_take(take) not in after.paused, f"{take} is paused"
        self.reached["step: lifts a pause of a key"] += call.verb == "step" and any(
            map(is_take, before.paused - after.paused)
        )
        held = Counter(take for takes in after.took.values() for take in takes)
        for take, count in held.items():
            most = flow.of(take).concurrency
            # Who ran before a limit became lower runs on.
            allowed = max(most, before.slots.get(take, 0)) if most else count
            assert count <= allowed, f"{count} hold {take}, {most} may"
            self.reached["a limit is full"] += count == most
        self.reached["somebody waits for a limit"] += bool(after.rooms)
        self.reached["somebody waits for a permit"] += bool(after.permits)
        self.reached["a room is open"] += bool(after.open)
        waited = {uid for uids in before.rooms.values() for uid in uids}
        self.reached["who waited starts"] += bool(waited & new)
        if call.verb == "enqueue":
            self.reached["who waited is dropped"] += bool(waited & after.dead.keys())

    def let_rest(self, step: Step, answer: StepReply) -> None:
        unheard = answer.refused | answer.cancelled
        for each in step.settlements:
            if isinstance(each, Release) and each.rests and each.uid not in unheard:
                until_ms = self.now_ms + each.rest_ms
                self.rests[each.rests] = max(until_ms, self.rests.get(each.rests, 0))
                self.reached["a limit rests"] += 1

    def started(self, take: str) -> None:
        """No start while it rests; and no more than burst and rate admit, in whatever time up to
        now."""
        assert self.now_ms >= self.rests.get(take, 0), f"{take} was to rest"
        flow = self.model.space.flow
        limit = flow.of(take)
        if limit.interval_us == 0:
            return
        starts = self.starts.setdefault((take, flow.known(take)), [])
        starts.append(self.now_ms * 1000)
        for i, since in enumerate(starts):
            admitted = limit.burst + (starts[-1] - since) / limit.interval_us
            assert len(starts) - i <= admitted, f"too many starts of {take}: {starts[i:]}"

    def everything_gets_done(self) -> None:
        """One slot after the other, and without waiting for permits or the end of a rest."""
        self.now_ms = max([self.now_ms, *self.rests.values()])
        unlimited = {"rate": LimitSettings(), "key:2": LimitSettings(concurrency=1)}
        self.execute(Call("set_limits", (unlimited, self.version + 9)))
        super().everything_gets_done()


TestLimits = as_test(
    Limits,
    "a limit is full", "somebody waits for a limit", "somebody waits for a permit",
    "a room is open", "a limit rests", "who waited starts", "cancel: in a room",
    "who waited is dropped",
    "set_limits: an older one", "set_limits: a value has its own",
    "pause: somebody waits for the key", "step: lifts a pause of a key",
    "declare: by one that is gone", "declare: a limit is over", "declare: an older one again",
    "declare: another one holds", "declare: what was set for a value is over",
    "step: ok", "step: again", "reap: reaped",
    "step: claims a suspect", "purge: something",
    share=0.3,
)  # fmt: skip
