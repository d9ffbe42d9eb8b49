"""One look at a namespace, in a few round trips however much lies in it. Blocks."""

from __future__ import annotations

import time
from collections.abc import Mapping

import attrs

from trioq.cli.top.moment import EngineView, Moment, newest
from trioq.core.calls import Rate
from trioq.core.config import LimiterConfig
from trioq.core.formats.history import Attempt
from trioq.core.formats.snapshot import Failure
from trioq.core.job import Uid
from trioq.store.inspect import (
    DeadFilter,
    JobView,
    dead_pages,
    dead_views,
    newest_dead,
    permits_used,
    shown,
    stats,
    watch,
)
from trioq.store.redis import RedisStore

#: Failures, and of the dead, that are shown at most.
FAILURES = 50

#: Engines of which details are read.
ENGINES = 200


@attrs.define
class Looker:
    """Looks again and again, and reads of a dead job only once what it died of."""

    store: RedisStore
    queues: tuple[str, ...]
    limiter: LimiterConfig
    rate: Rate | None
    _dead: dict[Uid, Failure] = attrs.field(factory=dict[Uid, Failure], init=False)

    def __call__(self) -> Moment:
        """What is so now."""
        watch(self.store)
        counted = stats(self.store, self.queues)
        ids = [engine.id for engine in counted.engines[:ENGINES]]
        told = shown(self.store, ids)
        engines = tuple(EngineView.of(each, told.get(each.id)) for each in counted.engines)
        failures = [failure for engine in engines for failure in engine.failures]
        return Moment(
            at=time.monotonic(),
            now_ms=time.time_ns() // 1_000_000,
            stats=counted,
            engines=engines,
            failures=newest([*self._newly_dead(), *failures], FAILURES),
            permits_used=permits_used(self.store, self.rate) if self.rate else None,
            limiter=self.limiter,
        )

    def _newly_dead(self) -> list[Failure]:
        died = newest_dead(self.store, FAILURES)
        unknown = tuple(uid for uid in died if uid not in self._dead)
        pages = dead_pages(self.store, DeadFilter(uids=unknown))
        views = {v.uid: v for page in pages for v in dead_views(self.store, page.jobs)}
        self._dead = {
            uid: self._dead.get(uid) or _failure(uid, at_ms, views) for uid, at_ms in died.items()
        }
        return list(self._dead.values())


def _failure(uid: Uid, at_ms: int, views: Mapping[Uid, JobView]) -> Failure:
    view = views.get(uid)
    if view is None:  # it was revived meanwhile
        return Failure(at_ms, uid, "", "", 0, "", "dead")
    name, queue = (view.record.name, view.record.queue) if view.record else ("?", "?")
    last = view.attempts[-1] if view.attempts else None
    number, said = 0, ""
    if isinstance(last, Attempt):
        number, said = last.number, f"{last.error.type}: {last.error.message}"
    return Failure(at_ms, uid, name, queue, number, said, f"dead: {view.reason or '?'}")
