"""What an API says of itself, as the part of a configuration that commands look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.config import Config, LimitConfig, NamedBreakerConfig, QueueConfig
from trioq.settings import from_url


def config_of(about: Mapping[str, Any]) -> Config:
    """Names of queues, limits and breakers, and how long things are kept; else the defaults."""
    nothing = from_url("redis://api", namespace=about["namespace"], environ={})
    return attrs.evolve(
        nothing,
        queues=tuple(QueueConfig(name=name) for name in about["queues"]),
        limits={name: LimitConfig(name=name, key=key) for name, key in about["limits"].items()},
        breakers=dict.fromkeys(about["breakers"], NamedBreakerConfig()),
        worker=attrs.evolve(nothing.worker, **about["worker"]),
    )
