"""What the configuration says, in the words of the tasks."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from trioq.core.blame import Breaker
from trioq.core.breaker import Settings as BreakerSettings
from trioq.core.calls import Rate
from trioq.core.config import Config, Fault, ProducerConfig, QueueConfig
from trioq.core.guards import guard_faults, guards
from trioq.core.limiter import interval_us
from trioq.core.retry import Retry
from trioq.engine.handlers import Handler
from trioq.engine.runs.rules import Rules

if TYPE_CHECKING:
    from trioq.engine.sources.scan.files import ScanRules


def engine_name() -> str:
    """New for each process: dead processes are the reaper's business alone."""
    host = socket.gethostname().replace(" ", "-")
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


def retry(config: Config) -> Retry:
    """What holds for handlers that don't say otherwise."""
    worker = config.worker
    backoff = worker.backoff
    return Retry(worker.max_attempts, backoff.base_s, backoff.cap_s, backoff.jitter)


def rules(config: Config) -> Rules:
    return Rules(
        retry=retry(config),
        timeout_s=config.worker.timeout_s,
        queue_timeouts_s={q.name: q.timeout_s for q in config.queues if q.timeout_s is not None},
        max_result_bytes=config.worker.max_result_bytes,
    )


def breaker_settings(config: Config) -> BreakerSettings:
    breaker = config.circuit_breaker
    return BreakerSettings(
        breaker.failure_threshold, breaker.window_s, breaker.cooldown_s, breaker.min_samples
    )


def breaker_rules(config: Config, handlers: Mapping[str, Handler]) -> Mapping[str, Breaker]:
    """What holds for the breaker of each handler that has one."""
    return guards(_breakers(handlers), config.breakers)


def behind(config: Config, handlers: Mapping[str, Handler]) -> dict[str, str]:
    """Of handlers that a breaker of another name guards, that name; of those without one, none."""
    rules = breaker_rules(config, handlers)
    names = {job: (rules[job].name or job) if job in rules else "" for job in handlers}
    return {job: name for job, name in names.items() if name != job}


def breaker_faults(config: Config, handlers: Mapping[str, Handler]) -> Iterator[Fault]:
    """What can't be of what ``[breakers]`` and the handlers say."""
    return guard_faults(_breakers(handlers), config.breakers)


def _breakers(handlers: Mapping[str, Handler]) -> Mapping[str, Breaker | None]:
    return {name: handler.errors.breaker for name, handler in handlers.items()}


def rate(config: Config) -> Rate | None:
    limiter = config.limiter
    if limiter.rate <= 0:
        return None
    return Rate("producer", interval_us(limiter.rate), limiter.burst)


def scan_rules(config: Config, producer: ProducerConfig) -> ScanRules:
    from trioq.engine.sources.scan.files import ScanRules  # loads what only a scan needs

    by_extension = {
        extension.lower(): queue
        for queue, extensions in producer.queues_by_extension.items()
        for extension in extensions
    }
    return ScanRules(
        root=config.resolve(producer.scan_dir),
        include=tuple(producer.include_globs),
        exclude=tuple(producer.exclude_globs),
        queue_of_extension=by_extension,
        default_queue=producer.default_queue or config.default_queue,
        ignore_ctime=producer.ignore_ctime,
    )


def unlimited(queues: Iterable[QueueConfig]) -> tuple[str, ...]:
    """Of these, those whose ready jobs an engine with idle workers claims."""
    return tuple(q.name for q in queues if q.rate is None and q.concurrency is None)
