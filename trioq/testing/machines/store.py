"""Every call of a store is a rule, and any may be executed again at any later moment.

Engines that are gone still make steps, old numbers come back, the clock is set back. At the end the
faults stop, and everything must still get done.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from trioq.core.calls import Enqueuer, NewJob, Note, Pausing, Rate, Replacing, Taking
from trioq.core.seen import Sighting
from trioq.core.settlements import DeadLetter, Deliver, Park, Release, RetryAt
from trioq.store.protocol import StoreOptions
from trioq.testing.machines.calls import LINE, MAX_REAPS, QUEUES, Call, queue_names, senders
from trioq.testing.machines.drawing import MARKS, PATHS, Drawing, ids

EXPIRE_MS = 2000
VERBS = ("ack", "deliver", "retry", "dead", "release", "park", "cancel")
RATE = Rate("producer", interval_us=30_000_000, burst=3)

orders = st.sampled_from([QUEUES] * 4 + [("low", "high"), ("low",), ("high",)])


class StoreMachine(Drawing):
    """Everything at once."""

    options = StoreOptions(
        keep_done=2, id_retention_ms=1500, claim_bytes=400,
        max_lengths={"high": 4, "low": 4}, when_full={"high": "wait", "low": "drop_oldest"},
        pack_max=3, many_queues=1,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.engines: list[str] = []
        self.in_line: dict[tuple[NewJob, ...], Enqueuer] = {}
        """Who has been in line and wasn't let in yet, as far as they know."""

    @initialize(data=st.data(), rich=st.sampled_from([False, True, True, True]))
    def begin(self, data: st.DataObject, rich: bool) -> None:
        """Mostly not from nothing, but with a job in every place and a claim that has ended."""
        if not rich:
            return
        self.register()
        self.register()
        for queue in QUEUES:
            jobs = [self.make_job(queue) for _ in range(4)]
            self.write("enqueue", "s1", tuple(jobs))
        first, second = self.engines
        self.draw_step(data, first, QUEUES, want=5)
        parked, dead, later, again, told = self.claims[:5]
        ends = (
            Park(parked.uid, parked.n, "high", self.name_of(parked.uid)),
            DeadLetter(dead.uid, dead.n, 1, "gave_up", LINE),
            RetryAt(later.uid, later.n, 1000, 1, LINE),
            Release(again.uid, again.n),
            Deliver(told.uid, told.n, 1000, "done", b"5"),
        )
        self.draw_step(data, second, QUEUES, want=2)
        self.draw_step(data, first, QUEUES, want=0, settlements=ends)
        self.draw_step(data, first, QUEUES, want=1)
        self.wait_for_ends("c1", ((told.uid, None),))
        self.write("cancel", "s2", (self.unwanted(self.claims[5].uid),))
        self.execute(Call("reap", (second, 1, MAX_REAPS)))
        # What has ended can't be ended again, whatever is said of it.
        over = tuple(self.ways_to_end(dead, QUEUES))
        self.draw_step(data, first, QUEUES, want=0, settlements=over)
        self.write("cancel", "s2", (self.unwanted(dead.uid),))
        if data.draw(st.booleans(), label="in line"):
            self.come("s1", tuple(self.make_job("high") for _ in range(4)), Enqueuer("c1"))

    # -- calls ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.engines) < 5)
    @rule()
    def register(self) -> None:
        self.engines.append(f"e.{len(self.engines)}")
        self.execute(Call("register", (self.engines[-1], b"{}")))

    @rule(data=st.data(), sender=senders, limited=st.sampled_from([False, False, True]))
    def enqueue(self, data: st.DataObject, sender: str, limited: bool) -> None:
        jobs = [self.new_job(data) for _ in range(data.draw(st.sampled_from([1, 1, 2, 4])))]
        who = data.draw(st.sampled_from([None, Enqueuer("c1"), Enqueuer("c2")]), label="who")
        self.come(sender, tuple(jobs), who, RATE if limited else None)

    def come(
        self,
        sender: str,
        jobs: tuple[NewJob, ...],
        who: Enqueuer | None,
        rate: Rate | None = None,
    ) -> None:
        """Enqueue, and remember who is in line."""
        self.write("enqueue", sender, jobs, rate=rate, who=who)
        if place := self.model.space.line.get(jobs[0].uid):
            self.in_line[jobs] = Enqueuer(place.client, place.nth)
        else:
            self.in_line.pop(jobs, None)

    @precondition(lambda self: self.in_line)
    @rule(data=st.data(), sender=senders, what=st.sampled_from(["come", "come", "ask", "leave"]))
    def wait_in_line(self, data: st.DataObject, sender: str, what: str) -> None:
        jobs = data.draw(st.sampled_from(list(self.in_line)), label="jobs")
        if what == "come":
            self.come(sender, jobs, self.in_line[jobs])
        elif what == "ask":
            others = data.draw(st.lists(st.sampled_from(list(self.in_line)), unique=True))
            uids = dict.fromkeys(each[0].uid for each in (jobs, *others))
            self.wait_for_ends("c1", tuple((uid, None) for uid in uids))
        else:
            self.execute(Call("step_aside", (data.draw(queue_names), (jobs[0].uid,))))

    @precondition(lambda self: self.model.space.line)
    @rule(data=st.data(), sender=senders)
    def there_is_room_again(self, data: st.DataObject, sender: str) -> None:
        """And somebody in line comes, most often the first."""
        queue = min(place.queue for place in self.model.space.line.values())
        self.write("purge", "s2", queue, (), 100)
        first = self.model.space.in_line(queue)[0][0] if self.model.space.in_line(queue) else ""
        waiting = sorted(self.in_line, key=lambda jobs: jobs[0].uid != first)
        if waiting:
            jobs = data.draw(st.sampled_from([waiting[0], *waiting]), label="jobs")
            self.come(sender, jobs, self.in_line[jobs])

    @precondition(lambda self: self.model.space.boots)
    @rule(data=st.data(), queues=orders, want=st.integers(1, 4))
    def claim(self, data: st.DataObject, queues: tuple[str, ...], want: int) -> None:
        engine = data.draw(st.sampled_from(list(self.model.space.boots)), label="engine")
        self.draw_step(data, engine, queues, want=want)

    @precondition(lambda self: self.model.space.boots)
    @rule(data=st.data(), queues=orders, want=st.sampled_from([0, 0, 1, 3]))
    def settle(self, data: st.DataObject, queues: tuple[str, ...], want: int) -> None:
        """By an engine that holds something, of what it holds."""
        engines = self.model.space.boots
        holding = [name for name, boot in engines.items() if boot.held] or list(engines)
        engine = data.draw(st.sampled_from(holding), label="engine")
        held = [claim for claim in self.claims if self.holds(claim) and claim.engine == engine]
        settlements = self.settlements(data, held, queues)
        self.draw_step(data, engine, queues, want=want, settlements=settlements)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), queues=orders, ahead=st.sampled_from([1, 1, 1, 0, -1, 2]))
    def act_as_a_zombie(self, data: st.DataObject, queues: tuple[str, ...], ahead: int) -> None:
        """Any engine, gone ones too, settles any claim that ever was, under any number."""
        ended = [claim for claim in self.claims if not self.holds(claim)]
        pools = [
            [claim for claim in ended if self.holds_anew(claim)],
            ended,
            [claim for claim in self.claims if claim.engine in self.model.space.boots],
        ]
        pool = data.draw(st.sampled_from([pool for pool in pools if pool] or [self.claims]))
        by_whom = data.draw(st.sampled_from(pool), label="whose")
        engine = data.draw(st.sampled_from([by_whom.engine] * 3 + self.engines), label="engine")
        claims = [claim for claim in pool if claim.engine == by_whom.engine]
        settlements = self.settlements(data, claims, queues)
        want = data.draw(st.integers(0, 2), label="want")
        self.draw_step(data, engine, queues, want=want, settlements=settlements, ahead=ahead)

    @precondition(lambda self: self.model.space.boots)
    @rule(data=st.data(), how=st.sampled_from(["beat", "reap", "reap", "reap late", "sign_off"]))
    def live_or_die(self, data: st.DataObject, how: str) -> None:
        engine = data.draw(st.sampled_from(self.engines), label="engine")
        if how.startswith("reap"):
            boot = self.model.space.boots.get(engine)
            seen = (boot.signs if boot else 1) - (how == "reap late")
            self.execute(Call("reap", (engine, seen, MAX_REAPS)))
        else:
            self.execute(Call(how, (engine,)))

    @precondition(lambda self: self.model.space.ids)
    @rule(
        data=st.data(),
        sender=senders,
        how=st.sampled_from(["replace", "replace", "replace", "again", "supersede", "dead"]),
    )
    def come_with_an_id(self, data: st.DataObject, sender: str, how: Any) -> None:
        """Of a job that lives, or did."""
        owners = self.model.space.ids
        id = data.draw(st.sampled_from(sorted(owners)), label="id")
        owner = owners[id]
        uid = owner if isinstance(owner, str) else owner.uid
        if how == "replace":
            queue, name = self.bodies[uid].queue, self.name_of(uid)
            job = self.new_job(data, queue=queue, name=name, id=id, uid=uid, seen=None)
            self.write("replace", sender, Replacing(job, data.draw(st.booleans())))
            return
        claims = [claim for claim in self.running() if claim.uid == uid] or self.claims[-1:]
        boot, step = (claims[0].engine, claims[0].n) if claims else ("e.gone", 1)
        taking = Taking(uid, how, boot, step, 700, b'{"uid":"%s"}' % uid.encode())
        job = self.new_job(data, id=id, seen=None)
        self.write("enqueue", sender, (job,), taking=taking)

    @precondition(lambda self: self.bodies)
    @rule(data=st.data(), sender=senders, keep_ms=st.sampled_from([0, 0, 700]))
    def cancel(self, data: st.DataObject, sender: str, keep_ms: int) -> None:
        unwanted = (self.unwanted(uid, keep_ms) for uid in self.some_uids(data))
        self.write("cancel", sender, tuple(unwanted))

    @precondition(lambda self: self.model.space.seen)
    @rule(data=st.data(), after_ms=st.sampled_from([0, 1000, EXPIRE_MS]), is_gone=st.booleans())
    def note_files(self, data: st.DataObject, after_ms: int, is_gone: bool) -> None:
        known = dict(zip(PATHS, self.model.seen(PATHS), strict=True))
        sightings = []
        for path in data.draw(st.lists(st.sampled_from(PATHS[:2]), min_size=1, unique=True)):
            # It may have been read a while ago.
            as_read = data.draw(st.sampled_from([known[path], known[path], *MARKS])) or "1:1"
            its = "" if is_gone else data.draw(st.sampled_from(["", *MARKS]))
            sightings.append(Sighting(path, as_read, is_gone, its))
        self.execute(Call("note_files", (tuple(sightings), after_ms)))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), queues=orders, verb=st.sampled_from(["release", "retry", "park", "ack"]))
    def ask_and_settle(self, data: st.DataObject, queues: tuple[str, ...], verb: str) -> None:
        """What runs shall end; and then it does somehow."""
        claim = data.draw(st.sampled_from(self.running()), label="claim")
        self.write("cancel", "s1", (self.unwanted(claim.uid),))
        ways = self.ways_to_end(claim, queues)
        of_verb = [way for way in ways if way.verb == verb] or ways
        self.draw_step(data, claim.engine, queues, want=1, settlements=(of_verb[0],))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), text=st.sampled_from([b"1", b"2"]))
    def note(self, data: st.DataObject, text: bytes) -> None:
        """By whoever has, or had, a claim."""
        claims = self.running() or self.claims
        claim = data.draw(st.sampled_from([*claims, *self.claims[-3:]]), label="claim")
        self.execute(Call("note", (claim.engine, (Note(claim.uid, claim.n, text),))))

    @precondition(lambda self: self.model.space.dead)
    @rule(data=st.data(), sender=senders, verb=st.sampled_from(["revive", "revive", "purge_dead"]))
    def operate_on_the_dead(self, data: st.DataObject, sender: str, verb: str) -> None:
        """And on others by mistake."""
        dead, bodies = list(self.model.space.dead), self.bodies
        uids = data.draw(st.lists(st.sampled_from(dead + list(bodies)[-2:]), min_size=1))
        if verb == "revive":
            jobs = tuple((uid, bodies[uid].queue) for uid in uids)
            edited = data.draw(st.sampled_from([(), (), uids[:1]]), label="edited")
            others = {uid: self.edited(data, uid) for uid in edited}
            self.write("revive", sender, jobs, *([others] if others else []))
        else:
            self.write("purge_dead", sender, tuple(uids))

    def edited(self, data: st.DataObject, uid: str) -> NewJob:
        """The same job with another payload."""
        was = self.bodies[uid]
        known = {"queue": was.queue, "name": self.name_of(uid), "id": was.id, "uid": uid}
        other = self.new_job(data, **known, seen=None)
        return attrs.evolve(was, stored=other.stored, big=other.big)

    @precondition(lambda self: self.bodies)
    @rule(data=st.data(), sender=senders)
    def hasten(self, data: st.DataObject, sender: str) -> None:
        """Mostly who isn't due yet."""
        queues = [self.model.space.queue(name) for name in QUEUES]
        later = sorted(uid for queue in queues for uid, _ in queue.scheduled.items())
        uid = data.draw(st.sampled_from(later or list(self.bodies)[-3:]))
        self.write("hasten", sender, self.bodies[uid].queue, uid)

    @rule(
        sender=senders,
        queue=queue_names,
        what=st.sampled_from(["hear", "hear", "resume", "pause", "resume", "purge", "forget"]),
        limit=st.sampled_from([1, 2, 100]),
        names=st.sampled_from([(), ("noop",), ("noop", "strange")]),
    )
    def operate_on_a_queue(
        self, sender: str, queue: str, what: str, limit: int, names: tuple[str, ...]
    ) -> None:
        if what == "purge":
            self.write("purge", sender, queue, names, limit)
        elif what == "forget":
            self.forget_queues(QUEUES if limit > 1 else (queue,))
        elif what != "hear":
            paused = "@noop" if "noop" in names else queue
            how = Pausing(b'{"by":"me"}', 1000 if limit == 1 else 0)
            self.write("pause", sender, paused, what == "pause", how)
        elif queue in self.model.space.bells:
            self.execute(Call("wait", ([queue], 0.001)))

    @precondition(lambda self: self.holding())
    @rule(sender=senders)
    def only_what_runs_is_left(self, sender: str) -> None:
        """And then its queue's name is forgotten; it comes back with the job."""
        queue = min(hold.queue for hold in self.holding())
        names = tuple(name for q, name in self.model.space.doors() if q == queue)
        self.write("purge", sender, queue, names, 100)
        self.forget_queues((queue,))

    @precondition(lambda self: self.model.space.doors())
    @rule(data=st.data(), past_ms=st.sampled_from([-1, 0, 0, 1]))
    def expire_parked(self, data: st.DataObject, past_ms: int) -> None:
        """Around the time when those who came first have waited for long enough."""
        queue, name = data.draw(st.sampled_from(self.model.space.doors()))
        since_ms = self.model.space.queue(queue).parked[name].since_ms
        self.now_ms = max(self.now_ms, since_ms + EXPIRE_MS + past_ms)
        self.execute(Call("expire_parked", (queue, name, EXPIRE_MS, LINE)))

    # -- faults ---------------------------------------------------------------------------

    @rule()
    def questions_are_asked(self) -> None:
        """Of a store that has lost what it may lose."""
        self.forget_cached()
        for call in (
            Call("observe", ()),
            Call("engines", ()),
            Call("seen", (PATHS,)),
            *(Call("payload", (uid,)) for uid in list(self.bodies)[-3:]),
            Call("payloads", ([*list(self.bodies)[-3:], "nobody"], 1 << 20)),
            *(Call("history", (uid,)) for uid in list(self.bodies)[:3]),
        ):
            answer, expected = call.on(self.real)(), call.on(self.model)()
            assert answer == expected, f"{call}\n{answer}\n{expected}"

    @rule(ms=st.sampled_from([1, 999, 1000, EXPIRE_MS, 60_000, -1, -1500]))
    def let_time_pass(self, ms: int) -> None:
        """The server's clock may be set back, too."""
        self.now_ms += ms
        if ms < 0:
            self.clock_went_back()

    @rule(data=st.data(), past=st.sampled_from([-1, 0, 0, 1]))
    def come_to_an_edge(self, data: st.DataObject, past: int) -> None:
        space = self.model.space
        edges = {at for queue in space.queues.values() for _, at in queue.scheduled.items()}
        edges |= {at for _, at in space.forget.items()}
        edges |= {at for _, at in space.results_due.items()}
        edges |= {tat_us // 1000 for tat_us in space.limits.values()}
        edges |= {pause.until_ms for pause in space.paused.values()}
        ahead = sorted(at + past for at in edges if at + past > self.now_ms)
        if ahead:
            self.now_ms = data.draw(st.sampled_from(ahead))

    @precondition(lambda self: self.bodies)
    @rule(data=st.data(), client=st.sampled_from(["c1", "c2"]))
    def wait_for(self, data: st.DataObject, client: str) -> None:
        """For the ends of some that there were, and of one that there wasn't."""
        known = st.sampled_from(sorted(self.bodies))
        uids = data.draw(st.lists(known, min_size=1, max_size=6, unique=True), label="uids")
        jobs = tuple((uid, data.draw(ids)) for uid in (*uids, "f" * 32))
        self.wait_for_ends(client, jobs)


#: What it must have met, in the words of :func:`~trioq.testing.machines.calls.kinds` or its own.
PROMISES = (
    *(f"{verb}: {how}" for verb in VERBS for how in ("accepted", "refused")),
    "step: ok", "step: again", "step: old", "step: gone", "step: claims a suspect",
    "reap: reaped", "reap: alive", "reap: gone", "beat: gone",
    "enqueue: live", "enqueue: seen", "enqueue: waits", "enqueue: QueueFull",
    "enqueue: drops", "enqueue: MustWait", "enqueue: after a wait",
    "replace: replaced", "replace: moved", "replace: running",
    "cancel: cancelled", "cancel: asked", "cancel: dead", "cancel: unknown",
    "step: cancels what was asked to end", "reap: cancels what was asked to end",
    "step: tells of an ask", "step: tells of a door", "step: tells what is paused",
    "step: lifts a pause",
    "wait_for: live", "wait_for: done", "wait_for: dead", "wait_for: cancelled",
    "wait_for: expired", "wait_for: unknown", "wait_for: room",
    "note: kept", "note: refused", "note_files: something", "step: tells what was noted",
    "revive: something", "revive: another payload", "purge_dead: something", "purge: something",
    "pause: something",
    "wait: something", "expire_parked: something", "hasten: something", "hasten: nothing",
    "forget_queues: something", "forget_queues: nothing", "forget_queues: jobs run",
)  # fmt: skip
