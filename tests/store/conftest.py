"""Fixtures for tests of the store."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.store.embedding import wait_at_rest
from tests.store.peer import Peer
from tests.store.world import World
from tests.support import Server

Fake = Callable[..., Peer]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    """Makes peers that answer as they are told."""
    made: list[Peer] = []

    def make(*answers: list[bytes | None]) -> Peer:
        made.append(Peer(tmp_path, *answers))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture(params=["redis", "memory"])
def world(request: pytest.FixtureRequest, server: Server) -> Iterator[Callable[..., World]]:
    """Makes a store of each kind, with options of the test's own."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World.of(request.param, server, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory whose server the test leaves to the keeper."""
    path = tmp_path / "data"
    yield path
    wait_at_rest(path)


@pytest.fixture
def tcp() -> Iterator[tuple[Server, int]]:
    """A server on a TCP port too, and the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(options=("--port", str(port), "--bind", "127.0.0.1")).start()
    yield server, port
    server.close()
