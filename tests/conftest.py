"""Fixtures for all tests: one real server, a fresh data set for each test."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.faults.network import NETWORK
from tests.scene import Scene
from tests.support import Server, shared
from trioq.store.redis import RedisStore

IS_LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"


def pytest_configure() -> None:
    """A shell lets nothing in its background be interrupted; what tests start must be."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a network of :mod:`tests.faults.network`, only what talks to a server has a meaning; what
    takes long is for the long profile."""
    kept = [item for item in items if IS_LONG or not item.get_closest_marker("long")]
    if NETWORK != "direct":
        kept = [item for item in kept if _talks(item) and not item.get_closest_marker("direct")]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What isn't run for want of a program is told, with the others that are skipped."""
    for marker in item.iter_markers("needs"):
        if shutil.which(marker.args[0]) is None:
            pytest.skip(f"{marker.args[0]} isn't installed")


def _talks(item: pytest.Item) -> bool:
    given = getattr(getattr(item, "callspec", None), "params", {})
    names = set(getattr(item, "fixturenames", ()))
    return bool({"shared_server", "own_server"} & names) and given.get("world") != "memory"


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """A server for tests that don't hurt it."""
    server = shared()
    yield server
    server.close()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The shared server, empty."""
    shared_server.call("FLUSHALL")
    return shared_server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server of the test's own, to be stopped, killed and restarted; its AOF is synced always."""
    server = Server(options=("--appendonly", "yes", "--appendfsync", "always")).start()
    yield server
    server.close()


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    """A store on an empty data set."""
    store = server.store()
    yield store
    store.lane.close()


@pytest.fixture
def scene(store: RedisStore) -> Scene:
    """Makes jobs lie where a test wants them."""
    return Scene.on(store)
