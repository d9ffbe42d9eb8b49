"""A real server and its specification, side by side: what the machines of the store share.

Beside the answers (:mod:`trioq.testing.machines.lockstep`) the whole data set is compared after
each call, and what the server holds must be sound, by itself and with its history. A machine adds
what it asks for, and what it promises in its own words.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import settings

from props.history import History
from tests.dump import Dump, dump, dump_of_model
from tests.invariants import assert_sound
from tests.support import Server
from trioq.core.calls import Enqueued, Existing, StepReply
from trioq.core.schedules.tick import Ticked
from trioq.store.protocol import StoreOptions
from trioq.testing import machines
from trioq.testing.machines.calls import (
    LINE,
    MAX_REAPS,
    QUEUES,
    Call,
    Granted,
    changed_nothing,
    queue_names,
    senders,
)
from trioq.testing.machines.lockstep import edited_by

__all__ = [
    "LINE",
    "MAX_REAPS",
    "QUEUES",
    "Call",
    "Granted",
    "LockStep",
    "as_test",
    "queue_names",
    "senders",
]


class LockStep(machines.LockStep):
    """RedisStore is what MemoryStore says."""

    server: ClassVar[Server]

    def __init__(self) -> None:
        super().__init__()
        self.held = dump(self.real)
        """What the server holds."""
        self.history = History()
        self.bodies = self.history.bodies

    def open(self, options: StoreOptions) -> Any:
        self.server.call("FLUSHALL")
        return self.server.store(options=options)

    def close(self) -> None:
        self.real.lane.close()

    def forget_cached(self) -> None:
        self.real.lane.call("SCRIPT", "FLUSH")

    def clock_went_back(self) -> None:
        self.history.clock_went_back()

    def all_is_done(self) -> None:
        left = self.held
        assert left.jobs.keys() == left.dead.keys(), "I15: some jobs are never done"
        assert not left.queues, f"I16: {left.queues}"
        assert not left.parked, f"I16: {left.parked}"

    def executed(self, call: Call, answer: Any) -> None:
        before, after = self.held, self.compare(call)
        if not changed_nothing(call, answer):
            self.tell_history(call, answer, before, after)
        else:
            assert _but_for_senders(before) == _but_for_senders(after), f"I18: {call}"

    def repeated(self, call: Call) -> None:
        after, again = self.held, self.compare(call)
        assert again == after, f"I17: {call}\n{after.difference(again)}"

    def compare(self, call: Call) -> Dump:
        """The server holds what the model holds, and it is sound."""
        self.held = dump(self.real)
        expected = dump_of_model(self.model.space)
        assert self.held == expected, f"{call}\n{self.held.difference(expected)}"
        assert_sound(self.held, max_reaps=MAX_REAPS, keep_done=self.options.keep_done)
        return self.held

    def tell_history(self, call: Call, answer: Any, before: Dump, after: Dump) -> None:
        is_new = before.senders != after.senders
        if call.verb == "enqueue" and isinstance(answer, Enqueued) and is_new:
            jobs = call.args[2]
            new = self.history.enqueued(jobs, answer, call.rate, self.now_ms)
            self.history.line_grew_at_its_end(new, before, after, self.now_ms)
            self.line_was_kept(call, {job.queue for job in new}, before, after)
            self.reached["enqueue: drops"] += before.dead.keys() != after.dead.keys()
            if call.taking is not None and call.taking.how != "dead" and new:
                self.history.lost_its_id(call.taking.uid)
        if call.verb == "replace" and getattr(answer, "word", "") == "replaced" and is_new:
            self.history.replaced(call.args[2].job)
        for edited in edited_by(call, self.model).values() if is_new else ():
            self.history.replaced(edited)
            self.reached["revive: another payload"] += 1
        job = call.args[3] if call.verb == "tick" else None
        if job is not None and isinstance(answer, Ticked) and is_new:
            existing = {0: Existing(answer.uid, "live")} if answer.word == "known" else {}
            enqueued = Enqueued(1, existing, frozenset())
            self.history.enqueued([job], enqueued, None, self.now_ms)
        if call.verb == "cancel":
            self.history.cancelled(call.args[2], answer)
        if call.verb == "step" and isinstance(answer, StepReply):
            (step,) = call.args
            self.history.stepped(step, answer, before, after)
            self.claims += (
                Granted(step.boot, claim.uid, step.number, claim.attempts, claim.suspect)
                for claim in answer.claims
            )
        settlements = call.args[0].settlements if call.verb == "step" else ()
        script = "enqueue" if call.verb == "tick" else call.verb
        self.history.called(script, before, after, self.now_ms, settlements)

    def line_was_kept(self, call: Call, queues: set[str], before: Dump, after: Dump) -> None:
        """By these jobs that were queued now, in the queues for which one waits."""
        places = [place.split() for line in before.line.values() for place in line]
        mine = [int(nth) for uid, nth, *_ in places if uid == call.args[2][0].uid]
        nth = mine[0] if mine else call.who.nth if call.who else 0
        for queue in queues & self.options.max_lengths.keys():
            if self.options.when_full.get(queue) != "drop_oldest":
                most = self.options.max_lengths[queue]
                self.history.nobody_overtook(
                    queue, before, after, most=most, nth=nth, now_ms=self.now_ms
                )
        self.reached["enqueue: after a wait"] += bool(nth)


def as_test(machine: type[LockStep], *promises: str, share: float = 1.0) -> Any:
    """The machine as a test, with its share of the examples that a profile gives to one.

    Args:
      promises: What it must have met, in the words of :mod:`trioq.testing.machines.calls` or in its
          own.
    """
    case = machines.as_test(machine, *promises)
    case.settings = settings(max_examples=round(settings.default.max_examples * share))
    # It executes each request again by itself, and compares what every single one did.
    case.pytestmark = [pytest.mark.direct]
    return case


def _but_for_senders(dump: Dump) -> Dump:
    """A client's number is remembered also where nothing else changes."""
    return attrs.evolve(dump, senders={})
