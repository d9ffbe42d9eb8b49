"""A caller's id is a job's for as long as the job is there, and ``id_retention`` longer.

Two senders race for a few ids. Whose an id is, and for how long, is kept here a second time, in
the words of the promise; what the server answers must agree.
"""

from __future__ import annotations

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from props.lockstep import LINE, Call, LockStep, as_test, queue_names, senders
from trioq.core.calls import Enqueued, Existing, Unwanted
from trioq.core.model.state import EndState
from trioq.core.settlements import Ack, DeadLetter, RetryAt, Settlement
from trioq.store.protocol import StoreOptions

RETENTION_MS = 1500

pytestmark = pytest.mark.usefixtures("lockstep_server")

ids = st.sampled_from(["v", "w", "x", "y", "z"])


@attrs.frozen
class Owner:
    """Whose an id is."""

    uid: str
    ended: EndState | None = None
    until_ms: int | None = None
    """When it may be another's; None: not before it has ended."""


class IdsMachine(LockStep):
    """At any time at most one job has an id, and everybody is told which."""

    options = StoreOptions(keep_done=2, pack_max=3, id_retention_ms=RETENTION_MS)
    engine = "e.1"

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[str, Owner] = {}
        self.id_of: dict[str, str] = {}
        """Of jobs that are there."""

    @initialize(some=st.lists(ids, min_size=1, max_size=4))
    def begin(self, some: list[str]) -> None:
        self.execute(Call("register", (self.engine, b"{}")))
        self.enqueue("s1", some, "low", 0)

    # -- who gets it ---------------------------------------------------------------------------

    @rule(
        sender=senders,
        some=st.lists(ids, min_size=1, max_size=4),
        queue=queue_names,
        delay_ms=st.sampled_from([0, 0, 1000]),
    )
    def enqueue(self, sender: str, some: list[str], queue: str, delay_ms: int) -> None:
        """An id may be asked for twice in one call, too."""
        jobs = tuple(self.make_job(queue, id=id, delay_ms=delay_ms) for id in some)
        expected: dict[int, Existing] = {}
        for place, id in enumerate(some):
            if owner := self.owner(id):
                expected[place] = Existing(owner.uid, self.state(owner))
            else:
                if id in self.owners:
                    self.reached["another's id"] += 1
                self.owners[id] = Owner(jobs[place].uid)
                self.id_of[jobs[place].uid] = id
        assert self.write("enqueue", sender, jobs) == Enqueued(len(jobs), expected, frozenset())

    @rule(id=ids, first=senders)
    def race(self, id: str, first: str) -> None:
        """Two ask at the same time: one job, and both are told of it."""
        self.enqueue(first, [id], "high", 0)
        self.enqueue("s2" if first == "s1" else "s1", [id], "low", 0)

    # -- how its job ends, or doesn't ----------------------------------------------------------

    @rule(want=st.integers(1, 3))
    def claim(self, want: int) -> None:
        self.step(self.engine, want)

    @precondition(lambda self: self.id_of)
    @rule(data=st.data(), how=st.sampled_from(["dies", "dies", "done", "fails"]))
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
        }
        reply = self.step(self.engine, 0, (ways[how],))
        assert not reply.refused
        if reply.cancelled:  # it was asked to end while it ran
            self.is_over(uid, "cancelled")
        if how == "done":
            self.is_over(uid, "done")

    @precondition(lambda self: self.id_of)
    @rule(data=st.data(), sender=senders)
    def cancel(self, data: st.DataObject, sender: str) -> None:
        uid = data.draw(st.sampled_from(sorted(self.id_of)))
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
        assert self.write(verb, sender, what) == 1
        if verb == "purge_dead":
            self.is_over(uid, "dead")

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

    # -- the promise ---------------------------------------------------------------------------

    @invariant()
    def one_job_has_it(self) -> None:
        assert dict(self.held.id_of) == self.id_of
        for id, owner in self.owners.items():
            if owner.ended is None:
                assert self.held.ids[id] == owner.uid
            elif self.owner(id):
                assert self.held.ids[id] == f"{owner.ended}:{owner.uid}"
                assert self.held.ended[id] == owner.until_ms

    # -- below ---------------------------------------------------------------------------------

    def owner(self, id: str) -> Owner | None:
        """Who has it now."""
        owner = self.owners.get(id)
        is_over = owner and owner.until_ms is not None and owner.until_ms <= self.now_ms
        return None if is_over else owner

    def state(self, owner: Owner) -> str:
        return owner.ended or ("dead" if owner.uid in self.held.dead else "live")

    def is_over(self, uid: str, how: EndState) -> None:
        id = self.id_of.pop(uid)
        self.owners[id] = Owner(uid, how, self.now_ms + RETENTION_MS)


TestIds = as_test(
    IdsMachine,
    "enqueue: live", "enqueue: dead", "enqueue: done", "enqueue: cancelled", "another's id",
    "revive: something", "purge_dead: something", "purge: something",
    share=0.3,
)  # fmt: skip
