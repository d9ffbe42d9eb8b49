"""A cancel as it goes to the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trioq.core.calls import BootId, Unwanted
from trioq.store.keys import Keys


def encode(
    keys: Keys, sender: str, boots: Sequence[BootId], jobs: Sequence[Unwanted]
) -> tuple[list[str], list[Any]]:
    """KEYS, after those that the script's header names, and the end of ARGV."""
    queues = {queue: q for q, queue in enumerate(dict.fromkeys(job.queue for job in jobs), 1)}
    doors = {door: d for d, door in enumerate(dict.fromkeys((j.queue, j.name) for j in jobs), 1)}
    names = [
        keys.of("sender", sender),
        *(key for boot in boots for key in keys.of_boot(boot)),
        *keys.of_queues(queues, "scheduled", "suspects", "dropped", "ready"),
        *(keys.of("dropped_behind", *door) for door in doors),
    ]
    args: list[Any] = [len(boots), len(queues), *boots, *queues]
    for job in jobs:
        places = queues[job.queue], doors[job.queue, job.name]
        args += (job.uid, *places, job.keep_ms, job.summary)
    return names, args
