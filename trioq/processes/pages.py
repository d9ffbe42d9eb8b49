"""``/metrics``, ``/healthz`` and ``/readyz`` of all children, on the one port of their supervisor.

Whoever asks has all children asked, and gets what they say in time; of one that doesn't answer,
what it said last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import structlog
import trio
from prometheus_client import CollectorRegistry

from trioq import web
from trioq.processes.child import Child
from trioq.processes.merge import Ended, Merged, Page, merge, read
from trioq.processes.supervisor import Supervisor
from trioq.web.pages import Pages


@attrs.define(eq=False)
class Served:
    """The pages of a supervisor."""

    supervisor: Supervisor
    bound: web.Bound
    log: structlog.typing.FilteringBoundLogger
    _ended: Ended = attrs.field(factory=Ended, init=False)

    def __attrs_post_init__(self) -> None:
        self.supervisor.on_end = self._end

    async def run(self) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            pages = Pages(self.registry, self.readiness)
            await nursery.start(web.serve_pages, self.bound, pages)
            self.log.info("http_served", address=self.bound.address)

    async def registry(self) -> CollectorRegistry:
        """All metrics, as they are now."""
        await self.supervisor.health.ask_all(page=True)
        pages = {str(child.number): child.page for child in self.supervisor.children.values()}
        # What has ended is what isn't in the pages: no count is missing or told twice.
        families = await trio.to_thread.run_sync(_merged, self._ended, pages)
        registry = CollectorRegistry()
        registry.register(families)
        return registry

    async def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether all are ready, and what each says."""
        await self.supervisor.health.ask_all()
        return self.supervisor.readiness()

    def _end(self, child: Child) -> None:
        self._ended = self._ended.plus(read(child.page))


def _merged(ended: Ended, pages: Mapping[str, str]) -> Merged:
    read_pages: dict[str, Page] = {number: read(page) for number, page in pages.items()}
    return Merged(merge(ended, read_pages))
