"""From a key of the configuration to the part that needs it: each is seen to be kept.

A value that isn't the default stands in a file, or in the environment; the engines and clients
that a user would have read it; and something is seen that the default wouldn't do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.settings.observed import ROWS, Place, Row
from tests.settings.observed.place import all_keys
from tests.support import Server

#: These are read from the environment as well.
SAMPLE = (
    "namespace", "default_queue", "max_payload", "redis.db", "worker.count",
    "worker.backoff.base", "worker.backoff.jitter", "worker.id_retention",
    "circuit_breaker.min_samples", "producer.include_globs", "producer.watch", "limiter.burst",
)  # fmt: skip

#: Seen by several processes, or by many lines of a program's.
TAKE_LONG = (
    "serve.max_age", "serve.max_rss", "observability.tracing.relation",
    "observability.tracing.sample_ratio",
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a place sets in the environment goes with it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_every_key_has_a_row_and_every_row_a_key() -> None:
    assert ROWS.keys() == all_keys().keys()


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.key)
def test_a_row_sets_what_is_not_the_default(row: Row) -> None:
    assert row.value != all_keys()[row.key].get("default")


@pytest.mark.trio
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=[pytest.mark.long] if key in TAKE_LONG else [])
        for key, row in ROWS.items()
    ],
    ids=lambda row: row.key,
)
async def test_a_key_of_the_file_is_kept(row: Row, server: Server, tmp_path: Path) -> None:
    await row.observe(Place(server, tmp_path, row.key, row.value))


@pytest.mark.trio
@pytest.mark.parametrize("key", SAMPLE)
async def test_a_key_of_the_environment_is_kept(key: str, server: Server, tmp_path: Path) -> None:
    row = ROWS[key]
    await row.observe(Place(server, tmp_path, row.key, row.value, "environment"))
