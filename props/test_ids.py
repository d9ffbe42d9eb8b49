"""A caller's id is a job's for as long as the job is there, and ``id_retention`` longer.

Two senders race for a few ids; they replace who waits, and take ids from who runs or is dead, by
what they saw a moment ago or long before. Whose an id is, and for how long, is kept here a second
time, in the words of the promise; what the server answers must agree. Of one id two never wait, and
an older payload never runs after a newer one.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from props.lockstep import LINE, MAX_REAPS, Call, LockStep, as_test, queue_names, senders
from trioq.core.calls import (
    Enqueued,
    Existing,
    IdKeep,
    NewJob,
    Replaced,
    Replacing,
    Revived,
    StepReply,
    Taking,
    Unwanted,
)
from trioq.core.formats.ids import id_in
from trioq.core.limits import LimitSettings, take_of_id
from trioq.core.model.state import EndState
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement
from trioq.store.protocol import StoreOptions

RETENTION_MS = 1500

pytestmark = pytest.mark.usefixtures("lockstep_server")

ids = st.sampled_from(["v", "w", "x", "y", "z"])
keeps = st.sampled_from(
    [
        None, None, IdKeep(0), IdKeep(700), IdKeep(0, cooldown_ms=3000),
        IdKeep(None, max_wait_ms=2500),
    ]
)  # fmt: skip
takes = st.sampled_from([(), (), ("one",), ("one", "two")])


@attrs.frozen
class Owner:
    """Whose an id is."""

    uid: str
    ended: EndState | None = None
    until_ms: int | None = None
    """When it may be another's; None: not before it has ended."""
    after_end_ms: int = RETENTION_MS
    cooldown_ms: int = 0
    """Until when it is remembered at least, epoch."""


class IdsMachine(LockStep):
    """At any time at most one job has an id, and everybody is told which."""

    options = StoreOptions(keep_done=2, pack_max=3, id_retention_ms=RETENTION_MS)

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[str, Owner] = {}
        self.id_of: dict[str, str] = {}
        """Of jobs that have one."""
        self.lost: dict[str, Owner] = {}
        """Of jobs whose id was taken, as they had it."""
        self.once: dict[str, str] = {}
        """The same of all that ever had one."""
        self.payloads = dict[bytes, int]()
        """In the order in which they came."""
        self.started = dict[str, int]()
        """Of each id, the newest payload that was begun with."""
        self.revived: set[str] = set()
        self.boots = 1

    @initialize(some=st.lists(ids, min_size=1, max_size=4))
    def begin(self, some: list[str]) -> None:
        self.execute(Call("register", (self.engine, b"{}")))
        self.execute(Call("set_limits", ({"one": LimitSettings(concurrency=1)}, 1)))
        self.enqueue("s1", some, "low", {})

    # -- who gets it ---------------------------------------------------------------------------

    @rule(
        sender=senders,
        some=st.lists(ids, min_size=1, max_size=4),
        queue=queue_names,
        how=st.fixed_dictionaries(
            {"delay_ms": st.sampled_from([0, 0, 1000]), "keep": keeps, "takes": takes}
        ),
    )
    def enqueue(self, sender: str, some: list[str], queue: str, how: dict[str, Any]) -> None:
        """An id may be asked for twice in one call, too."""
        jobs = tuple(self.another(queue, id=id, **how) for id in some)
        expected: dict[int, Existing] = {}
        for place, id in enumerate(some):
            if owner := self.owner(id):
                expected[place] = Existing(owner.uid, self.state(owner))
            else:
                if id in self.owners:
                    self.reached["another's id"] += 1
                self.has_it(jobs[place])
        assert self.write("enqueue", sender, jobs) == Enqueued(len(jobs), expected, frozenset())

    @rule(id=ids, first=senders)
    def race(self, id: str, first: str) -> None:
        """Two ask at the same time: one job, and both are told of it."""
        self.enqueue(first, [id], "high", {})
        self.enqueue("s2" if first == "s1" else "s1", [id], "low", {})

    @precondition(lambda self: self.once)
    @rule(data=st.data(), sender=senders, delay_ms=st.sampled_from([0, 1000, 5000]), keep=keeps)
    def replace(self, data: st.DataObject, sender: str, delay_ms: int, keep: IdKeep | None) -> None:
        """Who has an id, or had it once."""
        uid = self.some_job(data)
        id, queue = self.once[uid], self.history.bodies[uid].queue
        how = {"delay_ms": delay_ms, "keep": keep, "takes": data.draw(takes)}
        job = self.another(queue, id=id, uid=uid, **how)
        word, runs = self.seen(uid), self.claim_of(uid)
        answer = self.write("replace", sender, Replacing(job, data.draw(st.booleans())))
        assert isinstance(answer, Replaced)
        if word == "running":
            assert runs is not None
            assert answer == Replaced("running", *runs)
        else:
            assert answer.word == ("replaced" if word == "waits" else word)
        if answer.after is not None:
            assert take_of_id(id) in self.held.took[answer.after]
        if word == "waits":
            self.has_it(job)

    @precondition(lambda self: self.once)
    @rule(
        data=st.data(),
        sender=senders,
        how=st.sampled_from(["again", "again", "supersede", "dead"]),
        keep=keeps,
        delay_ms=st.sampled_from([0, 0, 1000]),
    )
    def take(
        self, data: st.DataObject, sender: str, how: str, keep: IdKeep | None, delay_ms: int
    ) -> None:
        """From who has an id, or had it once; by the claim that there is, or was."""
        uid = self.some_job(data, "dead" if how == "dead" else "running")
        runs = self.claim_of(uid) or ("e.gone", 1)
        step = runs[1] + data.draw(st.sampled_from([0, 0, 0, 0, -1, 1]), label="step")
        taking = Taking(uid, how, runs[0], step, 0, b'{"uid":"%s"}' % uid.encode())  # type: ignore[arg-type]
        id = self.once[uid]
        job = self.another(
            data.draw(queue_names), id=id, keep=keep, delay_ms=delay_ms, takes=data.draw(takes)
        )
        word, was = self.seen(uid), self.owner(id)
        if how == "dead" and was and (was.uid, was.ended) == (uid, "dead"):
            word = "dead"  # and gone: only its id is remembered
        may = word == "dead" if how == "dead" else word == "running" and (runs[0], step) == runs
        answer = self.write("enqueue", sender, (job,), taking=taking)
        assert answer == Enqueued(1 if may else 0, {}, frozenset(), moved=not may)
        if may:
            if self.id_of.pop(uid, None):
                self.lost[uid] = self.owners[id]
            self.has_it(job)
            if how != "dead":
                assert take_of_id(id) in self.held.took[uid]
                assert take_of_id(id) in self.held.flow[job.uid]

    # -- how its job ends, or doesn't ----------------------------------------------------------

    @rule(want=st.integers(1, 3))
    def claim(self, want: int) -> None:
        self.step(self.engine, want)

    @precondition(lambda self: self.id_of)
    @rule(data=st.data(), how=st.sampled_from(["dies", "dies", "done", "fails", "back", "parked"]))
    def end(self, data: st.DataObject, how: str) -> None:
        """Of what runs, or of whatever comes first."""
        if not self.running():
            self.step(self.engine, 1)
        if not self.running():
            return
        claim = data.draw(st.sampled_from(self.running()))
        uid, n, tries = claim.uid, claim.n, claim.attempts + 1
        ways: dict[str, Settlement] = {
            "done": Ack(uid, n),
            "fails": RetryAt(uid, n, 0, tries, LINE),
            "dies": DeadLetter(uid, n, tries, "failures", LINE),
            "back": Release(uid, n),
            "parked": Park(uid, n, self.history.bodies[uid].queue, "noop"),
        }
        reply = self.step(claim.engine, 0, (ways[how],))
        assert not reply.refused
        if reply.cancelled:  # it was asked to end while it ran, or has lost its id
            self.is_over(uid, "cancelled")
        elif how == "done":
            self.is_over(uid, "done")
        elif how != "dies":
            self.has_it_back(uid)

    @precondition(lambda self: self.running())
    @rule(how=st.sampled_from(["reap", "sign_off"]))
    def lose_the_engine(self, how: str) -> None:
        """And there is another."""
        gone = self.engine
        before, held = set(self.held.jobs), [*self.held.running.get(gone, ())]
        self.execute(Call(how, (gone,) if how == "sign_off" else (gone, self.signs(), MAX_REAPS)))
        for uid in before - set(self.held.jobs):
            self.is_over(uid, "cancelled")
        for uid in held:
            self.has_it_back(uid)
        self.boots += 1
        self.execute(Call("register", (self.engine, b"{}")))

    @precondition(lambda self: self.held.jobs)
    @rule(data=st.data(), sender=senders)
    def cancel(self, data: st.DataObject, sender: str) -> None:
        uid = data.draw(st.sampled_from(sorted(self.held.jobs)))
        job = Unwanted(uid, self.history.bodies[uid].queue, "noop")
        (word,) = self.write("cancel", sender, (job,))
        running = any(claim.uid == uid for claim in self.running())
        assert word == ("dead" if uid in self.held.dead else "asked" if running else "cancelled")
        if word == "cancelled":
            self.is_over(uid, "cancelled")

    @precondition(lambda self: len(self.id_of) > 2)
    @rule(sender=senders, queue=queue_names)
    def purge_a_queue(self, sender: str, queue: str) -> None:
        before = self.held
        self.write("purge", sender, queue, (), 100)
        for uid in before.jobs.keys() - self.held.jobs.keys():
            self.is_over(uid, "cancelled")

    @precondition(lambda self: self.held.dead)
    @rule(data=st.data(), sender=senders, verb=st.sampled_from(["purge_dead", "revive"]))
    def operate_on_the_dead(self, data: st.DataObject, sender: str, verb: str) -> None:
        """A dead job has its id for as long as it lies there; revived, it is live again."""
        uid = data.draw(st.sampled_from(sorted(self.held.dead)))
        what = ((uid, self.history.bodies[uid].queue),) if verb == "revive" else (uid,)
        if verb == "purge_dead":
            assert self.write(verb, sender, what) == 1
            self.is_over(uid, "dead")
            return
        owner = self.owner(self.once[uid])
        is_held = uid in self.lost and owner is not None and self.state(owner) == "live"
        self.reached["a revive is refused"] += is_held
        assert self.write(verb, sender, what) == (Revived(0, (uid,)) if is_held else Revived(1))
        if not is_held:
            self.revived.add(uid)
            self.has_it_back(uid)

    # -- time ----------------------------------------------------------------------------------

    @precondition(lambda self: any(owner.ended for owner in self.owners.values()))
    @rule(past_ms=st.sampled_from([-1, 0, 1]))
    def come_to_the_end_of_a_retention(self, past_ms: int) -> None:
        ends = {owner.until_ms for owner in self.owners.values() if owner.until_ms}
        self.now_ms = max([self.now_ms, *(at + past_ms for at in ends)])

    @rule(ms=st.sampled_from([1, RETENTION_MS, 10 * RETENTION_MS]))
    def let_time_pass(self, ms: int) -> None:
        self.now_ms += ms

    @precondition(lambda self: any(owner.ended for owner in self.owners.values()))
    @rule()
    def beat(self) -> None:
        """It forgets whose time is over. Nobody's answers change by it, but for the memory."""
        self.execute(Call("beat", (self.engine,)))
        self.owners = {id: owner for id in self.owners if (owner := self.owner(id))}
        assert self.held.ids.keys() == self.owners.keys()

    @precondition(lambda self: any(queue.scheduled for queue in self.held.queues.values()))
    @rule()
    def come_to_what_is_due(self) -> None:
        due = [at for queue in self.held.queues.values() for at in queue.scheduled.values()]
        self.now_ms = max(self.now_ms, min(due))

    # -- the promise ---------------------------------------------------------------------------

    @invariant()
    def one_job_has_it(self) -> None:
        held = {uid: id_in(stored) for uid, stored in self.held.id_of.items()}
        assert {uid: id for uid, id in held.items() if id} == self.id_of
        assert {uid for uid, id in held.items() if not id} == self.lost.keys()
        for id, owner in self.owners.items():
            if owner.ended is None:
                assert self.held.ids[id] == owner.uid
            elif self.owner(id):
                assert self.held.ids[id] == f"{owner.ended}:{owner.uid}"
                assert self.held.ended[id] == owner.until_ms

    @invariant()
    def one_waits(self) -> None:
        waiting = [
            self.once[uid]
            for uid, place in self.held.places()
            if not place.startswith(("running", "dead"))
        ]
        assert len({*waiting}) == len(waiting)

    def execute(self, call: Call) -> Any:
        """And an older payload never runs after a newer one."""
        answer = super().execute(call)
        if isinstance(answer, StepReply) and answer.word == "ok":
            for claim in answer.claims:
                id, nth = self.once[claim.uid], self.payloads[claim.stored]
                is_last = nth >= self.started.get(id, 0)
                assert is_last or claim.uid in self.revived or id == "z"
                self.started[id] = max(nth, self.started.get(id, 0))
        return answer

    # -- below ---------------------------------------------------------------------------------

    def owner(self, id: str) -> Owner | None:
        """Who has it now."""
        owner = self.owners.get(id)
        is_over = owner and owner.until_ms is not None and owner.until_ms <= self.now_ms
        return None if is_over else owner

    def state(self, owner: Owner) -> str:
        return owner.ended or ("dead" if owner.uid in self.held.dead else "live")

    def is_over(self, uid: str, how: EndState) -> None:
        self.lost.pop(uid, None)
        if id := self.id_of.pop(uid, None):
            before = self.owners.pop(id)
            until_ms = max(self.now_ms + before.after_end_ms, before.cooldown_ms)
            if until_ms > self.now_ms:
                self.owners[id] = Owner(uid, how, until_ms)

    def has_it_back(self, uid: str) -> None:
        """It waits again, and no other that has its id lives: also from one that is dead."""
        if uid in self.held.jobs and (was := self.lost.pop(uid, None)):
            id = self.once[uid]
            if (other := self.owners.get(id)) and not other.ended:
                del self.id_of[other.uid]
                self.lost[other.uid] = other
            self.owners[id], self.id_of[uid] = was, id
            self.reached["an id comes back"] += 1

    def another(self, queue: str, uid: str = "", **options: Any) -> NewJob:
        """With a payload that there wasn't before."""
        payload = b'{"n":%d}' % len(self.payloads)
        if options["id"] != "z":  # of which two may run at once
            options["takes"] = (*options.get("takes", ()), take_of_id(options["id"]))
        job = self.make_job(queue, payload=payload, uid=uid, **options)
        self.payloads[job.stored] = len(self.payloads)
        return job

    def has_it(self, job: NewJob) -> None:
        """It has its id from now on, or has it anew."""
        assert job.id is not None
        keep, was = job.keep or IdKeep(), self.owners.get(job.id)
        is_anew = was is not None and was.uid == job.uid
        cooldown_ms = was.cooldown_ms if was and is_anew else 0
        self.owners[job.id] = Owner(
            job.uid,
            after_end_ms=RETENTION_MS if keep.after_end_ms is None else keep.after_end_ms,
            cooldown_ms=self.now_ms + keep.cooldown_ms if keep.cooldown_ms else cooldown_ms,
        )
        self.id_of[job.uid] = self.once[job.uid] = job.id
        self.reached["replaced with another time"] += is_anew and job.delay_ms > 0

    def some_job(self, data: st.DataObject, what: str = "") -> str:
        """Mostly one that has its id and is so."""
        mine = [uid for uid in self.id_of if not what or self.seen(uid) == what]
        whose = mine if mine and data.draw(st.sampled_from([True, True, False])) else self.once
        return data.draw(st.sampled_from(sorted(whose)), label="uid")

    def seen(self, uid: str) -> str:
        """What somebody finds who looks for the job that has its id."""
        owner = self.owners.get(self.once[uid])
        if owner is None or owner.uid != uid or owner.ended:
            return "moved"
        if uid in self.held.dead:
            return "dead"
        return "running" if self.claim_of(uid) else "waits"

    def claim_of(self, uid: str) -> tuple[str, int] | None:
        found = [(e, held[uid].step) for e, held in self.held.running.items() if uid in held]
        return found[0] if found else None

    @property
    def engine(self) -> str:
        return f"e.{self.boots}"

    def signs(self) -> int:
        return self.model.space.boots[self.engine].signs


TestIds = as_test(
    IdsMachine,
    "enqueue: live", "enqueue: dead", "enqueue: done", "enqueue: cancelled", "another's id",
    "replace: replaced", "replace: moved", "replace: running", "replace: dead",
    "replace: tells who runs before", "replaced with another time",
    "take: again", "take: supersede", "take: dead", "take: moved",
    "step: cancels what was asked to end", "reap: cancels what was asked to end",
    "revive: something",
    "purge_dead: something", "purge: something",
    share=0.2,
)  # fmt: skip
