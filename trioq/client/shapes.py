"""What is told in JSON of more than one question, the same by the command line and by the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from trioq.client.admin import Admin
from trioq.store.inspect import (
    Door,
    JobView,
    Listing,
    QueueStats,
    Reason,
    Stats,
)
from trioq.store.inspect.sizes import sizes

#: Of doors. A client may have invented thousands of names.
DOORS = 1000

#: What is counted of a queue.
STATES = ("ready", "limited", "scheduled", "parked", "running")


def stats(admin: Admin, found: Stats | None = None) -> dict[str, Any]:
    """``trioq stats --json``.

    Args:
      admin: Whom to ask.
      found: What is counted; default: asked for now.
    """
    counted = admin.stats() if found is None else found
    behind = admin.doors(counted)
    return counted.as_json() | {
        "doors": [door.as_json() for door in behind[:DOORS]],
        "doors_left_out": max(0, len(behind) - DOORS),
        "breakers": [each.as_json() for each in admin.breakers(counted)],
        "schedules": admin.standing().as_json(),
    }


def keys(admin: Admin) -> dict[str, Any]:
    """``trioq stats --keys --json``."""
    found = admin.stats()
    measured = sizes(admin.store, found)
    known = all(size.bytes is not None for size in measured)
    return {
        "namespace": found.namespace,
        "bytes": sum(size.bytes or 0 for size in measured) if known else None,
        "keys": [attrs.asdict(size) for size in measured],
    }


def engines(admin: Admin, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """``trioq engines --json``; of those that are named by id or name, or of all."""
    found = [
        engine
        for engine in admin.stats().engines
        if names is None or engine.id in names or engine.name in names
    ]
    return [
        {**engine.as_json(), "jobs": [held(view) for view in admin.held(engine.id)]}
        for engine in found
    ]


def held(view: JobView) -> dict[str, Any]:
    """A job that an engine holds."""
    told = view.as_json()
    return {field: told[field] for field in ("id", "uid", "name", "queue", "enqueued_ms")}


def queue(
    name: str, counted: QueueStats | None, reasons: Sequence[Reason], doors: Sequence[Door]
) -> dict[str, Any]:
    """``trioq explain --queue --json``."""
    return {
        "queue": name,
        **{state: getattr(counted, state, 0) for state in STATES},
        "reasons": [reason.as_json() for reason in reasons],
        "doors": [door.as_json() for door in doors],
    }


@attrs.frozen
class Story:
    """A job, and what it waits for."""

    view: JobView
    door: Door | None
    """What it waits behind; None: it isn't parked."""
    take: str | None
    """What it waits for of a limit."""

    def as_json(self) -> dict[str, Any]:
        """``trioq job --json``."""
        shown = self.view.as_json()
        shown |= {} if self.take is None else {"take": self.take}
        return shown if self.door is None else shown | {"door": self.door.as_json()}


def story(admin: Admin, id_or_uid: str) -> Story | None:
    """A job, wherever it is; None: nobody knows it."""
    view = admin.job(id_or_uid)
    if view is None:
        return None
    door, take = admin.door(view), admin.waits_for(view)
    if take is not None:
        view = attrs.evolve(view, state="limited")
    return Story(view, door, take)


def listing(found: Listing) -> dict[str, Any]:
    """``trioq jobs --json``."""
    return {
        "jobs": [each.as_json() for each in found.jobs],
        "more": found.has_more,
        "passed_over": found.passed_over,
    }


def notes(view: JobView) -> Mapping[str, Any] | None:
    """What the handler of a job has said last; None: nothing."""
    noted = view.noted or (view.summary.noted if view.summary else None)
    return None if noted is None else noted.as_json()
