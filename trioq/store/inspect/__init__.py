"""Questions that change nothing: how many jobs there are, where one is, what became of it.

Every round trip is bounded, so that a question about a million jobs doesn't hold up the
server.
"""

from trioq.store.inspect.ages import oldest_ready_ms
from trioq.store.inspect.breakers import BreakerView, breakers
from trioq.store.inspect.causes import CAUSES, Waiting
from trioq.store.inspect.counting import outstanding, stats
from trioq.store.inspect.counts import EngineStats, Outstanding, QueueStats, Stats
from trioq.store.inspect.dead import (
    Dead,
    DeadFilter,
    DeadPage,
    dead,
    dead_pages,
    dead_views,
    newest_dead,
)
from trioq.store.inspect.doors import Door, door_of, doors
from trioq.store.inspect.drains import ask_to_drain
from trioq.store.inspect.explain import explain, explain_queue, now_ms_of, waits_for
from trioq.store.inspect.groups import Group, Groups, groups
from trioq.store.inspect.jobs import find, held, look, peek, record, uids_of
from trioq.store.inspect.lanes import Lane, lanes
from trioq.store.inspect.limits import LimitView, Taken, limits, settings_json
from trioq.store.inspect.limits import known as known_limits
from trioq.store.inspect.listing import Listed, Listing, all_jobs, listing
from trioq.store.inspect.living import JobFilter, Living, LivingPage, living_pages, running
from trioq.store.inspect.minutes import last_minutes, note_minute
from trioq.store.inspect.overview import EngineView, Overview, Overviews
from trioq.store.inspect.pauses import Pauses, pauses, schedule_in_words, take_in_words
from trioq.store.inspect.queues import parked_names, queue_names, waiting
from trioq.store.inspect.reasons import Explanation, Reason
from trioq.store.inspect.rooms import Room, rooms
from trioq.store.inspect.rooms import in_words as limits_in_words
from trioq.store.inspect.sample import (
    Glance,
    Sample,
    glance,
    permits_used,
    sample,
)
from trioq.store.inspect.schedules import ScheduleView, TickView, schedule_names, schedules
from trioq.store.inspect.search import Found, search
from trioq.store.inspect.snapshot import snapshots, tell, waits_of_all, watch, with_abandoned
from trioq.store.inspect.standing import Standing, late_in_words, standing
from trioq.store.inspect.summaries import done
from trioq.store.inspect.trend import Trend
from trioq.store.inspect.views import JobView
from trioq.store.inspect.why_limited import told_of_paused

__all__ = [
    "CAUSES",
    "BreakerView",
    "Dead",
    "DeadFilter",
    "DeadPage",
    "Door",
    "EngineStats",
    "EngineView",
    "Explanation",
    "Found",
    "Glance",
    "Group",
    "Groups",
    "JobFilter",
    "JobView",
    "Lane",
    "LimitView",
    "Listed",
    "Listing",
    "Living",
    "LivingPage",
    "Outstanding",
    "Overview",
    "Overviews",
    "Pauses",
    "QueueStats",
    "Reason",
    "Room",
    "Sample",
    "ScheduleView",
    "Standing",
    "Stats",
    "Taken",
    "TickView",
    "Trend",
    "Waiting",
    "all_jobs",
    "ask_to_drain",
    "breakers",
    "dead",
    "dead_pages",
    "dead_views",
    "done",
    "door_of",
    "doors",
    "explain",
    "explain_queue",
    "find",
    "glance",
    "groups",
    "held",
    "known_limits",
    "lanes",
    "last_minutes",
    "late_in_words",
    "limits",
    "limits_in_words",
    "listing",
    "living_pages",
    "look",
    "newest_dead",
    "note_minute",
    "now_ms_of",
    "oldest_ready_ms",
    "outstanding",
    "parked_names",
    "pauses",
    "peek",
    "permits_used",
    "queue_names",
    "record",
    "rooms",
    "running",
    "sample",
    "schedule_in_words",
    "schedule_names",
    "schedules",
    "search",
    "settings_json",
    "snapshots",
    "standing",
    "stats",
    "take_in_words",
    "tell",
    "told_of_paused",
    "uids_of",
    "waiting",
    "waits_for",
    "waits_of_all",
    "watch",
    "with_abandoned",
]
