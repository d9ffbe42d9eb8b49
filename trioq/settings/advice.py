"""What is allowed, but probably not meant: ``trioq config check`` tells, ``trioq doctor``, and an
engine when it starts."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from ipaddress import ip_address

from trioq.core.config.redis_url import split
from trioq.core.config.sections import Config


def warnings(config: Config) -> list[str]:
    """One line for each thing that its owner should look at. Looks at the file system."""
    return [
        *config.notes,
        *_password(config),
        *_open_to_all(config),
        *_file(config),
        *_scan_dir(config),
    ]


def _password(config: Config) -> Iterator[str]:
    redis = config.redis
    if redis.password is None:
        return
    server = split(redis.url)
    if redis.embedded is not None:
        yield "redis.password: has no effect, the embedded server is reached by a private socket"
    elif server.scheme == "redis" and server.host is not None and not _is_here(server.host):
        yield (
            f"redis.url: the password and all payloads travel to {server.host} unencrypted; "
            "use rediss:// if the network isn't private"
        )


def _open_to_all(config: Config) -> Iterator[str]:
    redis = config.redis
    server = split(redis.url)
    is_open = server.scheme == "redis" and redis.password is None
    if is_open and server.host is not None and not _is_here(server.host):
        yield (
            f"redis.url: whoever reaches {server.host} can read, change and delete all jobs, for it"
            " takes no password and nothing is encrypted; set TRIOQ_REDIS__PASSWORD, and use"
            " rediss:// if the network isn't private"
        )
    address = config.observability.address
    if address is not None and address[0] in ("0.0.0.0", "::"):
        yield (
            f"observability.bind: whoever reaches this machine can read what the pages on"
            f" {config.observability.bind} tell; there is no password"
        )


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _file(config: Config) -> Iterator[str]:
    in_file = config.redis.password is not None and "redis.password" not in config.environment
    if config.path is None or not in_file:
        return
    try:
        mode = config.path.stat().st_mode
    except OSError:
        return
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        yield (
            f"{config.path}: holds a password and others can read it; "
            "chmod 600, or set TRIOQ_REDIS__PASSWORD instead"
        )


def _scan_dir(config: Config) -> Iterator[str]:
    if config.producer is not None and not config.resolve(config.producer.scan_dir).is_dir():
        yield f"producer.scan_dir: {config.producer.scan_dir} isn't a directory now"
