"""What engines tell those who watch: which jobs they run, and what failed.

An engine that nobody watches writes nothing. Both keys expire, and nothing but a screen rests
on them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from trioq.core.calls import Engine
from trioq.errors import StoreBusy
from trioq.store.redis import RedisStore

#: For how long engines tell after they were asked, and for how long that is kept.
WATCHED_MS = 10_000
SHOWN_MS = 10_000

#: Engines asked about in one round trip; each tells a few kilobytes.
PAGE = 100


def watch(store: RedisStore) -> None:
    """Ask all engines to tell what they do; those who see it do so for ten seconds."""
    with contextlib.suppress(StoreBusy):  # a full server takes no new keys
        store.lane.call("SET", store.keys.fixed("watched"), 1, "PX", WATCHED_MS)


def show(store: RedisStore, engine: Engine, told: bytes) -> None:
    """Tell what an engine does."""
    with contextlib.suppress(StoreBusy):
        store.lane.call("SET", store.keys.of("shown", engine), told, "PX", SHOWN_MS)


def shown(store: RedisStore, engines: Sequence[Engine]) -> dict[Engine, Mapping[str, Any]]:
    """What these engines have told lately; another version of trioq may tell other things."""
    found: dict[Engine, Mapping[str, Any]] = {}
    for start in range(0, len(engines), PAGE):
        page = engines[start : start + PAGE]
        told = store.lane.pipeline([("GET", store.keys.of("shown", engine)) for engine in page])
        for engine, raw in zip(page, told, strict=True):
            with contextlib.suppress(TypeError, ValueError):
                if isinstance(value := json.loads(raw), dict):
                    found[engine] = value
    return found
