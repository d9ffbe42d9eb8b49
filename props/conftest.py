"""How long the properties are tried, and the server they share.

The profiles are those of the whole suite. What is dear has less: the machines of the store say
their share of the examples (``as_test``), since each of their steps is executed four times and
compared twice. No test of the long profile is meant to take more than five minutes on a machine of
its own; each may take half an hour, and one of the quick profile half of that, since one that is
broken off has found nothing, and Hypothesis calls it a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from props.lockstep import LockStep
from tests.support import Server, shared

IS_LONG = os.environ.get("TRIOQ_TEST_PROPS") == "long"
LONGEST_S = 1800 if IS_LONG else 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """More time for each test than the suite's timeout."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """A server for all properties."""
    server = shared()
    yield server
    server.close()


@pytest.fixture
def lockstep_server(shared_server: Server) -> None:
    """For the machines of :mod:`props.lockstep`."""
    LockStep.server = shared_server
