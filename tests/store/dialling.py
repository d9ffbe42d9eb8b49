"""Configurations that lead to a server, and the connections that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.connection import AbstractConnection

from trioq.core.config import Config, RedisConfig
from trioq.store.connector import Connector


def configured(url: str, directory: Path | None = None, **fields: Any) -> Config:
    """This server, in a directory where relative paths lead nowhere if none is given."""
    redis = RedisConfig.from_url(url, **fields)
    return Config(redis=redis, directory=directory or Path("/nowhere"))


def connection_of(connector: Connector) -> AbstractConnection:
    """One that is connected, to be looked at; closed with the connector."""
    connection = connector.lane("look").connect()
    connector._lanes[-1].adopt(connection)
    return connection
