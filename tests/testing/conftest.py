"""Fixtures for tests of the kit: no configuration is found, this repository's neither."""

from __future__ import annotations

import pytest

from trioq.core.config import Config, QueueConfig


@pytest.fixture
def trioq_config() -> Config:
    return Config(queues=(QueueConfig("urgent"), QueueConfig("default")))
