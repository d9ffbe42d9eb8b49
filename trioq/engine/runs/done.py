"""What is said of jobs that are simply done: once for many, whoever has run them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs
import trio

from trioq.core.board import Board
from trioq.core.events import JobsSucceeded, Quick, Report, ResultNotKept
from trioq.core.formats.summary import noted
from trioq.core.keep import Kept
from trioq.core.settlements import Ack, Deliver
from trioq.core.wall import wall_s
from trioq.engine.claim import Claimer, Held
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.drops import Drops
from trioq.engine.runs.plan import Header, Plan
from trioq.engine.runs.settle import not_kept
from trioq.engine.snapshot import Recent

#: How long most of them take, as a summary has it in milliseconds: by microseconds.
_TOOK_MS = tuple(f"{us / 1000:.3f}" for us in range(1000))

_quoted = json.encoder.encode_basestring_ascii

Done = tuple[Held, Header, float, float, str | None, Kept | None, Board | None]
"""A run that waited for nothing, with nothing left to be looked at: its claim, its header, how long
it took (s), when it ended by trio's clock, what names its span, if it's traced, what is kept of
what it returned, if that is wanted, and what it has said, if anything."""


@attrs.define(eq=False)
class Alike:
    """Runs of one plan."""

    runs: list[Quick] = attrs.field(factory=list[Quick])
    workers: list[int] = attrs.field(factory=list[int])
    are_plain: bool = True


@attrs.frozen
class DoneTeller:
    """Tells the claimer first, and then everybody else."""

    breakers: Breakers
    report: Report
    recent: Recent
    drops: Drops

    def tell(
        self,
        done: Sequence[Done],
        by: Claimer,
        workers: Sequence[int] = (),
        *,
        alone: bool = True,
    ) -> None:
        """Settle these.

        Their summaries are those of :mod:`trioq.core.formats.summary`, put together sooner.

        Args:
          workers: Of those that ran beside each other, and were told of when they began: which one
            ran each. Empty: it's told of both now.
          alone: Of those: they ran one after the other.
        """
        has_waited = bool(workers)
        now = trio.current_time()
        wall, engine = wall_s() - now, f',"engine":{_quoted(by.boot)}'
        settled: list[Ack | Deliver] = []
        unkept: list[ResultNotKept] = []
        by_plan: dict[Plan, Alike] = {}
        spent_s, result_bytes = 0.0, 0
        last: Header | None = None
        for n, (held, header, took_s, ended, trace, kept, board) in enumerate(done):
            if header is not last:
                last, plan = header, header.plan
                enqueued_ms, wanted_ms = header.enqueued_ms, header.wanted_ms
                more = f',"enqueued_ms":{enqueued_ms}{engine}{header.of_summary}'
                alike = by_plan.get(plan) or by_plan.setdefault(plan, Alike())
            uid, attempt, ended_at = held.uid, held.attempt, wall + ended
            spent_s += took_s
            took_us = int(took_s * 1e6 + 0.5)
            took_ms = _TOOK_MS[took_us] if took_us < 1000 else f"{took_s * 1000:.3f}"
            its_trace = "" if trace is None else f',"trace":{_quoted(trace)}'
            summary = (
                f'{{"uid":{_quoted(uid)}{plan.of_summary}{attempt},"took_ms":{took_ms},'
                f'"at_ms":{int(ended_at * 1000)}{more}{its_trace}'
                f"{'' if board is None else noted(board, attempt)}}}"
            )
            if kept is None:
                settled.append(Ack(uid, held.step, summary.encode()))
            else:
                assert plan.keep is not None
                settled.append(
                    Deliver(
                        uid, held.step, plan.keep.for_ms,
                        kept.word, kept.value, summary.encode(),
                    )
                )  # fmt: skip
                result_bytes += len(kept.value)
                if kept.word != "done":
                    worker = workers[n] if has_waited else None
                    unkept += not_kept(held, plan.name, plan.queue, kept, worker)
            alike.runs.append(
                (uid, attempt, held.suspect, enqueued_ms, wanted_ms, took_s, ended_at)
            )
            if has_waited:
                alike.workers.append(workers[n])
            if attempt > 1 or held.suspect or wanted_ms != enqueued_ms:
                alike.are_plain = False
        by.settle_many(
            settled,
            took_s=spent_s / len(settled),
            alone=alone and not has_waited,
            result_bytes=result_bytes,
        )
        for plan, alike in by_plan.items():
            self.breakers.succeeded(plan.name, len(alike.runs), now)
            self.recent.done[plan.queue] += len(alike.runs)
            self.report(
                JobsSucceeded(
                    plan.name, plan.queue, alike.runs, alike.are_plain, has_waited, alike.workers
                )
            )
            if plan.drops:
                self.drops.tell(plan.name, plan.queue)
        for event in unkept:
            self.report(event)
