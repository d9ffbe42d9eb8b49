"""What a benchmark is asked for, with defaults that depend on one another."""

from __future__ import annotations

from typing import Any

import attrs

from trioq.cli import WRONG_USE
from trioq.cli.bench.load import Load
from trioq.cli.common import fail
from trioq.core.config import Config
from trioq.core.config.rules import did_you_mean

#: Offered to an idle system: by far less than it can do, and never in step with anything.
IDLE_RATE = 25.0

RATES = {"load": 500.0, "latency": IDLE_RATE}
JOBS = {"load": 1000, "latency": 200, "drain": 20_000, "enqueue": 20_000}
PAYLOAD_BYTES = 200


@attrs.frozen
class Wanted:
    """All of it."""

    mode: str
    load: Load
    engines: int
    """0: those that are there."""
    workers: int
    patience_s: float

    def as_json(self) -> dict[str, Any]:
        about: dict[str, Any] = {"mode": self.mode, "jobs": self.load.jobs}
        if self.load.job is None:
            about |= {"payload_bytes": self.load.payload_bytes, "work_s": self.load.work_s}
        else:
            about["job"] = self.load.job[0]
        about |= {"queues": list(self.load.queues), "seed": self.load.seed}
        if not self.engines:
            about["engines"] = "existing"
        elif self.mode != "enqueue":
            about |= {"engines": self.engines, "workers": self.workers}
        return about

    def __str__(self) -> str:
        load = self.load
        what = f"jobs of {load.payload_bytes:,} B" if load.job is None else f"× {load.job[0]}"
        text = f"{load.jobs:,} {what} into {'+'.join(load.queues)}"
        if load.rate:
            text += f" at {load.rate:g}/s"
        if load.work_s:
            text += f", {load.work_s:g} s each"
        if not self.engines:
            text += "; the engines that are there"
        elif self.mode != "enqueue":
            text += f"; {self.engines} engine{'s'[: self.engines > 1]} of {self.workers} workers"
        return f"{text}; seed {load.seed}"


def wanted(
    config: Config,
    *,
    mode: str | None,
    jobs: int | None,
    rate: float | None,
    payload_bytes: int | None,
    work_s: float | None,
    queues: tuple[str, ...],
    engines: int,
    workers: int | None,
    seed: int,
    timeout: float,
    job: tuple[str, dict[str, Any]] | None,
) -> Wanted:
    """The options, checked; ends the command if they don't go together."""
    for queue in queues:
        if queue not in config.queue_names:
            hint = did_you_mean(queue, config.queue_names)
            fail(f"no queue {queue!r}{hint or f'; there are {_listed(config)}'}", WRONG_USE)
    mode = mode or "load"
    load = Load(
        jobs=jobs or JOBS[mode],
        rate=RATES.get(mode, 0.0) if rate is None else rate,
        payload_bytes=PAYLOAD_BYTES if payload_bytes is None else payload_bytes,
        queues=queues or (config.default_queue,),
        seed=seed,
        work_s=work_s or 0.0,
        jitter=1.0 if mode == "latency" else 0.0,
        job=job,
    )
    return Wanted(mode, load, engines, workers or config.worker.count, timeout)


def _listed(config: Config) -> str:
    return ", ".join(config.queue_names)
