"""What handlers share: entered before the first job, left after the last, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

import trioq
from tests.engine.rig import Rig
from trioq.core.events import (
    EngineStopped,
    JobDied,
    JobReleased,
    JobSucceeded,
    LifespanFailed,
    LifespanSlow,
)
from trioq.engine.handlers import Lifespans, asyncio_thread, held, lifespans
from trioq.engine.nurseries import plain_errors

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def _threads_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio refuses then whoever touches its loop from another thread."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")


RUNTIMES = pytest.mark.parametrize("runtime", ["trio", "asyncio"])


class Pool:
    """What is shared: it knows where it was made, and whether it is open."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.used = 0
        self.is_open = True


async def ever(runtime: str) -> None:
    if runtime == "trio":
        await trio.sleep_forever()
    await asyncio.Event().wait()


def pooled(pools: list[Pool]) -> Callable[[trioq.App], Any]:
    @asynccontextmanager
    async def pool(app: trioq.App) -> AsyncIterator[Pool]:
        pools.append(made := Pool())
        yield made
        made.is_open = False

    return pool


async def a_moment(runtime: str) -> None:
    if runtime == "trio":
        await trio.sleep(0.001)
    else:
        await asyncio.sleep(0.001)


async def error_of(
    rig: Rig, meanwhile: Callable[[], Any] | None = None, *, leave_s: float = 10.0
) -> trioq.LifespanError:
    """What an engine ends with, after something was done while it ran."""
    shared = Lifespans(rig.app.lifespans, leave_s=leave_s)

    async def runs() -> None:
        with plain_errors():
            async with rig.running(lifespans=shared):
                if meanwhile is not None:
                    meanwhile()
                    await trio.sleep_forever()

    with pytest.raises(trioq.LifespanError) as caught:
        await runs()
    return caught.value


# -- a value ---------------------------------------------------------------------------------------


@RUNTIMES
async def test_all_handlers_of_an_engine_share_what_is_entered_before_and_left_after_them(
    rig: Rig, runtime: Any
) -> None:
    pools: list[Pool] = []
    seen: list[tuple[Pool, bool, bool]] = []
    app = rig.app = trioq.App(lifespan=pooled(pools), runtime=runtime)

    def use(job: trioq.Job[Pool]) -> None:
        job.deps.used += 1
        here = threading.get_ident() == job.deps.thread
        seen.append((job.deps, job.deps.is_open, here))

    @app.job("awaits")
    async def awaits(job: trioq.Job[Pool]) -> None:
        use(job)

    @app.job("plain")
    def plain(job: trioq.Job[Pool]) -> None:
        use(job)

    @app.job("asks")
    async def asks() -> None:
        use(trioq.current_job())

    async with rig.running() as engine:
        assert not engine.status().entering
        for name in ("awaits", "asks", "plain"):
            for uid in rig.enqueue(name, 5):
                await rig.reported(JobSucceeded, uid=uid)
        (pool,) = pools
        assert pool.is_open

    assert seen == [(pool, True, True)] * 10 + [(pool, True, False)] * 5
    assert (pool.used, pool.is_open) == (15, False)


async def test_each_engine_has_its_own(rig: Rig) -> None:
    pools: list[Pool] = []
    app = rig.app = trioq.App(lifespan=pooled(pools))

    async with rig.running(), rig.running():
        assert len(pools) == 2
    assert app.lifespans
    assert not any(pool.is_open for pool in pools)


async def test_a_job_whose_app_has_none_dies_at_once_and_says_what_is_missing(rig: Rig) -> None:
    @rig.app.job("asks")
    async def asks(job: trioq.Job) -> None:
        _ = job.deps

    async with rig.running():
        (uid,) = rig.enqueue("asks")
        (died,) = await rig.reported(JobDied, uid=uid)
    assert died.reason == "bad_handler"
    assert died.error.message == (
        "job.deps: the app of 'asks' has no lifespan:"
        " trioq.App(lifespan=…) says what its handlers share"
    )


# -- how it is left --------------------------------------------------------------------------------


@RUNTIMES
async def test_all_are_left_after_handlers_that_are_cancelled_and_are_not_cancelled_themselves(
    rig: Rig, runtime: Any
) -> None:
    said: list[str] = []

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        yield
        await a_moment(runtime)
        said.append("left" if app is rig.app else "left first")

    app = rig.app = trioq.App(lifespan=resources, runtime=runtime)
    app.include(trioq.App(lifespan=resources, runtime=runtime))

    @app.job("hangs")
    async def hangs() -> None:
        began.set()
        try:
            await ever(runtime)
        finally:
            said.append("handler ended")

    began = threading.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine().run)
        (uid,) = rig.enqueue("hangs")
        await trio.to_thread.run_sync(began.wait)
        nursery.cancel_scope.cancel()

    assert said == ["handler ended", "left first", "left"]
    assert rig.of(JobReleased, uid=uid)


@RUNTIMES
async def test_tasks_that_it_holds_end_with_it(rig: Rig, runtime: Any) -> None:
    """A nursery, or a task group of asyncio: left in the task in which it was entered."""
    said: list[str] = []

    async def tick() -> None:
        try:
            await ever(runtime)
        finally:
            said.append("ended")

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        if runtime == "trio":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick)
                yield
                nursery.cancel_scope.cancel()
        else:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(tick())
                yield
                task.cancel()

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    async with rig.running():
        await trio.testing.wait_all_tasks_blocked()
    assert said == ["ended"]


@RUNTIMES
async def test_what_fails_in_it_while_the_engine_runs_ends_that(rig: Rig, runtime: Any) -> None:
    async def resources(app: trioq.App) -> AsyncIterator[trioq.App]:
        if runtime == "trio":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail_when_told)
                yield app
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(told.wait)).add_done_callback(
                    lambda _: group.create_task(fail_when_told())
                )
                yield app

    async def fail_when_told() -> None:
        if runtime == "trio":
            await trio.to_thread.run_sync(told.wait)
        raise ConnectionError("the pool has died")

    told = threading.Event()
    app = rig.app = trioq.App(lifespan=resources, runtime=runtime)

    @app.job("hangs")
    async def hangs() -> None:
        told.set()
        await ever(runtime)

    rig.enqueue("hangs")
    error = await error_of(rig, lambda: None)
    assert "failed while the engine ran: ConnectionError: the pool has died" in error.told
    assert rig.of(JobReleased)


async def test_one_that_ends_by_itself_ends_the_engine(rig: Rig) -> None:
    scope = trio.CancelScope()

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        with scope:
            yield

    rig.app = trioq.App(lifespan=resources)
    assert "has ended, and the engine hasn't" in (await error_of(rig, scope.cancel)).told


@RUNTIMES
async def test_what_fails_at_its_end_is_told_after_all_jobs_are(rig: Rig, runtime: Any) -> None:
    async def resources(app: trioq.App) -> AsyncIterator[None]:
        yield
        raise ConnectionError("no goodbye")

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    error = await error_of(rig)

    assert "resources failed at its end: ConnectionError: no goodbye" in error.told
    (failed,) = rig.of(LifespanFailed)
    assert failed.told == error.told
    assert 'raise ConnectionError("no goodbye")' in failed.traceback
    assert rig.events.index(rig.of(EngineStopped)[0]) < rig.events.index(failed)


async def test_of_several_that_fail_at_their_end_each_is_told_and_the_first_comes_out(
    rig: Rig,
) -> None:
    def failing(name: str) -> trioq.App[None]:
        async def resources(app: trioq.App) -> AsyncIterator[None]:
            yield
            raise ConnectionError(name)

        return trioq.App(lifespan=resources)

    rig.app = failing("outer")
    rig.app.include(failing("inner"))
    assert (await error_of(rig)).told.endswith("ConnectionError: inner")
    assert [event.told.rpartition(" ")[2] for event in rig.of(LifespanFailed)] == ["inner", "outer"]


@RUNTIMES
async def test_one_that_does_not_end_is_told_of_cancelled_and_left_at_last(
    rig: Rig, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifespans, "SLOW_S", 0.05)

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        yield
        await ever(runtime)

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    assert (
        "took longer than 0.2 s to end, and was cancelled"
        in (await error_of(rig, leave_s=0.2)).told
    )
    assert rig.of(LifespanSlow, doing="leaving")


async def test_one_that_resists_in_asyncio_is_left_behind(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "GRACE_S", 0.05)
    monkeypatch.setattr(asyncio_thread, "CLOSE_S", 0.05)
    let_go = threading.Event()

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        yield
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    rig.app = trioq.App(lifespan=resources, runtime="asyncio")
    assert "was cancelled, and goes on in asyncio" in (await error_of(rig, leave_s=0.05)).told
    let_go.set()


# -- its start -------------------------------------------------------------------------------------


@RUNTIMES
@pytest.mark.parametrize("ends", [ConnectionError("no database"), SystemExit(3)])
async def test_an_engine_whose_lifespan_fails_does_not_start(
    rig: Rig, runtime: Any, ends: BaseException
) -> None:
    async def resources(app: trioq.App) -> AsyncIterator[None]:
        raise ends
        yield

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    rig.app.job("plain")(lambda: None)
    rig.enqueue("plain")
    error = await error_of(rig)

    assert f"resources failed at its start: {type(ends).__name__}: {ends}" in error.told
    assert ", in resources\n" in error.traceback
    assert error.__cause__ is ends
    assert not rig.events


@pytest.mark.parametrize(
    ("times", "told"),
    [(0, "at its start: generator didn't yield"), (2, "at its end: generator didn't stop")],
)
async def test_one_that_does_not_yield_once_is_told_to(rig: Rig, times: int, told: str) -> None:
    async def resources(app: trioq.App) -> AsyncIterator[None]:
        for _ in range(times):
            yield

    rig.app = trioq.App(lifespan=resources)
    assert (await error_of(rig)).told.endswith(f"{told}: a lifespan yields once")


@RUNTIMES
async def test_ctrl_c_in_it_is_ctrl_c(rig: Rig, runtime: Any) -> None:
    async def resources(app: trioq.App) -> AsyncIterator[None]:
        raise KeyboardInterrupt
        yield

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    with pytest.raises(BaseExceptionGroup) as caught:
        await rig.engine().run()
    assert caught.value.split(KeyboardInterrupt)[1] is None


@RUNTIMES
async def test_one_that_is_slow_is_told_of_and_a_drain_ends_it(
    rig: Rig, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifespans, "SLOW_S", 0.05)
    monkeypatch.setattr(lifespans, "AGAIN_S", 0.05)
    said: list[str] = []

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        try:
            await ever(runtime)
        finally:
            said.append("cleaned up")
        yield

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    rig.app.job("plain")(lambda: None)
    rig.enqueue("plain")
    engine = rig.engine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        slow, again, *_ = await rig.reported(LifespanSlow, count=2)
        assert slow.doing == "entering"
        assert again.seconds > slow.seconds
        assert engine.status().entering == slow.lifespan
        engine.drain()
    assert said == ["cleaned up"]
    assert rig.events == rig.of(LifespanSlow), "it was never registered"
    assert not engine.status().entering


@RUNTIMES
async def test_one_that_needs_the_other_loop_is_told_which_option_to_set(
    rig: Rig, runtime: Any
) -> None:
    other = "asyncio" if runtime == "trio" else "trio"

    async def resources(app: trioq.App) -> AsyncIterator[None]:
        await a_moment(other)
        yield

    rig.app = trioq.App(lifespan=resources, runtime=runtime)
    error = await error_of(rig)
    assert f'trioq.App(lifespan=…, runtime="{other}") enters it in' in error.told


async def test_a_producer_enters_none(rig: Rig) -> None:
    pools: list[Pool] = []
    rig.app = trioq.App(lifespan=pooled(pools))
    async with rig.running(roles=frozenset({"producer"})):
        pass
    assert not pools


# -- several ---------------------------------------------------------------------------------------


@RUNTIMES
async def test_each_app_keeps_its_own_and_they_are_left_the_other_way(
    rig: Rig, runtime: Any
) -> None:
    said: list[str] = []

    def named(name: str) -> trioq.App[str]:
        async def resources(app: trioq.App) -> AsyncIterator[str]:
            said.append(f"{name} entered")
            yield name
            said.append(f"{name} left")

        made = trioq.App(lifespan=resources, runtime=runtime)

        @made.job(name)
        async def own(job: trioq.Job[str]) -> None:
            assert job.deps == name

        return made

    whole, middle, leaf, other = (named(name) for name in ("whole", "middle", "leaf", "other"))
    whole.include(middle)
    whole.include(other)
    middle.include(leaf)
    rig.app = whole
    async with rig.running():
        for name in ("whole", "middle", "leaf", "other"):
            await rig.reported(JobSucceeded, uid=rig.enqueue(name)[0])
    names = ["whole", "middle", "leaf", "other"]
    assert said == [f"{n} entered" for n in names] + [f"{n} left" for n in reversed(names)]


@RUNTIMES
async def test_of_several_those_that_are_entered_are_left_when_one_fails(
    rig: Rig, runtime: Any
) -> None:
    pools: list[Pool] = []

    async def fails(app: trioq.App) -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    whole = trioq.App(lifespan=pooled(pools), runtime=runtime)
    whole.include(trioq.App(lifespan=pooled(pools)))
    whole.include(trioq.App(lifespan=fails))
    whole.include(trioq.App(lifespan=pooled(pools)))
    rig.app = whole
    assert "fails failed at its start" in (await error_of(rig)).told
    assert [pool.is_open for pool in pools] == [False, False]


# -- what can be one -------------------------------------------------------------------------------


async def _returns(app: trioq.App) -> int:
    return 1


async def _no_app() -> AsyncIterator[int]:
    yield 1


def _plain(app: trioq.App) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (5, "is 5"),
        (_returns, "is a coroutine function, which yields nothing"),
        (_no_app, r"is a function that doesn't take the app, or more than that: _no_app\(\)"),
        (_plain, "is a plain generator, or a plain context manager"),
        (contextlib.contextmanager(_plain), "is a plain generator, or a plain context manager"),
        (asynccontextmanager(_no_app)(), "is a context manager that is made already"),
    ],
)
async def test_what_can_be_none_is_told_when_the_app_is_made(wrong: Any, told: str) -> None:
    with pytest.raises(TypeError, match=rf"App: lifespan {told}: expected a function that takes"):
        trioq.App(lifespan=wrong)


async def test_a_handler_that_wants_deps_is_refused_by_an_app_that_has_none() -> None:
    with pytest.raises(TypeError, match=r"wants: its job is a Job\[…\] with deps, and this app"):

        @trioq.App().job
        def wants(job: trioq.Job[Pool]) -> None: ...

    @trioq.App().job
    def doesnt(job: trioq.Job[Any]) -> None: ...


async def test_any_callable_that_makes_an_async_context_manager_will_do(rig: Rig) -> None:
    class Resources:
        def __init__(self, name: str, app: trioq.App) -> None:
            self.app = app

        async def __aenter__(self) -> trioq.App:
            return self.app

        async def __aexit__(self, *_: object) -> None: ...

    app = rig.app = trioq.App(lifespan=functools.partial(Resources, "x"))

    @app.job("same")
    def same(job: trioq.Job[trioq.App]) -> None:
        assert job.deps is app

    async with rig.running():
        await rig.reported(JobSucceeded, uid=rig.enqueue("same")[0])
