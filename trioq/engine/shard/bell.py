"""Waits for a bell while the engine has room for a job.

A bell is a hint, never the truth: the dispatcher looks by itself every so often, and once
after each time the bells could not be heard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import StoreBusy, StoreUnreachable

#: One wait; a connection that died silently is noticed this long after, and the deadline.
LISTEN_S = 10.0

#: The first wait after a failure is short: it tells that the server answers again.
PROBE_S = 0.1


async def listen(
    caller: Caller,
    queues: Sequence[str],
    *,
    wait_room: Callable[[], Awaitable[None]],
    rung: Callable[[], None],
    outage: Outage,
) -> None:
    """Call ``rung`` for each bell, until cancelled."""
    listen_s = LISTEN_S
    while True:
        await wait_room()
        try:
            if await caller.wait_bell(queues, listen_s):
                rung()
            listen_s = LISTEN_S
            outage.answered("wait")
        except (StoreUnreachable, StoreBusy) as error:
            listen_s = PROBE_S
            await outage.failed("wait", error)
            rung()
