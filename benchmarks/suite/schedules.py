"""How late a schedule's job starts, and what schedules cost that don't come."""

from __future__ import annotations

import time

import trio

from benchmarks.drain import measured
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.waits import engine_of
from benchmarks.support import Bench, bench, percentile
from trioq import App, Job
from trioq.core.formats import schedule as rows
from trioq.core.numbering import Numbering
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Every
from trioq.store.connector import store_options
from trioq.store.keys import Keys
from trioq.store.redis import RedisStore

#: Between two ticks all is idle again; no divisor of the engine's look, so that both meet anyhow.
EACH_MS = 130
YEAR_MS = 365 * 86_400_000


@row("schedules")
def schedules(scale: Scale) -> Figures:
    with bench() as b:
        late = trio.run(late_ms, b, scale.of(200, 10))
        b.clear()
        many, seconds = scale.of(10_000, 100), scale.of(20, 3)
        idle = trio.run(idle_spent, b, seconds)
        store = store_of(b)
        put(store, *(f"yearly-{n}" for n in range(many)), each_ms=YEAR_MS)
        spent = trio.run(idle_spent, b, seconds)
        store.lane.close()
    more = {what: spent[what] - idle[what] for what in idle}
    return {
        "a schedule's tick → handler, p50": percentile(late, 0.5),
        "a schedule's tick → handler, p99": percentile(late, 0.99),
        "10,000 schedules, an idle engine: more commands": more["commands"],
        "… more of the server's CPU time": more["server"] * 100,
        "… more of the client's CPU time": more["client"] * 100,
    }


def store_of(b: Bench) -> RedisStore:
    """To put schedules into."""
    keys = Keys(b.config.namespace)
    return RedisStore(keys, b.connector.lane("schedules"), store_options(b.config))


def put(store: RedisStore, *names: str, each_ms: int) -> None:
    """These come each so many milliseconds."""
    numbering, when = Numbering(), Every(each_ms)
    for name in names:
        its = rows.encode(Schedule(name, when, "noop", "low", overlap="allow"))
        next_ms = when.after(store.next_ticks(1).now_ms)
        store.put_schedule(*numbering.next(), name, its, next_ms)


async def late_ms(b: Bench, ticks: int) -> list[float]:
    """Milliseconds from each tick to its handler's first line. Server and engine have one clock."""
    app, late, enough = App(), list[float](), trio.Event()

    @app.job("noop")
    async def noop(job: Job) -> None:
        assert job.id is not None
        late.append(time.time() * 1000 - int(job.id.rpartition(":")[2]))
        if len(late) == ticks:
            enough.set()

    store = store_of(b)
    put(store, "each", each_ms=EACH_MS)
    async with engine_of(app, b.config):
        await enough.wait()
    store.lane.close()
    return late[1:]  # before the first one the engine was starting


async def idle_spent(b: Bench, seconds: float) -> dict[str, float]:
    """Commands and CPU seconds of an engine that has nothing to do, for each second."""
    async with engine_of(App(), b.config):
        await trio.sleep(1)  # it has started
        commands = _commands(b)
        with measured(b) as cost:
            await trio.sleep(seconds)
        made = _commands(b) - commands
    spent = {"commands": made, "server": cost.server_s, "client": cost.client_s}
    return {what: value / cost.wall_s for what, value in spent.items()}


def _commands(b: Bench) -> float:
    return float(b.info("stats")["total_commands_processed"])
