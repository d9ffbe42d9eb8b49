"""Questions that change nothing: how many jobs there are, where one is, what became of it.

Every round trip is bounded, so that a question about a million jobs doesn't hold up the
server.
"""

from trioq.store.inspect.counts import (
    EngineStats,
    Outstanding,
    QueueStats,
    Stats,
    outstanding,
    stats,
)
from trioq.store.inspect.dead import (
    Dead,
    DeadFilter,
    DeadPage,
    dead,
    dead_pages,
    dead_views,
    newest_dead,
)
from trioq.store.inspect.jobs import done, find, held, peek, uids_of
from trioq.store.inspect.queues import parked_names, queue_names, waiting
from trioq.store.inspect.sample import Glance, Sample, glance, permits_used, sample
from trioq.store.inspect.shown import show, shown, watch
from trioq.store.inspect.views import JobView

__all__ = [
    "Dead",
    "DeadFilter",
    "DeadPage",
    "EngineStats",
    "Glance",
    "JobView",
    "Outstanding",
    "QueueStats",
    "Sample",
    "Stats",
    "dead",
    "dead_pages",
    "dead_views",
    "done",
    "find",
    "glance",
    "held",
    "newest_dead",
    "outstanding",
    "parked_names",
    "peek",
    "permits_used",
    "queue_names",
    "sample",
    "show",
    "shown",
    "stats",
    "uids_of",
    "waiting",
    "watch",
]
