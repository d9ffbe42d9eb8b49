"""Limits of what runs: their settings, and what a job takes of them.

A *take* names what a job takes: a limit, ``stripe``, or its share for one value of a key,
``per_tenant:"acme"``. Whose name no settings are known for limits nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from trioq.core.values import value

KeyValue = str | int | float | bool | None

#: More than that of one job nobody needs; each costs the claim a look.
TAKES_MAX = 8
#: A job that waits over deployments takes of the limits of each, so of more: up to that.
TAKES_KEPT = 32
#: A take in bytes: a key's value is told to the server with each job.
TAKE_BYTES = 512


#: Names that begin so are trioq's own: no configuration has them, and nobody sets them by hand.
OWN = "@"
#: Runs of a schedule that wait for one another take its name of this.
SCHEDULE = "@schedule"
#: And jobs of one caller's id, where one runs once more after another, take that of this.
ID = "@id"


@value
class LimitSettings:
    """What a limit admits; without any of it, everything."""

    interval_us: int = 0
    """Between two starts; 0: at any rate."""
    burst: int = 1
    """So many starts may be saved up."""
    concurrency: int = 0
    """So many jobs may run at the same time; 0: any number."""
    keyed: bool = False
    """Whether that is so for each value of a key."""


#: Of trioq's own limits: each schedule has one run at a time, and so has an id.
ONE_EACH = LimitSettings(concurrency=1, keyed=True)


def is_own(limit: str) -> bool:
    """Whether a limit is trioq's own."""
    return limit.startswith(OWN)


def shown_limit(limit: str) -> str:
    """What people are told of a limit as: its name, unless it is trioq's own."""
    return {SCHEDULE: "a schedule's runs", ID: "an id's runs"}.get(limit, limit)


def shown_take(take: str) -> str:
    """What people are told of a take as."""
    limit = limit_of(take)
    return f"{shown_limit(limit)}: {key_of(take)}" if is_own(limit) else take


def take_of(limit: str, *key: KeyValue) -> str:
    """What a job takes of a limit, or of its share for one value of a key: ASCII, in one
    line.

    Raises:
      ValueError: The value is too long, or no number that JSON knows.
    """
    if not key:
        return limit
    take = f"{limit}:{json.dumps(key[0], allow_nan=False)}"
    if len(take) > TAKE_BYTES:
        raise ValueError(f"{take[:40]}… has {len(take)} bytes, {TAKE_BYTES} at most")
    return take


def take_of_id(id: str) -> str:
    """What jobs take that wait for one another, as they have a caller's id one after the other."""
    take = f"{ID}:{json.dumps(id)}"
    if len(take) > TAKE_BYTES:
        take = f'{ID}:"{hashlib.sha256(id.encode()).hexdigest()}"'
    return take


def limit_of(take: str) -> str:
    """The limit that a take is of."""
    return take.partition(":")[0]


def key_of(take: str) -> Any:
    """The value of a key that a take is for; None: its limit has no key."""
    _, colon, value = take.partition(":")
    try:
        return json.loads(value) if colon else None
    except ValueError:  # somebody else's
        return value
