"""What other queues call our keys, so that who comes from there is told ours.

Celery, RQ, arq, Dramatiq, Huey, Sidekiq, BullMQ and asynq have been looked through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Path
from trioq.core.config.rules import dotted
from trioq.core.config.sections import Config

#: What needs more than a name.
FIRST_RUN = "max_attempts, which counts the first run too"
TLS = "url, with rediss:// in it"

#: Section → their words → our keys: of that section, or all the way from the top.
WORDS: Mapping[str, Mapping[str, str]] = {
    "": {
        "broker broker_url redis_url redis_dsn connection dsn": "redis.url",
        "concurrency workers threads max_jobs": "worker.count",
        "processes num_processes process_count": "serve.processes",
        "max_tasks_per_child worker_max_tasks_per_child": "serve.max_jobs",
        "worker_max_memory_per_child max_memory_per_child": "serve.max_rss",
        "prefix key_prefix queue_prefix": "namespace",
        "imports include tasks functions module modules": "app",
        "log_level loglevel": "observability.log_level",
        "max_retries retries retry attempts max_tries": f"worker.{FIRST_RUN}",
        "task_default_queue queue": "default_queue",
        "timeout job_timeout task_time_limit time_limit": "worker.timeout",
        "rate_limit": "limiter.rate",
    },
    "redis": {
        "host port hostname address addr dsn unix_socket_path": "url",
        "database": "db",
        "user": "username",
        "ssl tls use_ssl use_tls": TLS,
        "ssl_ca_certs ca_certs cafile": "tls_ca",
        "ssl_certfile certfile": "tls_cert",
        "ssl_keyfile keyfile": "tls_key",
        "timeout socket_timeout": "read_timeout",
        "socket_connect_timeout dial_timeout conn_timeout": "connect_timeout",
    },
    "queues": {
        "priority": "weight",
        "max_size maxsize limit": "max_length",
        "max_age max_latency latency starvation": "max_wait",
        "time_limit job_timeout": "timeout",
        "max_concurrency": "concurrency",
        "rate_limit": "rate",
        "fair_key fairness group group_by": "fair",
        "weights key_weights": "fair_weights",
    },
    "worker": {
        "concurrency workers worker_concurrency threads max_workers"
        " num_workers pool_size prefetch prefetch_count": "count",
        "processes num_processes process_count": "serve.processes",
        "max_tasks_per_child": "serve.max_jobs",
        "max_memory_per_child": "serve.max_rss",
        "max_retries retries retry attempts max_tries tries max_retry": FIRST_RUN,
        "time_limit job_timeout task_time_limit default_timeout soft_time_limit": "timeout",
        "shutdown_timeout graceful_timeout stop_timeout drain_timeout job_completion_wait": "grace",
        "heartbeat health_check_interval": "heartbeat_interval",
        "visibility_timeout lock_duration stalled_interval": "lease",
        "max_stalled_count": "max_reaps",
        "result_ttl keep_result remove_on_complete result_expires": "keep_done",
        "min_backoff retry_delay retry_backoff default_retry_delay": "worker.backoff.base",
        "max_backoff retry_backoff_max": "worker.backoff.cap",
    },
    "worker.backoff": {
        "min initial delay min_backoff": "base",
        "max max_backoff maximum": "cap",
        "retry_jitter": "jitter",
    },
    "serve": {
        "workers concurrency count num_processes process_count": "processes",
        "max_tasks_per_child max_requests": "max_jobs",
        "max_memory max_memory_per_child memory": "max_rss",
        "max_lifetime lifetime": "max_age",
    },
    "producer": {
        "directory dir path folder watch_dir": "scan_dir",
        "interval poll_interval": "scan_interval",
        "include pattern patterns glob globs": "include_globs",
        "exclude ignore": "exclude_globs",
        "handler task": "job",
    },
    "limiter": {"max per_second limit requests": "rate", "bucket capacity": "burst"},
    "circuit_breaker": {
        "threshold fail_max error_threshold": "failure_threshold",
        "reset_timeout recovery_timeout": "cooldown",
        "min_calls minimum_calls": "min_samples",
    },
    "observability": {
        "port host address listen metrics_port metrics_bind": "bind",
        "level loglevel": "log_level",
        "format": "log_format",
    },
    "web": {
        "port host address listen": "bind",
        "trusted_proxies forwarded_allow_ips": "proxies",
        "mask masked hide hidden redact": "sensitive",
        "session_lifetime session_timeout": "session",
    },
    "web.users": {"password_hash hash pass": "password", "access level": "role"},
    "web.tokens": {"hash token": "sha256", "access level": "role"},
    "observability.tracing": {"ratio sampling sample_rate": "sample_ratio", "url": "endpoint"},
    "limits": {
        "max_concurrency max_running slots capacity": "concurrency",
        "limit rate_limit per_second max": "rate",
        "bucket": "burst",
        "handlers tasks job names": "jobs",
        "group_key group partition_key field by": "key",
    },
    "schedules": {
        "crontab expression pattern schedule": "cron",
        "interval seconds": "every",
        "run_at run_date eta": "at",
        "timezone zone time_zone": "tz",
        "handler task func function": "job",
        "args kwargs arguments": "payload",
        "misfire_policy coalesce catchup": "misfire",
        "misfire_grace_time": "misfire_grace",
        "max_instances concurrency_policy": "overlap",
    },
    "commands": {
        "command cmd args": "argv",
        "environment": "env",
        "dir directory workdir": "cwd",
        "max_retries retries attempts": FIRST_RUN,
    },
}


def meant(path: Path) -> str:
    """What was probably meant by a key that doesn't exist: by what it means elsewhere, or by
    where else there is such a key. Empty: nobody knows."""
    section = dotted(tuple(step for step in path[:-1] if not isinstance(step, int)))
    for named in ("commands", "limits", "schedules", "web.users", "web.tokens"):
        section = named if section.startswith(f"{named}.") else section
    section = "circuit_breaker" if section.startswith("breakers.") else section
    word = str(path[-1]).lower().replace("-", "_")
    for theirs, ours in WORDS.get(section, {}).items():
        if word in theirs.split():
            return ours
    found = [dotted(other) for other in _paths(Config, ()) if other[-1] == word]
    return found[0] if len(found) == 1 else ""


def _paths(section: type, path: Path) -> Iterator[Path]:
    for entry in entries(section).values():
        here = (*path, entry.key)
        if not isinstance(entry.kind, Section):
            yield here
        elif entry.kind.shape == "one":
            yield from _paths(entry.kind.of, here)
