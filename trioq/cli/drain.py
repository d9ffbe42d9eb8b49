"""When ``trioq serve --drain`` is done: pure, from what the store says."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from trioq.store.inspect import Outstanding


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

    Jobs that are paused, due later than the horizon, or parked because no engine knows
    their name don't hold the end back.
    """
    waiting = {"ready": 0, "running": running, "scheduled": 0, "parked": 0}
    behind: list[str] = []
    for queue, counts in queues.items():
        if counts.paused:
            paused = counts.ready + counts.due
            if paused:
                behind.append(f"{paused} in {queue} (paused)")
        else:
            waiting["ready"] += counts.ready
            waiting["scheduled"] += counts.due
        if counts.later:
            behind.append(f"{counts.later} in {queue} (due later)")
        for name, parked in counts.parked.items():
            is_paused = counts.paused or name in counts.paused_names
            if name in known_names and not is_paused:
                waiting["parked"] += parked
            elif parked:
                why = "paused" if is_paused else "no engine knows it"
                behind.append(f"{parked} × {name} in {queue} ({why})")
    return Verdict(
        tuple(f"{count} {what}" for what, count in waiting.items() if count), tuple(behind)
    )
