"""The ready jobs that have a fair key: how many, and whose turn comes next."""

from __future__ import annotations

from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.keys import Keys


def how_many(keys: Keys, queue: str) -> tuple[str, ...]:
    """The command that counts those of a queue, cancelled ones that still lie there included."""
    return ("ZLEXCOUNT", keys.fixed("fair"), f"[{queue}\0", f"({queue}\1")


def how_many_before(keys: Keys, queue: str, tag: str, uid: Uid) -> tuple[str, ...]:
    """The command that counts those of a queue whose turn comes before this job's."""
    return ("ZLEXCOUNT", keys.fixed("fair"), f"[{queue}\0", f"({queue}\0{tag}\0{uid}")


def the_next(keys: Keys, queue: str, offset: int, count: int) -> tuple[str | int, ...]:
    """The command that lists those of a queue in the order of their turns; see :func:`uid_of`."""
    first, last = f"[{queue}\0", f"({queue}\1"
    return ("ZRANGEBYLEX", keys.fixed("fair"), first, last, "LIMIT", offset, count)


def uid_of(member: bytes) -> Uid:
    """The job that the server names so."""
    return kept.text(member).rpartition("\0")[2]
