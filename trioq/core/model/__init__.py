"""One namespace as plain values: what the store's scripts must do, said a second time.

It is the specification. :class:`~trioq.store.memory.MemoryStore` is these functions behind
the store's protocol; the state machines in ``props/`` run them in lock-step with the
scripts and compare every answer and, after each call, the whole data set.

It knows nothing of the scripts, their keys or their encoding. A function is one call: it
looks first and writes after, and the time is passed in. What the scripts keep so that they
can answer a call that is executed twice, it keeps too.
"""

from trioq.core.model.boots import Hold, Registration, bell_of
from trioq.core.model.breakers import breakers
from trioq.core.model.clients import (
    cancel,
    enqueue,
    hasten,
    pause,
    purge,
    purge_dead,
    reset_breaker,
    revive,
)
from trioq.core.model.engines import (
    beat,
    declare_limits,
    expire_parked,
    forget_queues,
    note,
    reap,
    register,
    set_limits,
    sign_off,
)
from trioq.core.model.files import known_files, note_files, seen_from
from trioq.core.model.ids import replace
from trioq.core.model.lives import Life
from trioq.core.model.queues import Door, Queue
from trioq.core.model.room import step_aside
from trioq.core.model.state import Ended, Namespace
from trioq.core.model.steps import step
from trioq.core.model.ticks import list_schedules, put_schedule, tick
from trioq.core.model.waits import wait_for

__all__ = [
    "Door",
    "Ended",
    "Hold",
    "Life",
    "Namespace",
    "Queue",
    "Registration",
    "beat",
    "bell_of",
    "breakers",
    "cancel",
    "declare_limits",
    "enqueue",
    "expire_parked",
    "forget_queues",
    "hasten",
    "known_files",
    "list_schedules",
    "note",
    "note_files",
    "pause",
    "purge",
    "purge_dead",
    "put_schedule",
    "reap",
    "register",
    "replace",
    "reset_breaker",
    "revive",
    "seen_from",
    "set_limits",
    "sign_off",
    "step",
    "step_aside",
    "tick",
    "wait_for",
]
