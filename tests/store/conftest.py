"""Fixtures for tests of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.peer import Peer

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
