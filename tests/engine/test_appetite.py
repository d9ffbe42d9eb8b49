"""How much an engine takes on while it is short of something."""

from __future__ import annotations

import attrs
import pytest
import trio

from tests.engine.virtual import World, calm
from trioq.core.events import JobReleased, JobSucceeded, RunStarved
from trioq.core.wants import NothingLeft
from trioq.engine.appetite import PAUSE_S, RECOVERY_S, Appetite


@attrs.define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_wanting_until_something_is(clock: Clock) -> None:
    appetite = Appetite(clock, 16)
    assert (appetite.most(), appetite.want) == (16, None)


def test_after_a_pause_it_takes_on_half_and_then_twice_as_much_until_it_is_whole(
    clock: Clock,
) -> None:
    appetite = Appetite(clock, 16)
    for _ in range(2):
        appetite.starved("threads")
        assert (appetite.most(), appetite.want) == (0, "threads")
        clock.now += PAUSE_S
    assert (appetite.most(), appetite.want) == (4, "threads")
    clock.now += RECOVERY_S
    assert (appetite.most(), appetite.want) == (8, "threads")
    clock.now += RECOVERY_S
    assert (appetite.most(), appetite.want) == (16, None)


def test_what_was_claimed_together_is_told_together(clock: Clock) -> None:
    appetite = Appetite(clock, 16)
    for _ in range(16):
        appetite.starved("threads")
    clock.now += PAUSE_S
    assert appetite.most() == 8


def test_it_goes_on_trying_with_one(clock: Clock) -> None:
    appetite = Appetite(clock, 3)
    for _ in range(10):
        appetite.starved("memory")
        clock.now += PAUSE_S
        assert appetite.most() == 1


def test_what_was_wanting_long_ago_is_forgotten(clock: Clock) -> None:
    appetite = Appetite(clock, 16)
    for _ in range(5):
        appetite.starved("memory")
        clock.now += PAUSE_S
    clock.now += 1e9
    assert (appetite.most(), appetite.want) == (16, None)
    appetite.starved("memory")
    clock.now += PAUSE_S
    assert appetite.most() == 8


@pytest.mark.trio
async def test_an_engine_that_is_short_of_something_claims_less_until_it_gets_along(
    autojump_clock: trio.testing.MockClock, world: World
) -> None:
    plenty, starved = False, 0

    @world.app.job("needy")
    async def needy() -> None:
        nonlocal starved
        if not plenty and starved < 200:  # some end, where it claims as ever
            starved += 1
            raise NothingLeft("threads")

    world.config = calm(count=16)
    world.enqueue("needy", 100)
    engine = (await world.start()).engine
    await world.reported(RunStarved)
    first = len(world.of(RunStarved))
    assert engine.status().want == "threads"
    await trio.sleep(30.0)
    assert first + 20 <= len(world.of(RunStarved)) <= first + 50, "one a second, more or less"
    assert len(world.of(JobReleased)) == len(world.of(RunStarved))
    plenty = True
    await world.reported(JobSucceeded, 100)
    assert {event.attempt for event in world.of(JobSucceeded)} == {1}
    await trio.sleep(5 * RECOVERY_S)
    assert engine.status().want is None
