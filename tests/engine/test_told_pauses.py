"""What is paused is told by each engine that finds it so: once, and when it is over."""

from __future__ import annotations

import attrs
import pytest

from tests.engine.rig import Rig, config_of, noop
from trioq.core.config.sections import ObservabilityConfig
from trioq.core.events import (
    Event,
    KeyPaused,
    KeyResumed,
    NamePaused,
    NameResumed,
    QueuePaused,
    QueueResumed,
)
from trioq.engine.engine import Engine

pytestmark = pytest.mark.trio


@pytest.fixture
def rig(rig: Rig) -> Rig:
    noop(rig)
    rig.config = attrs.evolve(
        config_of(("low",)),
        observability=ObservabilityConfig(bind="", queue_sample_interval_s=0.05),
    )
    return rig


async def looks(rig: Rig, engine: Engine, count: int = 2) -> None:
    """Let it look so often, from the beginning."""
    for _ in range(count):
        last = engine.status().seen
        await rig.until(lambda: engine.status().seen is not last)  # noqa: B023 - called here


@pytest.mark.parametrize(
    ("what", "begun", "over"),
    [
        ("low", QueuePaused("low", at_first_look=True), QueueResumed("low")),
        ("@noop", NamePaused("noop", at_first_look=True), NameResumed("noop")),
        ("=each:7", KeyPaused("each:7", at_first_look=True), KeyResumed("each:7")),
    ],
)
async def test_what_is_paused_is_told_once_and_whether_it_was_before_and_when_it_is_over(
    rig: Rig, what: str, begun: Event, over: Event
) -> None:
    paused, resumed = type(begun), type(over)
    rig.store.pause("operator", 1, what, True)
    async with rig.running() as engine:
        await rig.reported(paused)
        await looks(rig, engine)
        assert (rig.of(paused), rig.of(resumed)) == ([begun], [])
        rig.store.pause("operator", 2, what, False)
        await rig.reported(resumed)
        assert rig.of(resumed) == [over]
        rig.store.pause("operator", 3, what, True)
        await rig.reported(paused, 2)
        assert rig.of(paused)[1] == attrs.evolve(begun, at_first_look=False)
