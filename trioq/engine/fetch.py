"""What is asked of a server before a handler is called."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from trioq.core.formats import history
from trioq.core.job import Uid
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import RecordUnreadable, StoreBusy, StoreUnreachable

#: What may be spent on finding the span of the attempt before.
LINK_S = 0.25


@attrs.frozen
class Fetch:
    """Asks on a lane of its own, since runs may have to wait for it.

    Cancellation: of each method, ends it at once. They change nothing.
    """

    caller: Caller
    outage: Outage

    async def payloads(self, uids: Sequence[Uid], bytes_max: int) -> Sequence[bytes | None]:
        """Several in one request; None: it is gone, or they have more bytes together."""
        caller = self.caller
        return await self.outage.until_answered(
            "payload", lambda: caller.call(caller.store.payloads, uids, bytes_max)
        )

    async def payload(self, uid: Uid) -> bytes:
        """One that was too big to travel with the claim, and that nobody has asked for before.

        Raises:
          RecordUnreadable: It is gone, or larger than any of ours.
        """
        caller = self.caller
        payload = await self.outage.until_answered(
            "payload", lambda: caller.call(caller.store.payload, uid)
        )
        if payload is None:
            raise RecordUnreadable("its payload is gone")
        return payload

    async def trace_before(self, uid: Uid) -> str | None:
        """Where in a trace the attempt before was, which its history tells; not at any price."""
        caller = self.caller
        with trio.move_on_after(LINK_S):
            try:
                return history.last_trace(await caller.call(caller.store.history, uid))
            except (StoreUnreachable, StoreBusy):
                return None
        return None
