"""What tests with the kit take: a world, a job in it, an hour and a month of retries.

    python -m benchmarks.worlds [--rounds 9]

Each is a test as users write them, in a world of its own, from its beginning to its end. Prints
milliseconds of the best round and of the median.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import trio

import trioq
from trioq.core.config import Config, QueueConfig
from trioq.testing import World

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def retries(many: int, pause_s: float) -> Callable[[], None]:
    """A test of a handler that fails so often, with so long a pause each time."""

    def test() -> None:
        app = trioq.App()
        retry = trioq.Retry(max_attempts=many + 1, base=pause_s, cap=pause_s, jitter=0.0)

        @app.job(retry=retry)
        async def charge(job: trioq.Job) -> None:
            if job.attempt <= many:
                raise ConnectionError

        _run(app, charge.call())

    return test


def sleeps(seconds: float) -> Callable[[], None]:
    """A test of a handler that waits for so long: no time can be passed over."""

    def test() -> None:
        app = trioq.App()

        @app.job(timeout=2 * seconds)
        async def wait() -> None:
            await trio.sleep(seconds)

        _run(app, wait.call())

    return test


def _run(app: trioq.App, call: trioq.Call) -> None:
    tq = World(app, Config(queues=(QueueConfig("default"),)))
    tq.sync_client.enqueue(call)
    assert tq.run(tq.drain).done == 1
    tq.close()


CASES = {
    "one job": retries(0, 1.0),
    "six retries in an hour": retries(6, HOUR_S / 6),
    "30 retries in a month": retries(30, DAY_S),
    "a handler that sleeps for an hour": sleeps(HOUR_S),
}


def measure(test: Callable[[], None], rounds: int) -> list[float]:
    """Milliseconds of each round."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        test()
        took.append((time.perf_counter() - began) * 1e3)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"{'ms':<36}{'best':>9}{'median':>9}")
    for name, test in CASES.items():
        measure(test, 1)  # what is loaded with the first isn't its own
        took = measure(test, arguments.rounds)
        print(f"{name:<36}{min(took):>9.1f}{statistics.median(took):>9.1f}")


if __name__ == "__main__":
    main()
