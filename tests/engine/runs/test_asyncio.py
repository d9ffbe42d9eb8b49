"""Handlers that run in asyncio: all in one loop, in its own thread, and each like any other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
import trio
import trio.lowlevel

import trioq
from tests.engine.asking import ask, cancelled
from tests.engine.handlers.attempts import until
from tests.engine.handlers.runners.deeds import app as deeds
from tests.engine.rig import Rig, config_of
from trioq.core.events import (
    AsyncioLeft,
    JobCancelled,
    JobDied,
    JobFailed,
    JobReleased,
    JobSucceeded,
    LoopStalled,
)
from trioq.engine.handlers import abandoned_threads, asyncio_loop, asyncio_thread

pytestmark = pytest.mark.trio

#: What the rig says when it cancels.
REASON = "no"
SOON_S = 0.1


@pytest.fixture(autouse=True)
def patient(rig: Rig) -> None:
    rig.app = trioq.App(runtime="asyncio")
    rig.config = config_of(cancel_grace_s=60.0, max_attempts=1)


@pytest.fixture
def hasty(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.config = config_of(cancel_grace_s=SOON_S, count=1, max_attempts=1)
    monkeypatch.setattr(asyncio_loop, "AGAIN_S", SOON_S / 4)
    monkeypatch.setattr(asyncio_thread, "CLOSE_S", SOON_S)


def threads_of_loops() -> int:
    return sum(thread.name == "trioq asyncio" for thread in threading.enumerate())


async def done(rig: Rig, *uids: str) -> None:
    for uid in uids:
        await rig.reported(JobSucceeded, uid=uid)


# -- one loop --------------------------------------------------------------------------------------


async def test_all_run_in_one_loop_that_is_there_from_the_first_one_to_the_engines_end(
    rig: Rig,
) -> None:
    met: list[tuple[str, asyncio.AbstractEventLoop, str]] = []

    @rig.app.job("meets")
    async def meets(job: trioq.Job) -> None:
        await asyncio.sleep(0)
        here = threading.current_thread().name
        met.append((trioq.current_job().uid, asyncio.get_running_loop(), here))
        assert trioq.current_job() is job

    @rig.app.job("plain")
    def plain() -> None: ...

    async with rig.running() as engine:
        await done(rig, *rig.enqueue("plain"))
        assert (threads_of_loops(), engine.status().asyncio_lag_s) == (0, None)
        uids = rig.enqueue("meets", 20)
        await done(rig, *uids)
        assert threads_of_loops() == 1
        assert engine.status().asyncio_lag_s is not None
    assert sorted(uid for uid, _, _ in met) == sorted(uids)
    assert len({(loop, thread) for _, loop, thread in met}) == 1
    assert met[0][1].is_closed()
    await until(lambda: threads_of_loops() == 0)


async def test_they_share_connections_and_wait_at_the_same_time(rig: Rig) -> None:
    """As an HTTP client does: one connection, kept by the loop in which it was made."""
    pool: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    turn, here = asyncio.Lock(), asyncio.Event()
    waiting: set[str] = set()
    accepted = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal accepted
        accepted += 1
        async for line in stream:
            await stream.send_all(line.upper())

    @rig.app.job("opens")
    async def opens() -> None:
        pool.append(await asyncio.open_connection("127.0.0.1", port))

    @rig.app.job("asks")
    async def asks(job: trioq.Job) -> None:
        waiting.add(job.uid)
        if len(waiting) == 3:
            here.set()
        await here.wait()
        async with turn:
            reader, writer = pool[0]
            writer.write(b"hello\n")
            assert await reader.readline() == b"HELLO\n"

    @rig.app.job("closes")
    async def closes() -> None:
        _, writer = pool.pop()
        writer.close()
        await writer.wait_closed()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        rig.config = config_of(count=3, max_attempts=1)
        async with rig.running():
            await done(rig, *rig.enqueue("opens"))
            await done(rig, *rig.enqueue("asks", 3))
            await done(rig, *rig.enqueue("closes"))
        nursery.cancel_scope.cancel()
    assert accepted == 1


async def test_what_one_puts_into_context_variables_is_its_own(rig: Rig) -> None:
    seen: list[str] = []
    user: ContextVar[str] = ContextVar("user", default="nobody")

    @rig.app.job("sets")
    async def sets() -> None:
        seen.append(user.get())
        user.set("Ada")
        inner = asyncio.create_task(asyncio.sleep(0, user))
        assert (await inner).get() == "Ada"

    async with rig.running():
        await done(rig, *rig.enqueue("sets"))
        await done(rig, *rig.enqueue("sets"))
    assert seen == ["nobody", "nobody"]


async def test_each_handler_says_where_it_runs_or_its_app_does(rig: Rig) -> None:
    where: list[str] = []

    @rig.app.job("app's")
    async def apps() -> None:
        where.append(threading.current_thread().name)

    @rig.app.job("own", runtime="trio")
    async def own() -> None:
        await trio.lowlevel.checkpoint()
        where.append(threading.current_thread().name)

    async with rig.running():
        await done(rig, *rig.enqueue("app's"))
        await done(rig, *rig.enqueue("own"))
    assert where == ["trioq asyncio", threading.current_thread().name]
    with pytest.raises(ValueError, match="runtime is 'curio': expected 'trio' or 'asyncio'"):
        rig.app.job("x", runtime="curio")(own)  # type: ignore[call-overload]


async def test_in_a_process_of_its_own_too(rig: Rig) -> None:
    rig.app = deeds
    rig.config = config_of(runners=1)
    async with rig.running():
        await done(rig, *rig.enqueue("in_asyncio"))


# -- ends ------------------------------------------------------------------------------------------


async def test_one_that_takes_too_long_is_cancelled_and_cleans_up(rig: Rig) -> None:
    seen: list[Any] = []

    @rig.app.job("slow", timeout=0.05)
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            seen.extend(error.args)
            await asyncio.sleep(0.01)
            seen.append("clean")
            raise

    (uid,) = rig.enqueue("slow")
    async with rig.running():
        (died,) = await rig.reported(JobDied, uid=uid)
    assert died.error.message == "took longer than 0.05 s"
    assert seen == ["it took too long", "clean"]


async def test_one_is_cancelled_with_the_reason_and_has_its_grace(rig: Rig) -> None:
    begun, seen = threading.Event(), list[Any]()

    @rig.app.job("waits")
    async def waits() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            seen.append("clean")

    (uid,) = rig.enqueue("waits")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        told = await cancelled(rig, uid)
    assert told.reason == REASON
    assert seen == ["clean"]
    assert not abandoned_threads()


async def test_one_that_returns_has_finished_first(rig: Rig) -> None:
    begun = threading.Event()

    @rig.app.job("waits")
    async def waits() -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    (uid,) = rig.enqueue("waits")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await done(rig, uid)
    assert not rig.of(JobCancelled)


@pytest.mark.usefixtures("hasty")
async def test_one_that_resists_is_told_again_and_left_behind_in_the_end(rig: Rig) -> None:
    begun, release, told = threading.Event(), threading.Event(), list[Any]()

    @rig.app.job("stubborn")
    async def stubborn() -> None:
        begun.set()
        while not release.is_set():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as error:
                told.extend(error.args)

    @rig.app.job("other", runtime="trio")
    async def other() -> None: ...

    (uid,) = rig.enqueue("stubborn")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await cancelled(rig, uid, "ignored")
        await rig.until(lambda: dict(abandoned_threads()) == {"stubborn": 1})
        await done(rig, *rig.enqueue("other"))  # its worker is free
        await until(lambda: len(told) > 2)
        release.set()
        await until(lambda: not abandoned_threads())
    assert set(told) == {REASON}
    assert not rig.of(JobSucceeded, uid=uid)
    assert not rig.of(AsyncioLeft)


@pytest.mark.usefixtures("hasty")
async def test_a_timeout_leaves_one_behind_too_and_what_has_no_place_is_snoozed(rig: Rig) -> None:
    release = threading.Event()

    @rig.app.job("stubborn", timeout=0.05)
    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    (uid,) = rig.enqueue("stubborn")
    async with rig.running():
        (died,) = await rig.reported(JobDied, uid=uid)
        assert died.error.message == "took longer than 0.05 s; its task in asyncio still runs"
        assert dict(abandoned_threads()) == {"stubborn": 1}
    (left,) = rig.of(AsyncioLeft)
    assert left.names == ("stubborn",)
    release.set()
    await until(lambda: not abandoned_threads())


async def test_one_that_an_engine_has_no_time_for_goes_back(rig: Rig) -> None:
    begun, seen = threading.Event(), list[Any]()

    @rig.app.job("waits")
    async def waits() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("clean")

    (uid,) = rig.enqueue("waits")
    async with rig.running() as engine:
        await until(begun.is_set)
        engine.hurry()
        await rig.reported(JobReleased, uid=uid)
    assert seen == ["clean"]


def by_itself() -> None:
    raise asyncio.CancelledError


def by_another() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def by_exit() -> None:
    raise SystemExit(3)


class Odd(RuntimeError):
    def __str__(self) -> str:
        raise ValueError


def in_odd_words() -> None:
    raise Odd


@pytest.mark.parametrize(
    ("raises", "told"),
    [
        (by_itself, "what it awaited was cancelled, and its job wasn't"),
        (by_another, "the handler's task was cancelled, and its job wasn't"),
        (by_exit, "3"),
        (in_odd_words, "<its text can't be made: ValueError>"),
    ],
)
async def test_what_would_end_a_loop_is_a_failure_like_any_other(
    rig: Rig, raises: Callable[[], None], told: str
) -> None:
    @rig.app.job("raises")
    async def raising() -> None:
        raises()
        await asyncio.sleep(0)

    @rig.app.job("leaves")
    async def leaves() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(by_exit)
        loop.stop()
        loop.set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))

    @rig.app.job("fine")
    async def fine() -> None:
        await asyncio.sleep(0)

    async with rig.running():
        (uid,) = rig.enqueue("raises")
        (died,) = await rig.reported(JobDied, uid=uid)
        assert died.error.message == told
        await done(rig, *rig.enqueue("leaves"))
        await done(rig, *rig.enqueue("fine"))


async def test_one_that_was_cancelled_before_it_began_is_not_done(rig: Rig) -> None:
    rig.config = config_of(count=2, max_attempts=1)
    ran: list[bool] = []

    @rig.app.job("sweeps")
    async def sweeps() -> None:
        """As programs do before they end."""
        while len(there := asyncio.all_tasks()) == 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for task in there - {asyncio.current_task()}:
            task.cancel()

    @rig.app.job("swept")
    async def swept() -> None:
        ran.append(True)

    async with rig.running():
        swept_by = rig.enqueue("sweeps")
        (uid,) = rig.enqueue("swept")
        (died,) = await rig.reported(JobDied, uid=uid)
        await done(rig, *swept_by)
    assert "the handler's task was cancelled" in died.error.message
    assert not ran


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_at_the_engines_end_what_is_left_in_the_loop_ends_in_order(
    rig: Rig, is_cancelled: bool
) -> None:
    seen: list[str] = []
    closes = threading.Event()

    def computes() -> None:
        closes.wait(30)
        time.sleep(0.05)
        seen.append("thread")

    async def half_run() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append("generator")
            closes.set()

    kept: list[Any] = []

    async def forgotten() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            seen.extend(error.args)

    @rig.app.job("leaves")
    async def leaves() -> None:
        numbers = half_run()
        await anext(numbers)
        kept.extend([numbers, asyncio.create_task(forgotten()), asyncio.to_thread(computes)])
        kept[-1] = asyncio.create_task(kept[-1])
        await asyncio.sleep(0.001)

    with trio.CancelScope() as scope:
        async with rig.running():
            await done(rig, *rig.enqueue("leaves"))
            assert seen == []
            if is_cancelled:
                scope.cancel()
    assert seen == ["the engine has ended", "generator", "thread"]
    assert not rig.of(AsyncioLeft)


# -- what doesn't belong -------------------------------------------------------------------------


async def _nursery() -> None:
    async with trio.open_nursery():
        pass


@pytest.mark.parametrize(
    ("runtime", "awaits", "says"),
    [
        ("trio", lambda: asyncio.sleep(1), '@app.job(runtime="asyncio")'),
        ("trio", lambda: asyncio.sleep(0), '@app.job(runtime="asyncio")'),
        ("trio", lambda: asyncio.open_connection("127.0.0.1", 1), '@app.job(runtime="asyncio")'),
        ("trio", lambda: asyncio.wait_for(asyncio.sleep(0), 1), '@app.job(runtime="asyncio")'),
        ("asyncio", partial(trio.sleep, 1), '@app.job(runtime="trio")'),
        ("asyncio", partial(trio.sleep, 0), '@app.job(runtime="trio")'),
        ("asyncio", _nursery, '@app.job(runtime="trio")'),
        ("asyncio", trio.sleep_forever, '@app.job(runtime="trio")'),
        ("asyncio", partial(trio.open_tcp_stream, "127.0.0.1", 1), '@app.job(runtime="trio")'),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_what_another_loop_would_await_is_told_once_with_the_option_to_set(
    rig: Rig, runtime: Any, awaits: Callable[[], Any], says: str
) -> None:
    rig.config = config_of(max_attempts=4)

    @rig.app.job("mixed", runtime=runtime)
    async def mixed() -> None:
        await awaits()

    (uid,) = rig.enqueue("mixed")
    async with rig.running():
        (died,) = await rig.reported(JobDied, uid=uid)
    assert died.reason == "bad_handler"
    assert says in died.error.message
    assert not rig.of(JobFailed)
    gc.collect()  # what was never awaited is warned of in here, not in another test


async def test_a_loop_that_is_blocked_is_told_by_name_and_line(rig: Rig) -> None:
    begun, release = threading.Event(), threading.Event()
    rig.config = config_of(loop_stall_s=0.3)

    @rig.app.job("blocks")
    async def blocks() -> None:
        begun.set()
        release.wait(30)

    (uid,) = rig.enqueue("blocks")
    async with rig.running() as engine:
        (stalled,) = await rig.reported(LoopStalled)
        await until(lambda: (engine.status().asyncio_lag_s or 0) > 0.3 + 2 * asyncio_thread.TICK_S)
        assert engine.status().lag_s < (engine.status().asyncio_lag_s or 0)
        release.set()
        await done(rig, uid)
        loop: Any = engine._parts.asyncio_loop
        await until(lambda: loop._own.late_s() < 0.2)
        assert (engine.status().asyncio_lag_s or 0) > 0.3  # it is told for a while
    assert stalled.loop == "asyncio"
    assert len(rig.of(LoopStalled)) == 1
    assert f"{__file__}:" in stalled.where
    assert " in blocks" in stalled.where


async def test_plain_code_in_there_hears_that_its_job_is_cancelled(rig: Rig) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @rig.app.job("computes")
    async def computes() -> None:
        trioq.check_cancelled()
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        trioq.check_cancelled()
        go_on.set()

    (uid,) = rig.enqueue("computes")
    async with rig.running() as engine:
        await until(begun.is_set)
        await ask(rig, engine, uid)
        await cancelled(rig, uid)
    assert not go_on.is_set()
