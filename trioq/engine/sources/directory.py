"""Looks through a directory and hands new and changed files to the limiter.

What was enqueued is remembered on the server, in the same script that enqueues: a restart
or another producer on the same directory enqueues nothing twice. How long:
:mod:`trioq.engine.sources.forgetting`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Generator, Sequence

import attrs
import trio

from trioq.core.calls import NewJob
from trioq.core.events import FileSkipped, Report, ScanFailed, ScanFinished
from trioq.core.flow import Plan
from trioq.core.formats.record import encode
from trioq.core.job import NO_HEADERS, Record, new_uid
from trioq.core.seen import Sighting, judge, parts
from trioq.core.wall import wall_ms
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.sources.forgetting import Forgetter
from trioq.engine.sources.scan.settling import Young
from trioq.engine.sources.scan.walk import Found, ScanError, ScanRules, Skipped, look_again, scan
from trioq.engine.tracer import Tracer

#: Files looked at in one hop.
CHUNK = 200

#: One scan looks so often at files that go on being written, and walks again so often where
#: there were more of them than are kept.
LOOKS = 10

#: Files that settle so close together are looked at together.
TOGETHER_S = 0.05


@attrs.define
class Producer:
    """Scans once, or again and again.

    Args:
      job: The handler that gets each file.
      plan: What is so for its jobs in a queue.
      found: Takes what is to be enqueued.
      forgetter: Looks for files that are gone.
    """

    caller: Caller
    rules: ScanRules
    job: str
    plan: Callable[[str], Plan]
    watch: bool
    interval_s: float
    outage: Outage
    report: Report
    found: trio.MemorySendChannel[Sequence[NewJob]]
    forgetter: Forgetter
    tracer: Tracer | None = None
    _young: Young = attrs.field(init=False)
    _reported: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]], init=False)

    def __attrs_post_init__(self) -> None:
        self._young = Young(self.rules.settle_s)

    async def run(self) -> None:
        """Scan until cancelled, or once where ``watch`` is off."""
        async with self.found:
            if self.watch:
                await self._watch()
            else:
                await self._scan_once()

    async def _watch(self) -> None:
        """Scan again and again, and look at each young file as soon as it may have settled."""
        count, next_scan = _Count(), trio.current_time()
        while True:
            is_scan = trio.current_time() >= next_scan
            new = 0
            try:
                if is_scan:
                    await self._walk(count)
                    new = count.new
                    count = self._finished(count)
                else:
                    await self._look_again(trio.current_time(), count)
            except ScanError as error:
                self.report(ScanFailed(str(error)))
            if is_scan:
                await self.forgetter.look(new)
                next_scan = trio.current_time() + self.interval_s
            await trio.sleep_until(min(next_scan, self._young.next_due + TOGETHER_S))

    async def _scan_once(self) -> None:
        """Scan, and wait until all has settled that isn't written to again and again."""
        count = _Count()
        try:
            for _ in range(LOOKS):
                self._young.overflow = False
                await self._walk(count)
                for _ in range(LOOKS):
                    if not self._young:
                        break
                    await trio.sleep_until(self._young.last_due)
                    await self._look_again(self._young.last_due, count)
                if not self._young.overflow:
                    break
            self._finished(count)
        except ScanError as error:
            self.report(ScanFailed(str(error)))
        await self.forgetter.look()

    def _finished(self, count: _Count) -> _Count:
        """Tell what there was since this was last told."""
        self.report(ScanFinished(count.found, count.new, count.skipped, count.took_s, count.again))
        return _Count()

    async def _walk(self, count: _Count) -> None:
        started = trio.current_time()
        await self._send_all(scan(self.rules, now_ns=time.time_ns, check=_check), count)
        count.took_s += trio.current_time() - started

    async def _look_again(self, now: float, count: _Count) -> None:
        if due := self._young.take(now):
            await self._send_all(look_again(self.rules, due, now_ns=time.time_ns), count)

    async def _send_all(self, looks: Generator[Found | Skipped, None, None], count: _Count) -> None:
        """Send what is new; keep what is still being written."""
        try:
            while chunk := await trio.to_thread.run_sync(_take, looks):
                for look in chunk:
                    if isinstance(look, Skipped) and look.reason == "still_written":
                        self._young.keep(look, trio.current_time())
                        continue
                    self._young.forget(look.path)
                    # What has vanished was taken away by its owner: no news where files are
                    # handled, and if it is something else now, the next scan meets that.
                    if isinstance(look, Skipped) and look.reason != "vanished":
                        count.skipped += 1
                        self._tell_once(look)
                files = [look for look in chunk if isinstance(look, Found)]
                count.found += len(files)
                new, noted = await self._new_among(files, count)
                if noted:
                    await self.forgetter.note(noted)
                if new:
                    count.new += len(new)
                    await self.found.send([self._new_job(file) for file in new])
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(looks.close)

    async def _new_among(
        self, files: list[Found], count: _Count
    ) -> tuple[list[Found], list[Sighting]]:
        """Which are to be enqueued; and of those that were, what is to be remembered of them."""
        caller, paths = self.caller, [file.path for file in files]
        remembered = await self.outage.until_answered(
            "scan", lambda: caller.call(caller.store.seen, paths)
        )
        new, noted = list[Found](), list[Sighting]()
        for file, known in zip(files, remembered, strict=True):
            verdict = judge(known, file.mark)
            if verdict == "new":
                new.append(file)
                count.again += known is not None and parts(known)[0] == parts(file.mark)[0]
            elif verdict == "noted" and known is not None:
                noted.append(Sighting(file.path, known, False, file.mark))
        return new, noted

    def _new_job(self, file: Found) -> NewJob:
        uid, payload = new_uid(), file.payload()
        record = Record(
            uid=uid,
            name=self.job,
            queue=file.queue,
            payload=json.dumps(payload, separators=(",", ":")).encode("ascii"),
            enqueued_ms=wall_ms(),
            trace=self.tracer.found(uid, self.job, file.queue) if self.tracer else NO_HEADERS,
        )
        stored, big = encode(record)
        plan = self.plan(file.queue)
        return NewJob(
            uid, file.queue, stored, big,
            seen=(file.path, file.mark), takes=plan.takes(payload), fair=plan.turn(payload),
        )  # fmt: skip

    def _tell_once(self, skip: Skipped) -> None:
        """Every scan meets the same socket again; one line for it is enough."""
        if (skip.path, skip.reason) not in self._reported and len(self._reported) < 10_000:
            self._reported.add((skip.path, skip.reason))
            self.report(FileSkipped(skip.path, skip.reason, skip.detail))


@attrs.define
class _Count:
    found: int = 0
    new: int = 0
    again: int = 0
    skipped: int = 0
    took_s: float = 0.0


def _take(looks: Generator[Found | Skipped, None, None]) -> list[Found | Skipped]:
    return list(itertools.islice(looks, CHUNK))


def _check() -> None:
    """Ends a long walk that finds nothing, when the producer is cancelled."""
    trio.from_thread.check_cancelled()
