"""What somebody should look at, from what is counted already: in no time, and without watching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from trioq.core.config import Config
from trioq.doctor import jobs
from trioq.doctor.finding import Finding, warning
from trioq.store.inspect import Door, Standing, Stats


def attention(
    config: Config, stats: Stats, doors: Sequence[Door], standing: Standing | None
) -> list[Finding]:
    """The faults and warnings that can be told from these. Pure.

    What takes looking at the server, its keys or engines' signs of life, only
    :func:`~trioq.doctor.examine` finds.
    """
    found = chain(
        _engines(stats),
        jobs.queues(config, stats),
        jobs.schedules(standing) if standing is not None and standing.count else (),
        jobs.parked(config, doors),
        jobs.dead(stats),
        jobs.records(stats),
    )
    order = ("fault", "warning")
    return sorted(
        (each for each in found if each.verdict != "ok"), key=lambda each: order.index(each.verdict)
    )


def _engines(stats: Stats) -> Iterator[Finding]:
    if not stats.engines:
        waits = sum(queue.waiting for queue in stats.queues.values())
        said = f"no engine lives, and {waits:,} job(s) wait" if waits else "no engine lives"
        yield warning("engines", f"{said}: trioq serve starts one")
    yield from jobs.away(stats, set())
