"""The dead, grouped by handler and by what they died of: what to look at first.

Looked at are the newest, so that a million of them cost no more than some thousand; it is told of
how many all this is said.
"""

from __future__ import annotations

from typing import Any

import attrs

from trioq.core.fingerprint import fingerprint
from trioq.core.formats import history
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.inspect.dead import HISTORIES, PAGE, name_of, newest_dead
from trioq.store.redis import RedisStore

#: So many of the newest are looked at.
NEWEST = 1000


@attrs.frozen
class Group:
    """Dead jobs of one handler that died of the same."""

    name: str | None
    """The handler; None: their records can't be read."""
    fingerprint: str
    type: str
    """The error's; empty: no attempt failed."""
    message: str
    """Of the newest of them; or why it is dead."""
    count: int
    first_ms: int
    """When the first and the last of them died; epoch."""
    last_ms: int
    uid: Uid
    """The newest of them."""

    def as_json(self) -> dict[str, Any]:
        """The shape of a group with ``--json``."""
        return attrs.asdict(self)


@attrs.frozen
class Groups:
    """The groups, those with the most first."""

    rows: tuple[Group, ...]
    looked_at: int
    """So many of the newest."""
    total: int
    """So many are dead."""

    def as_json(self) -> dict[str, Any]:
        """The shape of ``trioq dead groups --json``."""
        return {
            "groups": [row.as_json() for row in self.rows],
            "looked_at": self.looked_at,
            "total": self.total,
        }


def groups(store: RedisStore, newest: int = NEWEST) -> Groups:
    """How the newest of the dead fall into groups.

    Args:
      newest: So many are looked at.
    """
    total = int(store.lane.call("ZCARD", store.keys.fixed("dead")))
    died = newest_dead(store, newest)
    uids, found = list(died), dict[tuple[str | None, str], Group]()
    for start in range(0, len(uids), PAGE):
        page = uids[start : start + PAGE]
        (records,) = fields.read(store, ["jobs"], page)
        names = dict(zip(page, map(name_of, page, records), strict=True))
        for begin in range(0, len(page), HISTORIES):
            some = page[begin : begin + HISTORIES]
            reasons, histories = fields.read(store, ["reasons", "history"], some)
            for uid, reason, lines in zip(some, reasons, histories, strict=True):
                group = _group(uid, names[uid], died[uid], reason, lines)
                key = group.name, group.fingerprint
                found[key] = _joined(found[key], group) if key in found else group
    ordered = sorted(found.values(), key=lambda each: (-each.count, -each.last_ms))
    return Groups(tuple(ordered), len(uids), max(total, len(uids)))


def _group(
    uid: Uid, name: str | None, died_ms: int, reason: bytes | None, lines: bytes | None
) -> Group:
    why = kept.text(reason) if reason else ""
    error = history.last_error(history.decode(lines))
    return Group(
        name,
        fingerprint(error, why),
        error.type if error else "",
        error.message if error else why,
        1,
        died_ms,
        died_ms,
        uid,
    )


def _joined(group: Group, older: Group) -> Group:
    return attrs.evolve(
        group,
        count=group.count + 1,
        first_ms=min(group.first_ms, older.first_ms),
        last_ms=max(group.last_ms, older.last_ms),
    )
