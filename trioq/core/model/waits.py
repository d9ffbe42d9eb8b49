"""Who waits for the ends of jobs: registered before it is looked, so that no end is missed."""

from __future__ import annotations

from collections.abc import Sequence

from trioq.core.calls import WAIT_BYTES, WAIT_MAX, End
from trioq.core.job import Uid
from trioq.core.model.room import may_try, stay
from trioq.core.model.state import WAITERS_BYTES, Ended, Namespace
from trioq.errors import TrioqBug


def wait_for(
    space: Namespace, client: str, jobs: Sequence[tuple[Uid, str | None]], *, now_ms: int
) -> list[End]:
    """How these have ended; who hasn't is noted, so that the client will be told.

    Doing it twice is harmless: nobody is noted for what is over.

    Args:
      jobs: Each with its caller's id, if it has one.
    """
    if len(jobs) > WAIT_MAX:
        raise TrioqBug(f"{len(jobs)} jobs in one wait, {WAIT_MAX} at most")
    stay(space, (uid for uid, _ in jobs), now_ms)
    ends, left = [], WAIT_BYTES
    for uid, id in jobs:
        end = _end_of(space, uid, id, now_ms)
        if end.state == "live" and uid in space.jobs:
            _note(space, uid, client)
        if left <= 0:
            end = End("later") if end.value else end
        left -= len(end.value)
        ends.append(end)
    return ends


def _end_of(space: Namespace, uid: Uid, id: str | None, now_ms: int) -> End:
    if uid in space.line:
        return may_try(space, uid, now_ms)
    if uid in space.jobs:
        return End("dead" if uid in space.dead else "live")
    if uid in space.results and space.results_due.at(uid) > now_ms:
        return space.results[uid]
    who = space.ids.get(id) if id is not None else None
    if id is None or not isinstance(who, Ended) or who.uid != uid or space.forget.at(id) <= now_ms:
        return End("expired" if uid in space.results else "unknown")
    return End(who.state)


def _note(space: Namespace, uid: Uid, client: str) -> None:
    clients = space.waits.setdefault(uid, [])
    if client not in clients and len(" ".join((*clients, client))) <= WAITERS_BYTES:
        clients.append(client)
