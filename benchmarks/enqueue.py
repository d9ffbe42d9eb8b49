"""How fast one client enqueues: in bulk, and one by one.

    python -m benchmarks.enqueue [--jobs 20000] [--payload 200] [--rounds 5] [--json]

One by one is compared, in the same round, with redis-py's own ``evalsha`` of the same script
with the same bytes. The goals: 200,000/s in bulk, and 0.95 of the bare calls' rate one by one.
"""

from __future__ import annotations

import time
from typing import Any

import redis

from benchmarks.support import Bench, Row, bench, median, parser, show
from trioq import Call, connect_sync
from trioq.store.lane import Lane


def bulk(b: Bench, jobs: int, call: Call) -> float:
    b.clear()
    with connect_sync(b.config) as client:
        client.enqueue_many([call])
        started = time.perf_counter()
        client.enqueue_many(call for _ in range(jobs))
        return jobs / (time.perf_counter() - started)


def single(b: Bench, jobs: int, call: Call) -> float:
    b.clear()
    with connect_sync(b.config) as client:
        client.enqueue(call)
        started = time.perf_counter()
        for _ in range(jobs):
            client.enqueue(call)
        return jobs / (time.perf_counter() - started)


def bare(b: Bench, jobs: int, call: Call) -> float:
    """The same requests, made beforehand, by redis-py alone."""
    b.clear()
    requests = _requests(b, jobs, call)
    b.clear()
    with redis.Redis(unix_socket_path=str(b.directory / ".server" / "server.sock")) as client:
        client.ping()
        started = time.perf_counter()
        for _, sha, n_keys, *rest in requests:
            client.evalsha(sha, n_keys, *rest)
        return jobs / (time.perf_counter() - started)


def _requests(b: Bench, jobs: int, call: Call) -> list[tuple[Any, ...]]:
    """What the client sends for so many single calls."""
    made: list[tuple[Any, ...]] = []
    send = Lane.pipeline

    def note(lane: Lane, commands: Any, **options: Any) -> Any:
        made.extend(commands)
        return send(lane, commands, **options)

    with connect_sync(b.config) as client:
        client.enqueue(call)
        Lane.pipeline = note  # type: ignore[method-assign]
        try:
            for _ in range(jobs):
                client.enqueue(call)
        finally:
            Lane.pipeline = send  # type: ignore[method-assign]
    return made


def main() -> None:
    made = parser(__doc__, rounds=5)
    made.add_argument("--jobs", type=int, default=20_000)
    made.add_argument("--payload", type=int, default=200, help="bytes")
    options = made.parse_args()
    call = Call("noop", {"pad": "x" * options.payload})
    rounds: list[Row] = []
    with bench() as b:
        for _ in range(options.rounds):
            rounds.append(
                {
                    "bulk/s": bulk(b, options.jobs, call),
                    "single/s": single(b, options.jobs // 10, call),
                    "bare/s": bare(b, options.jobs // 10, call),
                }
            )
    parts = [{"part": row["single/s"] / row["bare/s"]} for row in rounds]
    part = median(parts)["part"]
    show(options, {"enqueue": median(rounds)}, [("single calls' part of the bare ones'", part)])


if __name__ == "__main__":
    main()
