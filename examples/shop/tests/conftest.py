"""What the tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from shop.database import Database

from tests.outside import Outside
from trioq.testing import World


@pytest.fixture
def outside(tq: World, tmp_path: Path) -> Iterator[Outside]:
    """The world outside, which the handlers find as ``job.deps``."""
    with closing(Database(tmp_path / "shop.db")) as db:
        made = Outside(db)
        tq.deps = made.deps
        yield made
