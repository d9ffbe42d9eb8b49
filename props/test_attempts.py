"""A job is tried until it succeeds or has used up its attempts, and only failures use one up.

Each job has a story, as its owner would tell it: how often it failed, how often it was alone
with an engine that died, what its errors were. After each move the server must tell the same
story, and the job must be what was enqueued, byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Literal

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from props.lockstep import MAX_REAPS, Call, Granted, LockStep, as_test, queue_names
from trioq.core import retry
from trioq.core.calls import Gone
from trioq.core.formats.record import decode
from trioq.core.model.lives import FIRST_LINES, LAST_LINES
from trioq.core.outcome import DeadReason, Error, Failed, Interrupted, Outcome, Snoozed, Succeeded
from trioq.core.retry import Retry, decide
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement
from trioq.store.protocol import LOST

RETRY = Retry(max_attempts=4, base=1.0, cap=4.0, jitter=0.5)
OOPS = Error("ValueError", "no")

pytestmark = pytest.mark.usefixtures("lockstep_server")

Ending = Outcome | Literal["park"]
"""How a run ended, or why there was none."""

payloads = st.sampled_from([b"{}", b'{ "s" : "\\u00e9 \xc3\xa9" }', b"{" + b" " * 9000 + b"}"])
failures = st.sampled_from([Failed(OOPS), Failed(OOPS), Failed(OOPS, delay_s=5.0)])
fatal = st.sampled_from(
    [Failed(OOPS, permanent="gave_up"), Failed(OOPS, delay_s=5.0, permanent="bad_payload")]
)
harmless: st.SearchStrategy[Ending] = st.sampled_from([Snoozed(2.0), Interrupted(), "park"])
endings = failures | failures | harmless | harmless | fatal | st.just(Succeeded())
lots = st.sampled_from([0.0, 0.5, 0.999])


@attrs.define
class Story:
    """What has become of a job."""

    payload: bytes
    queue: str
    failures: int = 0
    """Since it was enqueued or revived, here and below."""
    crashes: int = 0
    errors: list[bytes] = attrs.field(factory=list[bytes])
    """All there ever were."""
    dead: DeadReason | None = None
    is_done: bool = False

    def kept(self) -> bytes:
        """Of its errors, what is promised to be there still."""
        first, last = self.errors[:FIRST_LINES], self.errors[FIRST_LINES:]
        if len(last) > LAST_LINES:
            first.append(b'{"omitted":%d}' % (len(last) - LAST_LINES))
        return b"\n".join(first + last[-LAST_LINES:])


class AttemptsMachine(LockStep):
    """One engine at a time; when it dies, another takes its place."""

    def __init__(self) -> None:
        super().__init__()
        self.stories: dict[str, Story] = {}
        self.engine = ""
        self.ids = count(1)

    @initialize(payload=payloads, ends=st.lists(endings, max_size=3), crashes=st.integers(0, 2))
    def begin(self, payload: bytes, ends: list[Ending], crashes: int) -> None:
        """Some runs have ended, and some with their engine."""
        self.start()
        self.enqueue("low", payload, 2)
        for how in ends:
            self.settle([(claim, how) for claim in self.wait_and_claim(1)], 0.5)
        for _ in range(crashes):
            self.wait_and_claim(1)
            self.crash()

    @rule(queue=queue_names, payload=payloads, many=st.integers(1, 3))
    def enqueue(self, queue: str, payload: bytes, many: int) -> None:
        jobs = tuple(self.make_job(queue, payload=payload) for _ in range(many))
        self.write("enqueue", "s1", jobs)
        self.stories |= {job.uid: Story(payload, queue) for job in jobs}

    @rule(want=st.integers(1, 3))
    def claim(self, want: int) -> None:
        """A claim says how often its job has failed."""
        for claim in self.wait_and_claim(want):
            assert claim.attempts == self.stories[claim.uid].failures

    @precondition(lambda self: self.running())
    @rule(data=st.data(), lot=lots)
    def end(self, data: st.DataObject, lot: float) -> None:
        """Handlers return, raise, give up, are cut short, ask for later, or aren't known here."""
        claims = self.running()
        some = st.lists(st.sampled_from(claims), min_size=1, max_size=3, unique=True)
        self.settle([(c, data.draw(endings)) for c in data.draw(some)], lot)

    @precondition(lambda self: self.stories)
    @rule(lot=lots, lives=st.sampled_from([1, 1, 2, 8]))
    def fail_and_fail(self, lot: float, lives: int) -> None:
        """A job that never succeeds runs as often as it may, in each of its lives."""
        claims = self.running() or self.wait_and_claim(1)
        if not claims:
            return
        uid = claims[0].uid
        for _ in range(lives):
            runs, left = 0, RETRY.max_attempts - self.stories[uid].failures
            while self.stories[uid].dead is None:
                mine = [claim for claim in self.running() if claim.uid == uid]
                if mine:
                    self.settle([(mine[0], Failed(OOPS))], lot)
                    runs += 1
                else:
                    self.wait_and_claim(1)
            assert runs == left
            assert self.stories[uid].dead == "failures"
            self.bring_back([uid])

    # -- what costs no attempt -----------------------------------------------------------------

    @rule()
    def shut_down(self) -> None:
        self.execute(Call("sign_off", (self.engine,)))
        self.start()

    @rule()
    def crash(self) -> None:
        """Blamed is who was held as a suspect, or alone: not as an attempt."""
        claims = self.running()
        for claim in claims:
            if claim.suspect or len(claims) == 1:
                story = self.stories[claim.uid]
                story.crashes += 1
                if story.crashes == MAX_REAPS:
                    story.dead = "worker_lost"
                    story.errors.append(LOST)
        signs = self.model.space.boots[self.engine].signs
        self.execute(Call("reap", (self.engine, signs, MAX_REAPS)))
        self.start()

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), ending=endings, lot=lots)
    def act_too_late(self, data: st.DataObject, ending: Ending, lot: float) -> None:
        """Whoever was reaped, or has settled it before, settles a claim."""
        over = [claim for claim in self.claims if not self.holds(claim)]
        if not over:
            return
        claim = data.draw(st.sampled_from(over))
        reply = self.step(claim.engine, 0, (self.settlement(claim, ending, lot),), suspect=False)
        assert isinstance(reply, Gone) or reply.refused == {claim.uid}

    # -- dead, and not for ever ----------------------------------------------------------------

    @precondition(lambda self: self.model.space.dead)
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        """A full new set of attempts, and the errors go on."""
        uids = sorted(self.model.space.dead)
        self.bring_back(data.draw(st.lists(st.sampled_from(uids), min_size=1, unique=True)))

    def bring_back(self, some: Sequence[str]) -> None:
        jobs = tuple((uid, self.stories[uid].queue) for uid in some)
        assert self.write("revive", "s1", jobs).count == len(some)
        for uid in some:
            story = self.stories[uid]
            story.failures = story.crashes = 0
            story.dead = None

    # -- the promise ---------------------------------------------------------------------------

    @invariant()
    def the_server_tells_the_same_story(self) -> None:
        held = self.held
        assert held.jobs.keys() == {uid for uid, s in self.stories.items() if not s.is_done}
        assert dict(held.reasons) == {uid: s.dead for uid, s in self.stories.items() if s.dead}
        for uid, stored in held.jobs.items():
            story = self.stories[uid]
            assert held.attempts.get(uid, 0) == story.failures
            assert held.reaps.get(uid, 0) == story.crashes
            assert held.history.get(uid, b"") == story.kept()
            record = decode(uid, stored).record
            assert (held.big.get(uid) or record.payload) == story.payload

    # -- how it is done ------------------------------------------------------------------------

    def start(self) -> None:
        self.engine = f"e.{next(self.ids)}"
        self.execute(Call("register", (self.engine, b"{}")))

    def wait_and_claim(self, want: int) -> list[Granted]:
        """Time passes until there is something; an engine holds one suspect at a time."""
        due = [at for queue in self.held.queues.values() for at in queue.scheduled.values()]
        ready = [uid for queue in self.held.queues.values() for uid in queue.ready]
        if due and not ready:
            self.now_ms = max(self.now_ms, min(due))
        before = len(self.claims)
        self.step(self.engine, want, suspect=not any(c.suspect for c in self.running()))
        return self.claims[before:]

    def settle(self, ended: Sequence[tuple[Granted, Ending]], lot: float) -> None:
        settlements = tuple(self.settlement(claim, how, lot) for claim, how in ended)
        reply = self.step(self.engine, 0, settlements)
        assert not reply.refused
        for (claim, how), settlement in zip(ended, settlements, strict=True):
            story = self.stories[claim.uid]
            if isinstance(how, Failed):
                story.failures += 1
                story.errors.append(self.line(claim))
                is_last = story.failures == RETRY.max_attempts
                story.dead = how.permanent or ("failures" if is_last else None)
            story.is_done = how == Succeeded()
            if isinstance(settlement, RetryAt):
                self.waits(claim, how)

    def waits(self, claim: Granted, how: Ending) -> None:
        """For as long as it asked, or for the time that doubles, less its jitter."""
        story = self.stories[claim.uid]
        due_ms = self.held.queues[story.queue].scheduled[claim.uid] - self.now_ms
        if isinstance(how, Failed) and how.delay_s is None:
            most_ms = min(4000, 1000 * 2 ** (story.failures - 1))
            assert most_ms // 2 <= due_ms <= most_ms
        else:
            assert isinstance(how, Failed | Snoozed)
            assert due_ms == (5000 if isinstance(how, Failed) else 2000)

    def line(self, claim: Granted) -> bytes:
        return b'{"attempt":%d,"step":%d}' % (claim.attempts + 1, claim.n)

    def settlement(self, claim: Granted, how: Ending, lot: float) -> Settlement:
        """What a worker makes of it."""
        uid, n, attempt = claim.uid, claim.n, claim.attempts + 1
        if how == "park":
            return Park(uid, n, self.stories[uid].queue, "noop")
        match decide(how, attempt=attempt, retry=RETRY, random=lot):
            case retry.Ack():
                return Ack(uid, n)
            case retry.Release():
                return Release(uid, n)
            case retry.Dead(reason):
                return DeadLetter(uid, n, attempt, reason, self.line(claim))
            case retry.RetryIn(delay_ms, None):
                return RetryAt(uid, n, delay_ms, claim.attempts)
            case retry.RetryIn(delay_ms):
                return RetryAt(uid, n, delay_ms, attempt, self.line(claim))


TestAttempts = as_test(
    AttemptsMachine,
    "ack: accepted", "retry: accepted", "dead: accepted", "release: accepted", "park: accepted",
    "retry: refused", "reap: reaped", "reap: kills", "revive: something",
    share=0.2,
)  # fmt: skip
