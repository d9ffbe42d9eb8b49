"""What handlers share in a world is what a test says, or what their app's lifespan gives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.testing.jobs import put
from trioq import App, Job
from trioq.testing import World

entered: list[str] = []
found: list[str] = []


async def resources(app: App[str]) -> AsyncIterator[str]:
    entered.append("entered")
    yield "the app's"


@pytest.fixture
def trioq_app() -> App[str]:
    entered.clear()
    found.clear()
    app = App(lifespan=resources)

    @app.job
    async def awaited(job: Job[str]) -> None:
        found.append(job.deps)

    @app.job(isolation="process")
    def called(job: Job[str]) -> None:
        found.append(job.deps)

    return app


async def test_a_lifespan_is_entered_as_in_any_engine(tq: World) -> None:
    with pytest.raises(AttributeError, match="lifespan"):
        _ = tq.deps
    for name in ("awaited", "called"):
        put(tq, name)
    await tq.drain()
    assert (found, entered) == (["the app's"] * 2, ["entered"])


async def test_a_test_says_what_they_share(tq: World) -> None:
    tq.deps = "the test's"
    for name in ("awaited", "called"):
        put(tq, name)
    await tq.drain()
    assert (found, entered) == (["the test's"] * 2, [])
    assert tq.deps == "the test's"


async def test_it_may_be_nothing(tq: World) -> None:
    tq.deps = None
    put(tq, "awaited")
    await tq.drain()
    assert found == [None]
