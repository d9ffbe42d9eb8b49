"""Puts jobs into a world without a client."""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.support import new_job
from trioq.testing import World

_numbers = itertools.count(1)


def put(tq: World, name: str, *, queue: str = "default", delay_ms: int = 0, **payload: Any) -> str:
    """Queue a job; its uid."""
    job = new_job(queue, name, json.dumps(payload).encode(), delay_ms=delay_ms)
    tq.space.store.enqueue("tests", next(_numbers), [job])
    return job.uid
