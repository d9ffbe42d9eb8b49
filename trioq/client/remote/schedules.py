"""Schedules, over an API: what the commands use of a client's ``schedules``."""

from __future__ import annotations

import attrs

from trioq.client.handle import SyncHandle
from trioq.client.remote.admin import Remote
from trioq.core import arguments
from trioq.core.arguments import Seconds
from trioq.store.inspect import ScheduleView


@attrs.frozen
class RemoteSchedules:
    """What there is of schedules."""

    remote: Remote

    def list(self) -> list[ScheduleView]:
        """All schedules, by name."""
        return self.remote.schedules()

    def pause(
        self, name: str, *, lasts: Seconds | None = None, note: str = "", by: str | None = None
    ) -> bool:
        """Its ticks bring no jobs; who says so is the API's user, whatever ``by`` is."""
        lasts_s = None if lasts is None else arguments.patience(lasts, "lasts")
        told = self.remote.http.do("schedules.pause", schedule=name, lasts_s=lasts_s, note=note)
        return bool(told["changed"])

    def resume(self, name: str) -> bool:
        """Its ticks bring jobs again."""
        return bool(self.remote.http.do("schedules.resume", schedule=name)["changed"])

    def run(self, name: str) -> SyncHandle:
        """Enqueue now what a tick of it would."""
        told = self.remote.http.do("schedules.run", schedule=name)
        return SyncHandle(told["uid"], queue=told["queue"])
