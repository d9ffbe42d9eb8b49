"""A script that computes on all engines, and takes what comes in the order in which it is done.

    trioq serve examples/many.toml &
    python examples/many_results.py examples/many.toml 1000

Ctrl-C ends the waiting; the jobs go on.
"""

from __future__ import annotations

import sys

import trioq

app = trioq.App()

STEP = 1_000


@app.job(isolation="process", result="10m")
def primes(first: int) -> int:
    """How many primes there are among the thousand numbers from this one on."""
    return sum(is_prime(number) for number in range(first, first + STEP))


def is_prime(number: int) -> bool:
    return number > 1 and all(number % n for n in range(2, int(number**0.5) + 1))


def main(config: str, thousands: int) -> None:
    found = 0
    with trioq.connect_sync(config) as client:
        handles = client.enqueue_many(primes.call(n * STEP) for n in range(thousands))
        for number, (_, end) in enumerate(trioq.as_done(handles), 1):
            found += end.result()
            if sys.stderr.isatty():
                print(f"\r{number} of {thousands}", end="", file=sys.stderr)
    print(f"{found} primes below {thousands * STEP}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
