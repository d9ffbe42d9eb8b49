"""When ``trioq serve --drain`` is done: pure, from what the store says."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from trioq.store.inspect import Outstanding, Room, limits_in_words


@attrs.frozen
class Verdict:
    """What holds the end back, and what is left behind when it comes."""

    waiting_for: tuple[str, ...]
    left_behind: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        return not self.waiting_for


def judge(queues: Mapping[str, Outstanding], running: int, known_names: frozenset[str]) -> Verdict:
    """Whether all is done.

    Jobs that are paused, due later than the horizon, limited by a rate whose next permit comes
    later than that, or parked because no engine knows their name don't hold the end back. Those
    do that wait for a slot: whoever holds it runs.
    """
    waiting = {"ready": 0, "running": running, "scheduled": 0, "parked": 0, "limited": 0}
    behind: list[str] = []
    soon: list[Room] = []
    now_ms = 0
    for queue, counts in queues.items():
        now_ms = counts.now_ms
        if counts.paused:
            paused = counts.ready + counts.due + counts.limited
            if paused:
                behind.append(f"{paused} in {queue} (paused)")
        else:
            held, later, first = _rooms(counts)
            soon += first
            waiting["ready"] += counts.ready
            waiting["scheduled"] += counts.due
            waiting["limited"] += counts.limited - sum(room.jobs for room in (*held, *later))
            for why, found in (("paused", held), ("limited", later)):
                if found:
                    jobs = sum(room.jobs for room in found)
                    limits = limits_in_words(found, now_ms)
                    behind.append(f"{jobs} in {queue} ({why}: {limits})")
        if counts.later:
            behind.append(f"{counts.later} in {queue} (due later)")
        for name, parked in counts.parked.items():
            is_paused = counts.paused or name in counts.paused_names
            if name in known_names and not is_paused:
                waiting["parked"] += parked
            elif parked:
                why = "paused" if is_paused else "no engine knows it"
                behind.append(f"{parked} × {name} in {queue} ({why})")
    told = {what: f"{count} {what}" for what, count in waiting.items() if count}
    if "limited" in told and soon:
        told["limited"] += f": {limits_in_words(soon, now_ms)}"
    return Verdict(tuple(told.values()), tuple(behind))


def _rooms(counts: Outstanding) -> tuple[list[Room], list[Room], list[Room]]:
    """Where jobs wait for a value of a key that is paused; for a permit that comes later than the
    horizon; and where for what comes sooner."""
    held: list[Room] = []
    later: list[Room] = []
    soon: list[Room] = []
    for room in counts.rooms:
        if room.take in counts.paused_takes:
            held.append(room)
        else:
            (later if (room.next_ms or 0) > counts.horizon_ms else soon).append(room)
    return held, later, soon
