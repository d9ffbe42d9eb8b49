"""What a client is opened with."""

from __future__ import annotations

from pathlib import Path

from trioq.core.config import Config, check
from trioq.settings import from_url, load


def configured(
    config: Config | str | Path | None, url: str | None, namespace: str | None
) -> tuple[Config, bool]:
    """The configuration, and whether it says which queues there are."""
    if (config is None) == (url is None):
        raise TypeError("connect takes a configuration or a url")
    if url is not None:
        made = from_url(url, namespace=namespace)
        return made, bool(made.queues)
    if namespace is not None:
        raise TypeError("the namespace is in the configuration")
    if isinstance(config, Config):
        check(config)
        return config, True
    assert config is not None
    return load(config), True
