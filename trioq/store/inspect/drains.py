"""Have one engine drain: said in a key of that boot's own, at which it looks as it looks around."""

from __future__ import annotations

import json

from trioq.core.calls import BootId
from trioq.store.redis import RedisStore

#: Longer than any engine needs to look; a boot that is gone never does.
KEPT_MS = 3_600_000


def ask_to_drain(store: RedisStore, boot: BootId, by: str, reason: str) -> None:
    """Ask for it. Asked again, it is the same.

    Args:
      by: Who does.
      reason: Why, for whoever wonders.
    """
    said = json.dumps({"by": by, "reason": reason})
    store.lane.call("SET", store.keys.of("drain", boot), said, "PX", KEPT_MS)
