"""Fixtures for tests of whole engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.engine.rig import Rig, rig_on
from tests.engine.sources.scan.trees import write
from tests.engine.virtual import World
from tests.support import Server


def pytest_configure(config: pytest.Config) -> None:
    World.on_redis = config.getoption("trioq_redis")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--trioq-redis`` those of these tests that have no world would be the same again."""
    if not World.on_redis:
        return
    here = Path(__file__).parent
    same = [item for item in items if here in item.path.parents and not _has_a_world(item)]
    config.hook.pytest_deselected(items=same)
    items[:] = [item for item in items if item not in same]


def _has_a_world(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item.module, "World")


@pytest.fixture(autouse=True)
def closed_worlds() -> Iterator[None]:
    """What a test's worlds have kept is forgotten with it."""
    yield
    while World.not_closed:
        World.not_closed[-1].close()


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    """A rig on the shared server."""
    with rig_on(server) as rig:
        yield rig


@pytest.fixture
def own_rig(own_server: Server) -> Iterator[Rig]:
    """A rig on a server to be hurt."""
    with rig_on(own_server) as rig:
        yield rig


@pytest.fixture
def world(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> World:
    """Engines under a virtual clock. A test that uses it has ``autojump_clock`` as well."""
    return World(nursery)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory with a secret in it, beside ``root``, which is scanned."""
    write(tmp_path, "outside/secret", text="secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "outside"
