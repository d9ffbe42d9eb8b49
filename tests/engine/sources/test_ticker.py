"""Engines that make the ticks of schedules, in virtual time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
import trio

from tests.engine.virtual import EPOCH_S, Running, World, calm
from trioq import GiveUp, Job
from trioq.app import App
from trioq.core.calls import Pausing
from trioq.core.config import QueueConfig
from trioq.core.events import (
    JobCancelled,
    JobDied,
    ScheduleTicked,
    TickRefused,
)
from trioq.core.formats import ids
from trioq.core.formats import schedule as rows
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.tick import Clock
from trioq.core.schedules.when import Cron, Every, Once

pytestmark = pytest.mark.trio

START_MS = EPOCH_S * 1000
MINUTE = 60_000


def noop_app(takes_s: float = 0.0, starts: list[float] | None = None) -> App:
    app = App()

    @app.job("report")
    async def report() -> None:
        if starts is not None:
            starts.append(trio.current_time())
        await trio.sleep(takes_s)

    return app


def put(w: World, schedule: Schedule, next_ms: int | None = None, row: bytes | None = None) -> None:
    now_ms = START_MS + round(w.now * 1000)
    w.store.put_schedule(
        f"put.{w.now}.{schedule.name}.{row}", 1, schedule.name,
        rows.encode(schedule) if row is None else row,
        schedule.when.after(now_ms) if next_ms is None else next_ms,
    )  # fmt: skip


def each(ms: int, name: str = "m", **options: Any) -> Schedule:
    return Schedule(name, Every(ms), "report", "low", **{"overlap": "allow", **options})


def fired(w: World, name: str = "m") -> list[int]:
    """The ticks that brought a job, from the ids of these."""
    there = w.dump()
    own = {ids.id_in(text) for text in there.id_of.values()} | there.ids.keys()
    return sorted(int(id.split(":")[2]) for id in own if id.startswith(f"schedule:{name}:"))


def outcomes(w: World, name: str = "m") -> Counter[str]:
    events = w.of(ScheduleTicked, schedule=name)
    return Counter(outcome for event in events for outcome, _ in event.outcomes)


async def test_each_tick_brings_a_job_at_its_time(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        starts, began = list[float](), trio.current_time()
        w = World(nursery, noop_app(starts=starts))
        put(w, each(MINUTE))
        await w.start()
        await trio.sleep(600.5)
        first = each(MINUTE).when.after(START_MS)
        assert first is not None
        expected = list(range(first, START_MS + 600_500, MINUTE))
        assert fired(w) == expected
        at = [START_MS + round((start - began) * 1000) for start in starts]
        assert at == expected, "not a moment late"
        nursery.cancel_scope.cancel()


async def test_a_second_after_a_second_none_is_late(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        put(w, each(250))
        await w.start()
        await trio.sleep(10.1)
        late = [ms for event in w.of(ScheduleTicked) for _, ms in event.outcomes]
        assert len(late) == 40
        assert set(late) == {0}
        nursery.cancel_scope.cancel()


async def test_in_the_night_in_which_clocks_go_back_a_fixed_hour_comes_once(
    autojump_clock: Any,
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    half_past_two = datetime(2026, 10, 25, 2, 30, tzinfo=zone)
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app(), begins=half_past_two - timedelta(seconds=10))
        first_ms = round(half_past_two.timestamp() * 1000)
        for name, cron in ("nightly", "30 2 * * *"), ("hourly", "30 * * * *"):
            put(w, Schedule(name, Cron(cron, zone), "report", "low"), first_ms)
        await w.start()
        await trio.sleep(3600 + 20)
        assert fired(w, "nightly") == [first_ms]
        assert fired(w, "hourly") == [first_ms, first_ms + 60 * MINUTE]
        tomorrow = half_past_two.replace(day=26).timestamp()
        assert w.dump().ticks["nightly"] == round(tomorrow * 1000)
        nursery.cancel_scope.cancel()


async def test_of_three_engines_that_are_killed_each_tick_is_made_once(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        put(w, each(1000))
        engines: list[Running] = [await w.start() for _ in range(3)]
        began = w.now
        for round_ in range(24):
            await trio.sleep(5)
            engines.pop(round_ % 3 if len(engines) == 3 else 0).kill()
            engines.append(await w.start())
        ticks = fired(w)
        since = START_MS + round(began * 1000)
        assert ticks == list(range(ticks[0], ticks[0] + 1000 * len(ticks), 1000)), "one is missing"
        assert len(ticks) >= 120 - 1
        assert ticks[0] <= since + 1000
        assert w.count("enqueued") == len(ticks), "one fired twice"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("misfire", "fires"), [("skip", 0), ("last", 1), ("all", 9)])
async def test_what_nobody_was_there_for_ends_as_is_said(
    autojump_clock: Any, misfire: Any, fires: int
) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        first = EPOCH_S * 1000 + MINUTE - EPOCH_S * 1000 % MINUTE
        put(w, each(MINUTE, misfire=misfire, grace_ms=10_000))
        await trio.sleep((first - START_MS) / 1000 + 8 * 60 + 30)  # the last is 30 s ago
        await w.start()
        await trio.sleep(20)
        assert len(fired(w)) == fires
        assert outcomes(w) == {k: v for k, v in {"fired": fires, "missed": 9 - fires}.items() if v}
        nursery.cancel_scope.cancel()


async def test_a_run_that_hasnt_ended_has_the_next_passed_over(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app(takes_s=150))
        put(w, each(MINUTE, overlap="skip"))
        await w.start()
        await trio.sleep(60 * 10)
        assert outcomes(w)["fired"] == 4
        assert outcomes(w)["overlap"] == 6
        nursery.cancel_scope.cancel()


@attrs.define
class Runs:
    """What has run: each from when to when, by the test's clock, and its uid."""

    app: App
    takes_s: float
    ends_s: float = 0.0
    """It needs so long to end once it is cancelled."""
    began: list[tuple[float, str]] = attrs.field(factory=list[tuple[float, str]])
    ended: dict[str, float] = attrs.field(factory=dict[str, float])

    def __attrs_post_init__(self) -> None:
        @self.app.job("report")
        async def report(job: Job) -> None:
            self.began.append((trio.current_time(), job.uid))
            try:
                await trio.sleep(self.takes_s)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self.ends_s)
                self.ended[job.uid] = trio.current_time()

    @property
    def uids(self) -> list[str]:
        """In the order in which they began."""
        return [uid for _, uid in self.began]

    @property
    def overlap(self) -> bool:
        ends = [self.ended.get(uid, inf) for uid in self.uids]
        return any(end > at for end, (at, _) in zip(ends, self.began[1:], strict=False))


async def test_one_run_at_most_waits_behind_another_and_they_come_one_by_one(
    autojump_clock: Any,
) -> None:
    async with trio.open_nursery() as nursery:
        runs = Runs(App(), takes_s=150)
        w = World(nursery, runs.app)
        put(w, each(MINUTE, overlap="queue_one"))
        await w.start()
        await w.start()
        await trio.sleep(MINUTE / 1000 + 12 * 60)
        assert not runs.overlap
        starts = [at - runs.began[0][0] for at, _ in runs.began]
        assert starts == pytest.approx([0, 150, 300, 450, 600], abs=0.5), "no time between them"
        uids = [event.uid for event in w.of(ScheduleTicked) if event.uid]
        assert runs.uids == uids[: len(starts)], "the first to come is the first to run"
        found = outcomes(w)
        assert found["fired"] <= len(starts) + 1, "one at most waits"
        assert found["overlap"] >= 5
        nursery.cancel_scope.cancel()


async def test_a_run_that_is_replaced_is_cancelled_and_the_next_starts_after_its_end(
    autojump_clock: Any,
) -> None:
    async with trio.open_nursery() as nursery:
        runs = Runs(App(), takes_s=150, ends_s=2)
        w = World(nursery, runs.app)
        put(w, each(MINUTE, overlap="replace"))
        await w.start()
        await w.start()
        await trio.sleep(600)
        cancelled = w.of(JobCancelled)
        assert len(runs.uids) == outcomes(w)["fired"] == 10
        assert not runs.overlap
        assert [event.uid for event in cancelled] == runs.uids[:-1]
        assert {event.reason for event in cancelled} == {
            "replaced by the next run of the schedule m"
        }
        nursery.cancel_scope.cancel()


async def test_who_sees_a_tick_too_late_cancels_no_run_that_is_new(autojump_clock: Any) -> None:
    """What one engine hears of where schedules stand is always old."""
    async with trio.open_nursery() as nursery:
        runs = Runs(App(), takes_s=30)
        w = World(nursery, runs.app)
        put(w, each(MINUTE, overlap="replace"))
        await w.start()
        late = await w.start()

        def long_ago(limit: int) -> Clock:
            heard = w.store.next_ticks(limit)
            return Clock(heard.now_ms, tuple((name, at - MINUTE) for name, at in heard.ticks))

        late.link.next_ticks = long_ago  # type: ignore[attr-defined]
        await trio.sleep(300)
        assert w.of(JobCancelled) == []
        assert len(runs.uids) == outcomes(w)["fired"] == 5
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "replace"])
async def test_runs_that_died_hold_nobody_up(autojump_clock: Any, overlap: Any) -> None:
    app = App()

    @app.job("report")
    async def report() -> None:
        raise GiveUp("no")

    async with trio.open_nursery() as nursery:
        w = World(nursery, app)
        put(w, each(MINUTE, overlap=overlap))
        await w.start()
        await trio.sleep(600)
        assert outcomes(w) == {"fired": 10}
        assert len(w.of(JobDied)) == 10
        nursery.cancel_scope.cancel()


async def test_a_payload_that_nobody_can_read_ends_no_engine(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        put(w, each(MINUTE, name="odd", payload=b"{"))
        put(w, each(MINUTE))
        await w.start()
        await trio.sleep(190)
        assert [event.schedule for event in w.of(TickRefused)] == ["odd"]
        assert len(fired(w)) == 3
        nursery.cancel_scope.cancel()


async def test_a_paused_schedule_has_its_ticks_passed_over(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        put(w, each(MINUTE))
        await w.start()
        w.store.pause("me", 1, "~m", True, Pausing(for_ms=5 * MINUTE))
        await trio.sleep(600)
        assert outcomes(w) == {"fired": 5, "paused": 5}
        nursery.cancel_scope.cancel()


async def test_where_there_is_no_room_it_is_tried_until_there_is(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        config = attrs.evolve(
            calm(), queues=(QueueConfig("high"), QueueConfig("low", max_length=1))
        )
        w = World(nursery, noop_app(), config=config)
        put(w, each(MINUTE, misfire="all"))
        put(w, Schedule("other", Every(MINUTE), "report", "high", overlap="allow"))
        w.store.pause("me", 1, "low", True)
        await w.start()
        w.enqueue("report")
        await trio.sleep(200)
        assert fired(w) == []
        assert len(fired(w, "other")) >= 3, "it holds up the others"
        refused = w.of(TickRefused)
        assert [event.schedule for event in refused] == ["m"], "told once"
        w.store.pause("me", 2, "low", False)
        await trio.sleep(100)
        assert len(fired(w)) >= 4
        nursery.cancel_scope.cancel()


async def test_a_row_that_cant_be_read_is_left_alone(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        put(w, each(MINUTE, name="newer"), row=b'{"v":99}')
        put(w, each(MINUTE))
        await w.start()
        await trio.sleep(190)
        (refused,) = w.of(TickRefused)
        assert refused.schedule == "newer"
        assert "another version" in refused.why
        assert w.dump().schedules["newer"] == b'{"v":99}'
        assert len(fired(w)) == 3
        nursery.cancel_scope.cancel()


async def test_what_comes_once_comes_once(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        put(w, Schedule("m", Once(START_MS + 5000), "report", "low"))
        await w.start()
        await w.start()
        await trio.sleep(600)
        assert fired(w) == [START_MS + 5000]
        assert "m" not in w.dump().ticks
        nursery.cancel_scope.cancel()


async def test_jitter_makes_the_job_due_later(autojump_clock: Any) -> None:
    async with trio.open_nursery() as nursery:
        starts, began = list[float](), trio.current_time()
        w = World(nursery, noop_app(starts=starts))
        its = each(MINUTE, jitter_ms=20_000)
        put(w, its)
        await w.start()
        await trio.sleep(600)
        at = [START_MS + round((start - began) * 1000) for start in starts]
        assert at[:8] == [tick + its.delay_ms(tick) for tick in fired(w)[:8]]
        nursery.cancel_scope.cancel()


async def test_one_that_appears_is_seen_and_one_that_goes_is_not(
    autojump_clock: Any,
) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery, noop_app())
        await w.start()
        await trio.sleep(30)
        put(w, each(2000))
        await trio.sleep(10)
        seen = len(fired(w))
        assert seen >= 4
        put(w, each(2000), row=b"")
        await trio.sleep(10)
        assert len(fired(w)) == seen
        nursery.cancel_scope.cancel()
