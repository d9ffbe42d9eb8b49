"""Questions that change nothing: how many jobs there are, where one is, what became of it.

Every round trip is bounded, so that a question about a million jobs doesn't hold up the
server.
"""

from trioq.store.inspect.counts import Outstanding, QueueStats, Stats, outstanding, stats
from trioq.store.inspect.jobs import dead, done, find, peek
from trioq.store.inspect.sample import Glance, Sample, glance, sample
from trioq.store.inspect.views import JobView, history

__all__ = [
    "Glance",
    "JobView",
    "Outstanding",
    "QueueStats",
    "Sample",
    "Stats",
    "dead",
    "done",
    "find",
    "glance",
    "history",
    "outstanding",
    "peek",
    "sample",
    "stats",
]
