"""What the calls of a machine are made of: jobs, steps, settlements."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from trioq.core.calls import Admit, IdKeep, NewJob, Step, Unwanted
from trioq.core.fair import FairKey
from trioq.core.formats import door
from trioq.core.model import Hold
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
from trioq.testing.machines.calls import LINE, Call, Granted, queue_names
from trioq.testing.machines.lockstep import LockStep

job_names = st.sampled_from(["noop", "strange"])
delays_ms = st.sampled_from([0, 0, 0, 1, 1000])
PATHS = ["a", "b\udcff", "c"]
MARKS = ("1:1", "1:1:1", "1:1:2", "1:1:", "2:2:2")
marks = st.none() | st.tuples(st.sampled_from(PATHS[:2]), st.sampled_from(MARKS))
takes = st.sampled_from([(), (), (), ("all",), ("one:1", "all"), ("one:2",)])
fair_keys = st.sampled_from([None, None, FairKey('"a"'), FairKey('"b"', 2.0), FairKey('"b"', 0.3)])
ids = st.sampled_from([None, None, None, None, "x", "y"])
keeps = st.sampled_from([None, None, IdKeep(0), IdKeep(700, 900, 1100)])


class Drawing(LockStep):
    """Makes them."""

    def wait_for_ends(self, client: str, jobs: tuple[tuple[str, str | None], ...]) -> None:
        ends = self.execute(Call("wait_for", (client, jobs)))
        self.reached.update(f"wait_for: {end.state}" for end in ends)

    def forget_queues(self, queues: tuple[str, ...]) -> None:
        """Whatever waits in them, and whether jobs of theirs run."""
        space = self.model.space
        before, run_of = set(space.used), {hold.queue for hold in self.holding()}
        self.execute(Call("forget_queues", (queues,)))
        gone = before - space.used
        self.reached["forget_queues: something"] += bool(gone)
        self.reached["forget_queues: nothing"] += bool({*queues} & space.used)
        self.reached["forget_queues: jobs run"] += bool(gone & run_of)

    def holding(self) -> list[Hold]:
        """All that engines hold."""
        return [hold for boot in self.model.space.boots.values() for hold in boot.held.values()]

    def new_job(self, data: st.DataObject, **known: Any) -> NewJob:
        drawn: dict[str, Any] = {
            "queue": queue_names, "name": job_names, "delay_ms": delays_ms, "id": ids,
            "at_ms": st.sampled_from([0, 0, self.now_ms, self.now_ms + 1500]),
            "seen": marks, "takes": takes, "fair": fair_keys, "keep": keeps,
        }  # fmt: skip
        more = {name: data.draw(of) for name, of in drawn.items() if name not in known}
        padding = b" " * data.draw(st.sampled_from([0, 0, 0, 250, 9000]))
        return self.make_job(payload=b"{" + padding + b"}", **known, **more)

    def some_uids(self, data: st.DataObject) -> list[str]:
        """Of jobs that live, mostly."""
        space, bodies = self.model.space, self.bodies
        alive = sorted(space.jobs.keys() - space.dead.keys())
        whose = data.draw(st.sampled_from([alive, alive, list(bodies)])) or list(bodies)
        return data.draw(st.lists(st.sampled_from(whose), min_size=1, max_size=3), label="uids")

    def unwanted(self, uid: str, keep_ms: int = 0) -> Unwanted:
        queue, summary = self.bodies[uid].queue, b'{"uid":"%s"}' % uid.encode()
        return Unwanted(uid, queue, self.name_of(uid), summary, keep_ms)

    def name_of(self, uid: str) -> str:
        return "strange" if b'"strange"' in self.bodies[uid].stored else "noop"

    def holds_anew(self, claim: Granted) -> bool:
        """Whether the engine has the job again, by another claim."""
        boot = self.model.space.boots.get(claim.engine)
        return boot is not None and claim.uid in boot.held and not self.holds(claim)

    def draw_step(
        self,
        data: st.DataObject,
        engine: str,
        queues: tuple[str, ...],
        *,
        want: int,
        settlements: tuple[Settlement, ...] = (),
        ahead: int = 1,
    ) -> None:
        space = self.model.space
        boot = space.boots.get(engine)
        doors = [door for door in space.doors() if door[0] in queues]
        admitted = data.draw(st.lists(st.sampled_from(doors), unique=True)) if doors else []
        step = Step(
            boot=engine,
            number=max(0, (boot.last if boot else 3) + ahead),
            want=want,
            queues=queues,
            suspect=data.draw(st.booleans(), label="suspect"),
            admits=tuple(Admit(*door, data.draw(st.integers(1, 3))) for door in admitted),
            settlements=settlements,
            parked_version=data.draw(st.sampled_from([-1, space.parked_version])),
            asked=data.draw(st.sampled_from([0, boot.asked if boot else 7, 1])),
        )
        paused = len(space.paused)
        self.execute(Call("step", (step,)))
        self.reached["step: lifts a pause"] += len(space.paused) < paused

    def settlements(
        self, data: st.DataObject, claims: list[Granted], queues: tuple[str, ...]
    ) -> tuple[Settlement, ...]:
        """Some of these claims, each ended somehow, one even twice; or all in the same way."""
        if not claims:
            return ()
        some = st.lists(st.sampled_from(claims), min_size=1, max_size=3)
        if data.draw(st.booleans(), label="alike"):
            way = data.draw(st.integers(0, 11), label="way")
            return tuple(self.ways_to_end(claim, queues)[way] for claim in claims[-5:])
        return tuple(
            data.draw(st.sampled_from(self.ways_to_end(claim, queues)), label="settlement")
            for claim in data.draw(some)
        )

    def ways_to_end(self, claim: Granted, queues: tuple[str, ...]) -> list[Settlement]:
        uid, n, tries = claim.uid, claim.n, claim.attempts + 1
        queue, name = self.bodies[uid].queue, self.name_of(uid)
        doors = name, door.named(name, ["5e1f"]), door.named(name, ["5e1f", "a071"])
        return [
            Release(uid, n),
            RetryAt(uid, n, 0, tries, LINE),
            RetryAt(uid, n, 1000, tries, LINE),
            RetryAt(uid, n, 1000, tries - 1),
            *(Park(uid, n, queue, each) if queue in queues else Release(uid, n) for each in doors),
            DeadLetter(uid, n, tries, "failures", LINE),
            Ack(uid, n, b'{"uid":"%s"}' % uid.encode()),
            Deliver(uid, n, 1000, "done", b"5", b'{"uid":"%s"}' % uid.encode()),
            Deliver(uid, n, 90_000, "too_large", b"70000"),
            Cancel(uid, n, b'{"uid":"%s"}' % uid.encode(), 0),
        ]
