"""What a namespace was asked and has answered, and what that forbids.

The numbers of the invariants are those of :mod:`tests.invariants`, which has the ones that
a single moment shows. Nothing here knows the model: what is checked is read from the server.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from props.table import moves_made
from tests.dump import Dump, Waiting
from trioq.core.calls import CancelWord, Enqueued, NewJob, Rate, Step, StepReply, Unwanted
from trioq.core.formats.ids import id_in
from trioq.core.settlements import Settlement


@attrs.define
class History:
    """Is told of each call with what the server held before and after it."""

    bodies: dict[str, NewJob] = attrs.field(factory=dict[str, NewJob])
    """Every job that was ever queued."""
    may_start: set[str] = attrs.field(factory=set[str])
    """Who was enqueued or put back since its last start."""
    granted: set[tuple[str, str, int]] = attrs.field(factory=set[tuple[str, str, int]])
    """Every claim ever made: engine, uid, step."""
    asked: set[str] = attrs.field(factory=set[str])
    """Who was asked to end while it ran, and wasn't revived since."""
    lost: set[str] = attrs.field(factory=set[str])
    """Whose id another job took while it ran, and which hasn't got it back since."""
    settled: set[tuple[str, str, int]] = attrs.field(factory=set[tuple[str, str, int]])
    permits: list[tuple[int, int]] = attrs.field(factory=list[tuple[int, int]])
    """When the limiter granted how many, since the clock last went back."""

    def called(
        self,
        verb: str,
        before: Dump,
        after: Dump,
        now_ms: int,
        settlements: Sequence[Settlement] = (),
    ) -> None:
        """After any call; a step's settlements are what it asked for."""
        moves_made(verb, settlements, before, after)
        self._bodies_are_untouched(after)
        self._some_have_their_ids_back(after)
        self._counters_move_only_with_their_cause(verb, before, after)
        self._nothing_is_promoted_early(verb, before, after, now_ms)
        if verb in ("reap", "sign_off", "revive"):
            self._put_back(before, after)
        if verb != "step":
            self._running_only_shrinks(verb, before, after)

    # -- what was asked, and answered --------------------------------------------------

    def enqueued(
        self, jobs: Sequence[NewJob], answer: Enqueued, rate: Rate | None, now_ms: int
    ) -> list[NewJob]:
        """These were queued now; not called for a repetition. Returns the new ones."""
        new = [
            job
            for i, job in enumerate(jobs[: answer.taken])
            if i not in answer.existing and i not in answer.seen
        ]
        for job in new:
            assert job.uid not in self.bodies, f"I17: {job.uid} was queued twice"
            self.bodies[job.uid] = job
            self.may_start.add(job.uid)
        if rate:
            self._limit_holds(len(new), rate, now_ms * 1000)
        return new

    def cancelled(self, jobs: Sequence[Unwanted], words: Sequence[CancelWord]) -> None:
        """So a cancel of these was answered; not called for a repetition."""
        self.asked |= {job.uid for job, word in zip(jobs, words, strict=True) if word == "asked"}

    def replaced(self, job: NewJob) -> None:
        """It has this payload from now on, and waits for this turn."""
        self.bodies[job.uid] = job

    def lost_its_id(self, uid: str) -> None:
        """Its next run is another job, as long as that lives."""
        self.lost.add(uid)

    def _some_have_their_ids_back(self, after: Dump) -> None:
        """Who waits again, and no job that lives has its id."""
        self.lost = {uid for uid in self.lost if not id_in(after.id_of.get(uid, ""))}

    def line_grew_at_its_end(
        self, new: Sequence[NewJob], before: Dump, after: Dump, now_ms: int
    ) -> None:
        """I10, first half: who comes later stands behind, among those of its key."""
        for queue in {job.queue for job in new}:
            old = before.queues.get(queue, Waiting()).in_line
            dropped = sum(uid in after.dead for uid in old)
            assert not any(uid in after.jobs.keys() - after.dead for uid in old[:dropped]), (
                "I10: newer ones were dropped"
            )
            line = old[dropped:]
            at_once = [job for job in new if job.due_ms(now_ms) <= now_ms]
            line += [job.uid for job in at_once if job.queue == queue]
            for key in {job.fair and job.fair.key for job in new}:
                now = self._of_key(key, after.queues[queue].in_line)
                assert now == self._of_key(key, line), "I10: not first in, first out"

    def _of_key(self, key: str | None, uids: Sequence[str]) -> list[str]:
        """Those that have this fair key; None: that have none."""
        fair_of = {uid: self.bodies[uid].fair for uid in uids}
        return [uid for uid, fair in fair_of.items() if (fair and fair.key) == key]

    def nobody_overtook(
        self, queue: str, before: Dump, after: Dump, *, most: int, nth: int, now_ms: int
    ) -> None:
        """I29: somebody got into this queue with that place in line, or with none (0): whoever
        stands before it, and has asked lately, would fit too."""
        waiting = after.queues.get(queue, Waiting())
        needed = len(waiting.in_line) + len(waiting.scheduled)
        for place in before.line.get(queue, ()):
            _, other, until_ms, _, jobs, *_ = place.split()
            if int(until_ms) > now_ms and (not nth or int(other) < nth):
                needed += int(jobs)
        assert needed <= most, f"I29: {needed} of {most} would have to fit into {queue}"

    def stepped(self, step: Step, reply: StepReply, before: Dump, after: Dump) -> None:
        """This step was executed now; not called for a repetition."""
        self._settled(step, before, after)
        self._some_have_their_ids_back(after)
        for claim in reply.claims:
            body = self.bodies[claim.uid]
            assert claim.stored == body.stored, f"I3: {claim.uid} isn't what was enqueued"
            named = (step.boot, claim.uid, step.number)
            assert named not in self.granted, f"I6: {named} was granted twice"
            self.granted.add(named)
            assert claim.uid in self.may_start, f"I23: {claim.uid} starts again without a reason"
            self.may_start.remove(claim.uid)
            assert claim.uid not in self.asked, f"I27: {claim.uid} starts again, asked to end"
            assert claim.uid not in self.lost, f"I27: {claim.uid} starts again without its id"
            assert after.running[step.boot][claim.uid].step == step.number, (
                "I4: claimed, not running"
            )
        self._nobody_was_passed_over(step, reply, before, after)

    def clock_went_back(self) -> None:
        """The limit's bound holds between two jumps, not across them."""
        self.permits.clear()

    # -- what must hold ----------------------------------------------------------------

    def _settled(self, step: Step, before: Dump, after: Dump) -> None:
        """I5, I21: what an engine no longer holds, it has settled, by the claim's own number."""
        asked = {(s.uid, s.step) for s in step.settlements}
        for engine, held in before.running.items():
            for uid, hold in held.items():
                if after.running.get(engine, {}).get(uid) == hold:
                    continue
                assert engine == step.boot, f"I5: {step.boot} ended a claim of {engine}"
                assert (uid, hold.step) in asked, f"I5: {uid} ended by a step that doesn't say so"
                named = (engine, uid, hold.step)
                assert named not in self.settled, f"I21: {named} was settled twice"
                self.settled.add(named)
                if uid in after.jobs and uid not in after.dead:
                    self.may_start.add(uid)

    def _nobody_was_passed_over(
        self, step: Step, reply: StepReply, before: Dump, after: Dump
    ) -> None:
        """I10: claims come from the front, and from the first queue that has something."""
        claimed = dict[tuple[str, str | None], set[str]]()
        for claim in reply.claims:
            job = self.bodies[claim.uid]
            claimed.setdefault((job.queue, job.fair and job.fair.key), set()).add(claim.uid)
        for (queue, key), uids in claimed.items():
            left = set(after.queues.get(queue, Waiting()).in_line)
            line = self._of_key(key, before.queues.get(queue, Waiting()).in_line)
            last = max((at for at, uid in enumerate(line) if uid in uids), default=0)
            passed = left.intersection(line[:last])
            assert not passed, f"I10: {uids} overtook {passed}"
            for earlier in step.queues[: step.queues.index(queue)]:
                if earlier not in after.paused:
                    waits = after.queues.get(earlier, Waiting()).in_line
                    assert not waits, f"I10b: {queue} was served while {earlier} has {waits}"

    def _put_back(self, before: Dump, after: Dump) -> None:
        was = {uid for held in before.running.values() for uid in held} | before.dead.keys()
        revived = before.dead.keys() - after.dead.keys()
        self.asked -= revived
        self.lost -= revived
        still = {uid for held in after.running.values() for uid in held} | after.dead.keys()
        self.may_start |= (was - still) & after.jobs.keys()

    def _running_only_shrinks(self, verb: str, before: Dump, after: Dump) -> None:
        """I5: only a step, a reap and a sign-off touch what runs."""
        for engine, held in before.running.items():
            now = after.running.get(engine)
            assert now == held or (now is None and verb in ("reap", "sign_off")), f"I5: {verb}"
        assert after.running.keys() <= before.running.keys(), f"I5: {verb} made something run"

    def _bodies_are_untouched(self, after: Dump) -> None:
        """I3"""
        for uid, stored in after.jobs.items():
            body = self.bodies[uid]
            assert (stored, after.big.get(uid, b"")) == (body.stored, body.big), f"I3: {uid}"

    def _counters_move_only_with_their_cause(self, verb: str, before: Dump, after: Dump) -> None:
        """I7: attempts by a settlement, reaps by a reap, one at a time; a revival and another
        payload begin anew."""
        begins_anew = verb in ("revive", "replace")
        for uid in before.jobs.keys() & after.jobs.keys():
            reaps = after.reaps.get(uid, 0) - before.reaps.get(uid, 0)
            tries = after.attempts.get(uid, 0) - before.attempts.get(uid, 0)
            assert reaps == 0 or (verb == "reap" and reaps == 1) or begins_anew, f"I7: {uid}"
            assert tries == 0 or verb == "step" or begins_anew, f"I7: {uid}"
            old, new = before.history.get(uid, b""), after.history.get(uid, b"")
            assert new.startswith(old) or b"omitted" in new, f"I7: history of {uid} was rewritten"

    def _nothing_is_promoted_early(self, verb: str, before: Dump, after: Dump, now_ms: int) -> None:
        """I20"""
        for name, queue in before.queues.items():
            left = queue.scheduled.keys() - after.queues.get(name, Waiting()).scheduled.keys()
            for uid in left & after.jobs.keys():
                assert verb == "step", f"I20: {verb} promoted {uid}"
                assert queue.scheduled[uid] <= now_ms, f"I20: {uid} is {queue.scheduled[uid]}"

    def _limit_holds(self, count: int, rate: Rate, now_us: int) -> None:
        """I12: in no window up to now more than a burst and what the rate gives."""
        self.permits.append((now_us, count))
        total = 0
        for at_us, granted in reversed(self.permits):
            total += granted
            most = rate.burst + (now_us - at_us) // rate.interval_us
            assert total <= most, f"I12: {total} permits in {now_us - at_us} us"
