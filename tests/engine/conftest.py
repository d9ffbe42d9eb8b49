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
