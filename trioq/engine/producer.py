"""Looks through a directory and hands new and changed files to the limiter.

What was enqueued is remembered on the server, in the same script that enqueues: a restart
or another producer on the same directory enqueues nothing twice.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Generator, Sequence

import attrs
import trio

from trioq.core.codec import encode
from trioq.core.events import FileSkipped, Report, ScanFailed, ScanFinished
from trioq.core.job import NO_HEADERS, Record, new_uid
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.scan import Found, ScanError, ScanRules, Skipped, look_again, scan
from trioq.engine.tracing import Tracer
from trioq.errors import StoreBusy, StoreUnreachable
from trioq.store.protocol import NewJob

#: Files looked at in one hop.
CHUNK = 200

#: Files that were still being written are looked at again so often before the next scan,
#: and of so many of them the looks are kept.
LOOKS = 10
YOUNG_MAX = 1000


@attrs.define
class Producer:
    """Scans once, or again and again.

    Args:
      job: The handler that gets each file.
      found: Takes what is to be enqueued.
    """

    caller: Caller
    rules: ScanRules
    job: str
    watch: bool
    interval_s: float
    outage: Outage
    report: Report
    found: trio.MemorySendChannel[Sequence[NewJob]]
    tracer: Tracer | None = None
    _reported: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]], init=False)

    async def run(self) -> None:
        """Scan until cancelled, or once where ``watch`` is off."""
        async with self.found:
            while True:
                try:
                    await self._scan_once()
                except ScanError as error:
                    self.report(ScanFailed(str(error)))
                if not self.watch:
                    return
                await trio.sleep(self.interval_s)

    async def _scan_once(self) -> None:
        started = trio.current_time()
        count = _Count()
        for _ in range(LOOKS):
            overflow = await self._look_through(count)
            if not overflow or self.watch:
                break  # the next scan has the rest
        took_s = trio.current_time() - started
        self.report(ScanFinished(count.found, count.new, count.skipped, took_s))

    async def _look_through(self, count: _Count) -> bool:
        """One walk, and further looks at what was still being written.

        Returns:
          Whether there were more such files than are kept for another look.
        """
        young = await self._send_all(scan(self.rules, now_ns=time.time_ns, check=_check), count)
        overflow = len(young) > YOUNG_MAX
        for _ in range(LOOKS):
            if not young:
                break
            await trio.sleep(self.rules.settle_s)
            again = look_again(self.rules, young[:YOUNG_MAX], now_ns=time.time_ns)
            young = await self._send_all(again, count)
        return overflow

    async def _send_all(
        self, looks: Generator[Found | Skipped, None, None], count: _Count
    ) -> list[Skipped]:
        """Send what is new; return what is still being written."""
        young: list[Skipped] = []
        try:
            while chunk := await trio.to_thread.run_sync(_take, looks):
                files = [look for look in chunk if isinstance(look, Found)]
                count.found += len(files)
                for skip in chunk:
                    if isinstance(skip, Found):
                        continue
                    if skip.reason != "still_written":
                        count.skipped += 1
                        self._tell_once(skip)
                    elif len(young) <= YOUNG_MAX:
                        young.append(skip)
                marks = await self._marks([file.path for file in files])
                new = [f for f, mark in zip(files, marks, strict=True) if mark != f.mark]
                if new:
                    count.new += len(new)
                    await self.found.send([self._new_job(file) for file in new])
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(looks.close)
        return young

    async def _marks(self, paths: list[str]) -> list[str | None]:
        while True:
            try:
                marks = await self.caller.call(self.caller.store.seen, paths)
            except (StoreUnreachable, StoreBusy) as error:
                await self.outage.failed("scan", error)
                continue
            self.outage.answered("scan")
            return marks

    def _new_job(self, file: Found) -> NewJob:
        uid = new_uid()
        record = Record(
            uid=uid,
            name=self.job,
            queue=file.queue,
            payload=json.dumps(file.payload(), separators=(",", ":")).encode("ascii"),
            enqueued_ms=time.time_ns() // 1_000_000,
            trace=self.tracer.found(uid, self.job, file.queue) if self.tracer else NO_HEADERS,
        )
        stored, big = encode(record)
        return NewJob(uid, file.queue, stored, big, seen=(file.path, file.mark))

    def _tell_once(self, skip: Skipped) -> None:
        """Every scan meets the same socket again; one line for it is enough."""
        if (skip.path, skip.reason) not in self._reported and len(self._reported) < 10_000:
            self._reported.add((skip.path, skip.reason))
            self.report(FileSkipped(skip.path, skip.reason, skip.detail))


@attrs.define
class _Count:
    found: int = 0
    new: int = 0
    skipped: int = 0


def _take(looks: Generator[Found | Skipped, None, None]) -> list[Found | Skipped]:
    return list(itertools.islice(looks, CHUNK))


def _check() -> None:
    """Ends a long walk that finds nothing, when the producer is cancelled."""
    trio.from_thread.check_cancelled()
