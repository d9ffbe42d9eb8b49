"""How long the properties are tried, and the server they share.

The quick profile, which ``make test`` runs, tries the same cases each time, so that what
breaks it is a change. The long one, ``make props`` (``TRIOQ_TEST_PROPS=long``), draws new
ones each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from props.lockstep import LockStep
from tests.support import Server, shared

settings.register_profile(
    "quick",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    max_examples=2000,
    stateful_step_count=80,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "mutants",  # a failure is all that is asked for, not the smallest
    settings.get_profile("quick"),
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile(os.environ.get("TRIOQ_TEST_PROPS", "quick"))


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
