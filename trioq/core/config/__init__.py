"""What can be configured, with defaults.

The names are those of ``jobqueue.toml``; where a value has a unit, the field's name ends
with it (``worker.timeout`` is ``timeout_s``, in seconds). A field says once how its value
is written and what it is for: loading, checking, ``docs/configuration.md``, the names of
the environment variables and the JSON Schema are all drawn from here.

``Config()`` is a valid configuration. One made by hand is checked by
:func:`trioq.core.config.rules.check`; one that was loaded has been.

``sections`` and ``redis`` hold the values, ``kinds``, ``numbers`` and ``texts`` the ways to
write one, ``keys`` what a field says of itself, ``rules`` what must hold between them.
"""

from trioq.core.config.redis import RedisConfig
from trioq.core.config.rules import Fault, check, faults
from trioq.core.config.secret import Secret
from trioq.core.config.sections import (
    Backoff,
    BreakerConfig,
    CommandConfig,
    Config,
    LimitConfig,
    LimiterConfig,
    NamedBreakerConfig,
    ObservabilityConfig,
    ProducerConfig,
    QueueConfig,
    ReaperConfig,
    ScheduleConfig,
    ServeConfig,
    TracingConfig,
    WorkerConfig,
)
from trioq.core.config.web import WebConfig, WebTokenConfig, WebUserConfig

__all__ = [
    "Backoff",
    "BreakerConfig",
    "CommandConfig",
    "Config",
    "Fault",
    "LimitConfig",
    "LimiterConfig",
    "NamedBreakerConfig",
    "ObservabilityConfig",
    "ProducerConfig",
    "QueueConfig",
    "ReaperConfig",
    "RedisConfig",
    "ScheduleConfig",
    "Secret",
    "ServeConfig",
    "TracingConfig",
    "WebConfig",
    "WebTokenConfig",
    "WebUserConfig",
    "WorkerConfig",
    "check",
    "faults",
]
