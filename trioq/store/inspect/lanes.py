"""Lanes of a queue: whose jobs have the next turns, and how many of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import attrs

from trioq.core.formats import flow
from trioq.store import kept
from trioq.store.inspect import fields, turns
from trioq.store.redis import RedisStore

#: So many of the next turns are looked at: one page of the server's.
LOOKED_AT = 500


@attrs.frozen
class Lane:
    """The ready jobs of one fair key among those whose turns come next."""

    key: Any
    """The field's value."""
    weight: float
    """How many turns it has where one of weight 1 has one; as its first job says."""
    jobs: int


def lanes(store: RedisStore, queue: str, count: int = LOOKED_AT) -> list[Lane]:
    """Who has the next turns of a queue: those with the most first.

    Args:
      queue: Its name.
      count: How many turns are looked at.
    """
    members = store.lane.call(*turns.the_next(store.keys, queue, 0, count))
    uids = [turns.uid_of(member) for member in members]
    if not uids:
        return []
    (rows,) = fields.read(store, ["flow"], uids)
    found = [flow.turn_in(kept.text(row)) for row in rows if row is not None]
    keys = [turn[1] for turn in found if turn is not None]
    weights = {each.key: each.weight for each in reversed(keys)}
    counted = Counter(each.key for each in keys)
    return [Lane(_value(key), weights[key], jobs) for key, jobs in counted.most_common()]


def _value(key: str) -> Any:
    try:
        return json.loads(key)
    except ValueError:  # somebody else's
        return key
