"""A producer as an engine has it, and what it has enqueued."""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.engine.rig import Rig, Wire, Wires
from trioq.core.calls import NewJob
from trioq.core.flow import NO_PLAN, Plan
from trioq.engine.bridge import ThreadCaller
from trioq.engine.outage import Outage
from trioq.engine.sources.directory import Producer
from trioq.engine.sources.forgetting import Forgetter
from trioq.engine.sources.scan.walk import ScanRules
from trioq.engine.sources.sender import Limiter


def write(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@attrs.define
class Scanner:
    """A producer and its limiter, as an engine has them, that takes files of any age."""

    rig: Rig
    root: Path
    watch: bool = False
    interval_s: float = 0.02
    plan: Plan = NO_PLAN
    forget_after_s: float = 3600.0
    ignore_ctime: bool = False
    wires: Wires = attrs.field(init=False)
    wire: Wire = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.wires = self.rig.connect()
        self.wire = self.wires.store("produce")

    async def run(self) -> None:
        outage = Outage(self.rig.report, random.random)
        rules = ScanRules(
            self.root,
            ("**/*",),
            ("**/*.tmp",),
            {".pdf": "high"},
            "low",
            settle_s=0.0,
            ignore_ctime=self.ignore_ctime,
        )
        send, receive = trio.open_memory_channel[Sequence[NewJob]](0)
        caller = ThreadCaller(self.wire, 5.0)
        limiter = Limiter(caller, None, outage, self.rig.report, random.random)
        scan = ThreadCaller(self.wires.store("scan"), 5.0)
        forgetter = Forgetter(
            caller=scan,
            directory=self.root,
            forget_after_s=self.forget_after_s,
            outage=outage,
            report=self.rig.report,
        )
        producer = Producer(
            scan, rules, "fingerprint", lambda queue: self.plan,
            self.watch, self.interval_s, outage, self.rig.report, send, forgetter,
        )  # fmt: skip
        async with trio.open_nursery() as nursery:
            nursery.start_soon(limiter.run, receive)
            nursery.start_soon(producer.run)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        self.watch = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run)
            yield
            nursery.cancel_scope.cancel()


def jobs(rig: Rig) -> list[dict[str, Any]]:
    """The payloads of all jobs that wait, in the order of their claims."""
    payloads = []
    for queue in ("high", "low"):
        for uid in reversed(rig.key("LRANGE", f"ready:{queue}", 0, -1)):
            header, payload = rig.key("HGET", "jobs", uid).split(b"\n", 1)
            payloads.append({**json.loads(payload), "queue": json.loads(header)["queue"]})
    return payloads


def names(rig: Rig) -> list[str]:
    return [os.path.basename(job["path"]) for job in jobs(rig)]
