"""What limits and fair shares cost: nothing binds here, or all of one kind wait for one slot."""

from __future__ import annotations

import time
from collections.abc import Iterator

import attrs
import trio

from benchmarks.suite.drains import PLAIN, as_served, plain
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.tally import Tally, drained, enqueue, with_metrics
from benchmarks.support import Bench, bench
from trioq import Call, Engine

RATE = """
[limits.api]
jobs = ["noop"]
rate = 1000000
burst = 100000
"""
SLOTS = """
[limits.slots]
jobs = ["noop"]
concurrency = 100000
"""
TENANTS = 1_000


@row("limits")
def limits(scale: Scale) -> Figures:
    as_served()
    jobs = scale.of(40_000, 2_000)
    ways = {
        "a rate": (RATE, False),
        "slots": (SLOTS, False),
        "1,000 fair keys": ("", True),
        "a rate, slots and 1,000 fair keys": (RATE + SLOTS, True),
    }
    with bench() as b:
        usual = drained(b, plain, PLAIN, jobs)
    found = {}
    for what, (settings, has_keys) in ways.items():
        with bench(top=settings) as b:
            found[what] = drained(
                fairly(b) if has_keys else b, for_tenants, PLAIN, jobs, calls=tenants(jobs)
            )
    return {f"{what}, of the plain drain": rate / usual for what, rate in found.items()}


def fairly(b: Bench) -> Bench:
    """Jobs of different tenants take turns."""
    queues = tuple(attrs.evolve(queue, fair="tenant") for queue in b.config.queues)
    return attrs.evolve(b, config=attrs.evolve(b.config, queues=queues))


def tenants(jobs: int) -> Iterator[Call]:
    return (Call("noop", {**PLAIN.payload, "tenant": n % TENANTS}) for n in range(jobs))


def for_tenants(tally: Tally) -> None:
    @tally.app.job("noop")
    async def noop(pad: str, tenant: int) -> None:
        tally.one()


STUCK = """
[limits.one]
jobs = ["stuck"]
concurrency = 1
"""


@row("limited", rounds=1)
def many_that_wait(scale: Scale) -> Figures:
    as_served()
    jobs, many = scale.of(30_000, 1_000), scale.of(100_000, 1_000)
    few, waiting, lying = (
        beside(stuck, unserved, jobs) for stuck, unserved in ((2, 0), (many, 0), (2, many))
    )
    return {
        "100,000 wait for a slot: the server for other jobs": waiting / few,
        "… of that beside 100,000 in a queue that nobody serves": waiting / lying,
    }


def beside(waiting: int, unserved: int, jobs: int) -> float:
    """The server's CPU time for jobs of a queue in which so many wait for a limit, in s.

    Args:
      unserved: So many lie in another queue.
    """
    with bench(top=STUCK) as b:
        enqueue(b, (Call("stuck", {}, queue="low") for _ in range(waiting)))
        enqueue(b, (attrs.evolve(PLAIN, queue="high") for _ in range(unserved)))
        served = [queue for queue in b.config.queues if queue.name == "low"]
        low = attrs.evolve(b, config=attrs.evolve(b.config, queues=tuple(served)))
        return trio.run(_beside, low, waiting, jobs)


def until_they_wait(b: Bench, count: int) -> None:
    while b.admin.call("ZCARD", "{bench}:limited") < count:
        time.sleep(0.1)


async def _beside(b: Bench, waiting: int, jobs: int) -> float:
    tally = Tally(jobs)
    plain(tally)

    @tally.app.job("stuck")
    async def stuck() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(Engine(tally.app, with_metrics(b.config)).run)
        await trio.to_thread.run_sync(until_they_wait, b, waiting - 1)
        before = b.cpu_s()
        await trio.to_thread.run_sync(enqueue, b, (PLAIN for _ in range(jobs)))
        await tally.all_done.wait()
        used = b.cpu_s() - before
        nursery.cancel_scope.cancel()
    return used
