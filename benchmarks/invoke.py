"""What it costs to run a handler, beyond running it.

    python -m benchmarks.invoke [--runs 100000] [--rounds 7]

Runs handlers that do nothing in one task: bare, under a cancel scope with a deadline (trio's
part of any timeout, so the floor), and through ``invoke`` with the default timeout. Prints
microseconds per run, of the best round (the others were disturbed), then by how much ``invoke``
is above the bare call in the best round and in the median of them. The goal is less than 10.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import trio

import trioq
from trioq.core.outcome import Succeeded
from trioq.engine.handlers import Timebox, invoke

DEFAULT_TIMEOUT_S = 300.0

app = trioq.App()


@app.job()
async def nothing() -> None:
    pass


@app.job()
async def three_fields(job: trioq.Job, path: str, width: int = 256, quality: float = 0.9) -> None:
    pass


@app.job()
async def one_checkpoint() -> None:
    await trio.lowlevel.checkpoint()


@app.job()
def in_a_thread() -> None:
    pass


#: Handler, payload, and how many times fewer runs it gets.
CASES: list[tuple[Any, dict[str, Any], int]] = [
    (nothing, {}, 1),
    (three_fields, {"path": "a.png", "width": 512, "quality": 0.5}, 1),
    (one_checkpoint, {}, 1),
    (in_a_thread, {}, 20),
]


@attrs.frozen
class Cost:
    """Microseconds per run, of the best round, and how much more it is in the median of them."""

    bare: float
    scope: float
    invoke: float
    median_above: float

    @property
    def above(self) -> float:
        return self.invoke - self.bare


async def time_of(call: Callable[[], Awaitable[Any]], runs: int) -> float:
    """Microseconds per call."""
    started = time.perf_counter()
    for _ in range(runs):
        await call()
    return (time.perf_counter() - started) / runs * 1e6


async def measure(handler: Any, payload: dict[str, Any], runs: int, rounds: int) -> Cost:
    """What one handler costs, in all three ways."""
    registered = handler.registered
    job = trioq.Job(uid="0" * 32, name=registered.name, queue="low", payload=payload)
    threads = trio.CapacityLimiter(1)
    wrapped = partial(
        invoke, registered, job, timeout_s=DEFAULT_TIMEOUT_S, timebox=Timebox(), threads=threads
    )
    assert isinstance(await wrapped(), Succeeded)
    first = (job,) if registered.binding.job_parameter else ()
    bare = partial(registered.function, *first, **payload)
    if not registered.is_async:
        bare = partial(trio.to_thread.run_sync, bare, limiter=threads)

    async def scoped() -> None:
        with trio.CancelScope(deadline=trio.current_time() + DEFAULT_TIMEOUT_S):
            await bare()

    # In turns, so that all three see the machine's good and bad moments.
    times = [[await time_of(c, runs) for c in (bare, scoped, wrapped)] for _ in range(rounds)]
    best_bare, best_scoped, best_invoke = (min(column) for column in zip(*times, strict=True))
    median_above = statistics.median(through - alone for alone, _, through in times)
    return Cost(best_bare, best_scoped, best_invoke, median_above)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'µs per run':<16}{'bare':>9}{'scope':>9}{'invoke':>9}{'above':>9}{'median':>9}")
    for handler, payload, fewer in CASES:
        cost = await measure(handler, payload, arguments.runs // fewer, arguments.rounds)
        print(
            f"{handler.registered.name:<16}{cost.bare:>9.2f}{cost.scope:>9.2f}{cost.invoke:>9.2f}"
            f"{cost.above:>9.2f}{cost.median_above:>9.2f}"
        )


if __name__ == "__main__":
    trio.run(main)
