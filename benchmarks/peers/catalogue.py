"""Which peers there are, and below which rate a line about one says nothing."""

from __future__ import annotations

import attrs


@attrs.frozen
class Peer:
    """A job queue to be measured."""

    name: str
    module: str
    """Its file in ``inside/``, without the ending."""
    packages: tuple[str, ...]
    """From PyPI, or from npm where the file is JavaScript; none: it is trioq itself."""
    floor: float
    """No-op jobs/s of one worker process: half of what is published. Whoever measures less has
    set it up badly, or measured something else."""
    slots: int = 16
    """Jobs at a time, for no-ops: what suits it best."""
    is_async: bool = True
    """Whether its handlers can await."""

    @property
    def is_node(self) -> bool:
        return self.module == "on_bullmq"

    @property
    def is_ours(self) -> bool:
        return not self.packages


# Sources of the floors. "Yue": github.com/steventen/python_queue_benchmark, 20,000 jobs with ten
# workers on an M2 Pro. "streaQ": the benchmarks of its repository, 20,000 no-ops with one worker.
PEERS = (
    # docs/performance.md.
    Peer("trioq", "on_trioq", (), 14_000),
    Peer("trioq, def", "on_trioq_def", (), 1_600, is_async=False),
    # Yue: 4.12 s with one process and ten threads.
    Peer("dramatiq", "on_dramatiq", ("dramatiq[redis]", "hiredis"), 2_400, slots=8),
    # streaQ: 13.69 s.
    Peer("taskiq", "on_taskiq", ("taskiq", "taskiq-redis", "hiredis", "uvloop"), 730, slots=32),
    # streaQ: 11.71 s. It needs typing_extensions and doesn't say so (0.26.4).
    Peer("saq", "on_saq", ("saq[redis,hiredis]", "typing_extensions", "uvloop"), 850, slots=32),
    # Yue: 4.15 s with ten threads.
    Peer("huey", "on_huey", ("huey", "redis", "hiredis"), 2_400, slots=10, is_async=False),
    # Yue: 17.6 s with ten processes, 11.68 s with ten threads.
    Peer("celery", "on_celery", ("celery[redis]", "hiredis"), 560, slots=1, is_async=False),
    # Yue: 51.05 s with ten processes that fork for each job.
    Peer("rq", "on_rq", ("rq", "hiredis"), 200, slots=1, is_async=False),
    # streaQ: 57.82 s.
    Peer("arq", "on_arq", ("arq", "hiredis", "uvloop"), 170, slots=64),
    # streaQ: 12.57 s.
    Peer("streaq", "on_streaq", ("streaq", "uvloop"), 800, slots=32),
    # hexdocs.pm/bullmq/benchmarks.html: 4,111/s with one worker of 500, by the same scripts.
    Peer("bullmq", "on_bullmq", ("bullmq", "ioredis"), 2_050, slots=100),
)
