"""trioq: a structured-concurrency job queue on trio and Redis or Valkey.

The public names, and nothing else. Each is imported when it is first used, so that a
command line that only prints its help doesn't load an engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trioq.app import App, check_cancelled, current_job
    from trioq.client.admin import Admin, connect_admin
    from trioq.client.as_done import as_done
    from trioq.client.cancel import CancelOutcome
    from trioq.client.client import Client
    from trioq.client.ends import JobEnd
    from trioq.client.handle import Handle, SyncHandle
    from trioq.client.status import Status
    from trioq.client.sync import SyncClient, connect_sync
    from trioq.client.task_runtime import connect
    from trioq.core.blame import Breaker
    from trioq.core.call import Call
    from trioq.core.config import Config
    from trioq.core.failure import Failure
    from trioq.core.flow import Limit
    from trioq.core.formats.note import Progress
    from trioq.core.job import Job
    from trioq.core.retry import Retry
    from trioq.errors import (
        ConfigError,
        EnqueueError,
        EnqueueUnknown,
        GiveUp,
        IdMismatch,
        IdTaken,
        JobCancelled,
        JobDied,
        JobUnknown,
        LifespanError,
        NoResult,
        NoResultKept,
        NotInstalled,
        PayloadRejected,
        QueueFull,
        QueueUnknown,
        RateLimited,
        ResultExpired,
        ResultTooLarge,
        ResultUnfit,
        RetryLater,
        Snooze,
        StoreBusy,
        StoreClosed,
        StoreError,
        StoreRefused,
        StoreUnreachable,
        TrioqError,
        WaitTimeout,
    )
    from trioq.observe.tracing import trace_from
    from trioq.service import Engine
    from trioq.store.inspect import DeadFilter, JobFilter

__all__ = [
    "Admin",
    "App",
    "Breaker",
    "Call",
    "CancelOutcome",
    "Client",
    "Config",
    "ConfigError",
    "DeadFilter",
    "Engine",
    "EnqueueError",
    "EnqueueUnknown",
    "Failure",
    "GiveUp",
    "Handle",
    "IdMismatch",
    "IdTaken",
    "Job",
    "JobCancelled",
    "JobDied",
    "JobEnd",
    "JobFilter",
    "JobUnknown",
    "LifespanError",
    "Limit",
    "NoResult",
    "NoResultKept",
    "NotInstalled",
    "PayloadRejected",
    "Progress",
    "QueueFull",
    "QueueUnknown",
    "RateLimited",
    "ResultExpired",
    "ResultTooLarge",
    "ResultUnfit",
    "Retry",
    "RetryLater",
    "Snooze",
    "Status",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreRefused",
    "StoreUnreachable",
    "SyncClient",
    "SyncHandle",
    "TrioqError",
    "WaitTimeout",
    "as_done",
    "check_cancelled",
    "connect",
    "connect_admin",
    "connect_sync",
    "current_job",
    "trace_from",
]

_HOMES = {
    "trioq.client.admin": (
        "Admin",
        "connect_admin",
    ),
    "trioq.app": (
        "App",
        "check_cancelled",
        "current_job",
    ),
    "trioq.core.call": ("Call",),
    "trioq.client.client": ("Client",),
    "trioq.client.task_runtime": ("connect",),
    "trioq.client.sync": (
        "SyncClient",
        "connect_sync",
    ),
    "trioq.client.as_done": ("as_done",),
    "trioq.client.cancel": ("CancelOutcome",),
    "trioq.client.ends": ("JobEnd",),
    "trioq.client.handle": ("Handle", "SyncHandle"),
    "trioq.client.status": ("Status",),
    "trioq.core.config": ("Config",),
    "trioq.core.formats.note": ("Progress",),
    "trioq.core.job": ("Job",),
    "trioq.core.failure": ("Failure",),
    "trioq.core.flow": ("Limit",),
    "trioq.core.blame": ("Breaker",),
    "trioq.core.retry": ("Retry",),
    "trioq.observe.tracing": ("trace_from",),
    "trioq.service": ("Engine",),
    "trioq.errors": (
        "ConfigError",
        "EnqueueError",
        "EnqueueUnknown",
        "GiveUp",
        "IdMismatch",
        "IdTaken",
        "WaitTimeout",
        "ResultUnfit",
        "ResultTooLarge",
        "ResultExpired",
        "NoResultKept",
        "NoResult",
        "LifespanError",
        "NotInstalled",
        "JobUnknown",
        "JobDied",
        "JobCancelled",
        "PayloadRejected",
        "QueueFull",
        "QueueUnknown",
        "RateLimited",
        "RetryLater",
        "Snooze",
        "StoreBusy",
        "StoreClosed",
        "StoreError",
        "StoreRefused",
        "StoreUnreachable",
        "TrioqError",
    ),
    "trioq.store.inspect": ("DeadFilter", "JobFilter"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        try:
            return getattr(import_module(_HOME_OF[name]), name)
        except ModuleNotFoundError as error:
            from trioq.extras import not_installed

            raise not_installed(f"trioq.{name}", error) or error from None
    raise AttributeError(f"module 'trioq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
