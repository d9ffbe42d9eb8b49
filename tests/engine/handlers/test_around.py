"""Middleware: around each run of an app's handlers, wherever they run."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, Literal

import attrs
import pytest
import trio
import trio.lowlevel
import trio.testing

import trioq
from tests.engine.handlers.attempts import THREADS, job_with
from trioq.core.outcome import Error, Failed, Outcome, Snoozed, Succeeded
from trioq.engine.handlers import AsyncioLoop, Timebox, invoke
from trioq.engine.handlers.grace import Grace, NoPatience
from trioq.engine.handlers.invoke import NO_PATIENCE

pytestmark = pytest.mark.trio

Kind = Literal["async", "def", "asyncio", "def, asyncio"]
KINDS: tuple[Kind, ...] = ("async", "def", "asyncio", "def, asyncio")
MARK: ContextVar[str] = ContextVar("mark")


@attrs.define
class Attempts:
    """Of handlers of one kind; what they and their middleware note."""

    kind: Kind
    loop: AsyncioLoop
    app: trioq.App = attrs.field(init=False)
    seen: list[Any] = attrs.field(factory=list[Any], init=False)

    def __attrs_post_init__(self) -> None:
        self.app = trioq.App(runtime="asyncio" if "asyncio" in self.kind else "trio")

    @property
    def cancelled(self) -> type[BaseException]:
        """What cancellation is for async middleware."""
        return asyncio.CancelledError if "asyncio" in self.kind else trio.Cancelled

    async def of(self, function: Callable[..., Any], **options: Any) -> Outcome:
        """How one ends of a handler that does this."""
        if "def" not in self.kind:

            def awaiting(*args: Any, **kwargs: Any) -> Awaitable[Any]:
                async def awaited() -> Any:
                    await (asyncio if self.kind == "asyncio" else trio).sleep(0)
                    return function(*args, **kwargs)

                return awaited()

            @self.app.job("it")
            async def it(**fields: Any) -> Any:
                return await awaiting(**fields)
        else:
            self.app.job("it")(function)
        return await self.run(**options)

    async def run(
        self,
        *,
        timeout_s: float = 60,
        threads: trio.CapacityLimiter = THREADS,
        grace: Grace = NO_PATIENCE,
        **payload: Any,
    ) -> Outcome:
        """How the next one ends of the handler that there is."""
        handler = attrs.evolve(self.app.handlers["it"].surrounded(), loop=self.loop)
        with contextlib.closing(Timebox()) as timebox:
            return await invoke(
                handler,
                job_with(**payload),
                timeout_s=timeout_s,
                timebox=timebox,
                threads=threads,
                grace=grace,
                errors=handler.errors,
            )


@pytest.fixture(params=KINDS)
async def attempts(request: pytest.FixtureRequest) -> AsyncIterator[Attempts]:
    loop = AsyncioLoop()
    yield Attempts(request.param, loop)
    await loop.close(lambda event: None)


@pytest.fixture(params=["def", "def, asyncio"])
async def in_a_thread(request: pytest.FixtureRequest) -> AsyncIterator[Attempts]:
    loop = AsyncioLoop()
    yield Attempts(request.param, loop)
    await loop.close(lambda event: None)


def failed(outcome: Outcome) -> Error:
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def noting(attempts: Attempts, name: str) -> Callable[[trioq.Job], AsyncGenerator[None, Any]]:
    async def middleware(job: trioq.Job) -> AsyncGenerator[None, Any]:
        attempts.seen.append(f"{name} {job.payload}")
        try:
            attempts.seen.append((name, (yield)))
        except BaseException as error:
            attempts.seen.append((name, error))
            raise

    return middleware


def noting_plainly(attempts: Attempts, name: str) -> Callable[[trioq.Job], Generator[None, Any]]:
    def middleware(job: trioq.Job) -> Generator[None, Any]:
        attempts.seen.append(f"{name} {job.payload}")
        try:
            attempts.seen.append((name, (yield)))
        except BaseException as error:
            attempts.seen.append((name, error))
            raise

    return middleware


# -- order, results, errors ------------------------------------------------------------------------


async def test_the_first_is_the_outermost_and_each_hears_what_the_handler_returned(
    attempts: Attempts,
) -> None:
    app, seen = attempts.app, attempts.seen
    for middleware in (
        noting(attempts, "a"), noting(attempts, "b"),
        noting_plainly(attempts, "c"), noting_plainly(attempts, "d"),
    ):  # fmt: skip
        assert app.middleware(middleware) is middleware

    def here(n: int) -> list[int]:
        seen.append("here")
        return [n]

    outcome = await attempts.of(here, n=1)

    assert outcome == Succeeded([1])
    assert seen == [
        "a {'n': 1}", "b {'n': 1}", "c {'n': 1}", "d {'n': 1}", "here",
        ("d", [1]), ("c", [1]), ("b", [1]), ("a", [1]),
    ]  # fmt: skip


async def test_async_ones_are_around_the_thread_of_a_def_handler_and_plain_ones_in_it() -> None:
    met: list[tuple[str, bool]] = []
    app = trioq.App()

    def here(name: str) -> None:
        met.append((name, threading.current_thread() is threading.main_thread()))

    @app.middleware
    def plain(job: trioq.Job) -> Iterator[None]:
        here("plain")
        yield
        here("plain")

    @app.middleware
    async def in_loop(job: trioq.Job) -> AsyncIterator[None]:
        here("in_loop")
        await trio.lowlevel.checkpoint()
        yield
        here("in_loop")

    @app.job("it")
    def it() -> None:
        here("it")

    await _run(app)
    assert met == [
        ("in_loop", True), ("plain", False), ("it", False), ("plain", False), ("in_loop", True),
    ]  # fmt: skip


async def test_each_meets_the_very_object_that_the_handler_raised(attempts: Attempts) -> None:
    error = ValueError("no")

    def fails() -> None:
        raise error

    attempts.app.middleware(noting(attempts, "a"))
    attempts.app.middleware(noting_plainly(attempts, "b"))

    told = failed(await attempts.of(fails))

    assert attempts.seen[2:] == [("b", error), ("a", error)]
    assert (told.type, told.message) == ("ValueError", "no")
    assert "middleware" not in told.traceback
    assert "raise error" in told.traceback


async def test_what_it_raises_takes_the_place_of_the_handlers_end(attempts: Attempts) -> None:
    @attempts.app.middleware
    async def later(job: trioq.Job) -> AsyncIterator[None]:
        try:
            yield
        except ValueError as error:
            raise trioq.GiveUp("of no use") from error

    def fails() -> None:
        raise ValueError("no")

    outcome = await attempts.of(fails)
    assert isinstance(outcome, Failed)
    assert (outcome.permanent, outcome.error.message) == ("gave_up", "of no use")
    assert "ValueError: no" in outcome.error.traceback


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_error_of_its_own_fails_the_attempt(attempts: Attempts, when: str) -> None:
    attempts.app.middleware(noting(attempts, "outer"))

    @attempts.app.middleware
    def breaks(job: trioq.Job) -> Iterator[None]:
        if when == "before":
            raise OSError("it broke")
        yield
        raise OSError("it broke")

    told = failed(await attempts.of(lambda: attempts.seen.append("here")))

    assert (told.type, told.message) == ("OSError", "it broke")
    assert ("here" in attempts.seen) == (when == "after")
    assert isinstance(attempts.seen[-1][1], OSError)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_failure_that_it_swallows_stays_one_and_that_is_said_once(
    attempts: Attempts, caplog: pytest.LogCaptureFixture, *, is_async: bool
) -> None:
    async def swallows(job: trioq.Job) -> AsyncIterator[None]:
        with contextlib.suppress(ValueError):
            yield

    def swallows_plainly(job: trioq.Job) -> Iterator[None]:
        with contextlib.suppress(ValueError):
            yield

    def fails() -> None:
        raise ValueError("no")

    attempts.app.middleware(swallows if is_async else swallows_plainly)
    assert failed(await attempts.of(fails)).message == "no"
    (line,) = caplog.messages
    assert "swallows" in line
    assert "of it has swallowed ValueError" in line


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
async def test_what_ends_iterators_is_an_error_like_others(
    attempts: Attempts, error: type[Exception], caplog: pytest.LogCaptureFixture, *, is_async: bool
) -> None:
    def stops() -> None:
        raise error(7)

    without = failed(await attempts.of(stops))
    attempts.app.middleware((noting if is_async else noting_plainly)(attempts, "a"))
    assert failed(await attempts.run()) == without
    assert not caplog.messages


# -- what it may not do ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(("times", "said"), [(0, "didn't yield"), (2, "yields a second time")])
async def test_it_yields_once(attempts: Attempts, times: int, said: str, *, is_async: bool) -> None:
    def odd(job: trioq.Job) -> Iterator[None]:
        for _ in range(times):
            yield

    async def odd_async(job: trioq.Job) -> AsyncIterator[None]:
        for _ in range(times):
            yield

    attempts.app.middleware(odd_async if is_async else odd)

    outcome = await attempts.of(lambda: attempts.seen.append("here"))

    assert isinstance(outcome, Failed)
    assert outcome.permanent == "bad_handler"
    assert said in outcome.error.message
    assert "odd" in outcome.error.message
    assert attempts.seen == ["here"] * (times > 0)


async def test_one_that_goes_on_after_an_error_as_if_to_try_again_is_told(
    attempts: Attempts,
) -> None:
    @attempts.app.middleware
    def tries_again(job: trioq.Job) -> Iterator[None]:
        for _ in range(3):
            with contextlib.suppress(ValueError):
                yield

    def fails() -> None:
        raise ValueError("no")

    told = failed(await attempts.of(fails))
    assert "yields a second time" in told.message
    assert "ValueError: no" in told.traceback


# -- what is around all of it ----------------------------------------------------------------------


async def test_of_a_payload_that_does_not_fit_it_is_not_told(attempts: Attempts) -> None:
    attempts.app.middleware(noting(attempts, "a"))

    @attempts.app.job("it")
    def it(n: int) -> None: ...

    outcome = await attempts.run(n="x")
    assert isinstance(outcome, Failed)
    assert outcome.permanent == "bad_payload"
    assert not attempts.seen


async def test_what_it_sets_in_context_variables_is_there_for_the_handler_and_no_other(
    attempts: Attempts,
) -> None:
    @attempts.app.middleware
    async def marks(job: trioq.Job) -> AsyncIterator[None]:
        attempts.seen.append(MARK.set("outer") and MARK.get())
        yield
        attempts.seen.append(MARK.get())

    @attempts.app.middleware
    def marks_plainly(job: trioq.Job) -> Iterator[None]:
        attempts.seen.append(MARK.get())
        MARK.set("inner")
        yield

    outcome = await attempts.of(lambda: MARK.get() + trioq.current_job().name)

    assert outcome == Succeeded("innerit")
    assert attempts.seen[:2] == ["outer", "outer"]
    assert MARK.get(None) is None


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_coroutine_that_a_def_handler_returns_is_awaited_within(*, is_async: bool) -> None:
    attempts = Attempts("def", AsyncioLoop())

    async def later() -> int:
        attempts.seen.append("later")
        await trio.lowlevel.checkpoint()
        return 7

    attempts.app.middleware(noting_plainly(attempts, "a"))
    attempts.app.middleware((noting if is_async else noting_plainly)(attempts, "b"))

    def gives() -> Any:
        return later()

    assert await attempts.of(gives) == Succeeded(7)
    assert attempts.seen[2] == "later"
    assert {*attempts.seen[3:]} == {("a", 7), ("b", 7)}


async def test_a_timeout_counts_what_it_takes_and_comes_out_at_the_yield() -> None:
    attempts = Attempts("async", AsyncioLoop())
    attempts.app.middleware(noting_plainly(attempts, "plain"))

    @attempts.app.middleware
    async def slow(job: trioq.Job) -> AsyncIterator[None]:
        try:
            yield
        except trio.Cancelled as error:
            attempts.seen.append(("async", error))
            raise

    @attempts.app.middleware
    async def slower(job: trioq.Job) -> AsyncIterator[None]:
        await trio.sleep(math.inf)
        yield

    told = failed(await attempts.of(lambda: None, timeout_s=0.01))
    assert told.message == "took longer than 0.01 s"
    ends = [(name, type(error)) for name, error in attempts.seen[1:]]
    assert ends == [("async", trio.Cancelled), ("plain", trio.Cancelled)]


async def test_what_a_def_handler_returns_to_be_awaited_is_cancelled_like_any(
    in_a_thread: Attempts,
) -> None:
    in_a_thread.app.middleware(noting(in_a_thread, "a"))

    async def later() -> None:
        await trio.sleep_forever()

    def gives() -> Any:
        return later()

    told = failed(await in_a_thread.of(gives, timeout_s=0.1))

    assert told.message == "took longer than 0.1 s"
    assert type(in_a_thread.seen[-1][1]) is in_a_thread.cancelled


async def test_one_in_asyncio_that_is_left_behind_calls_no_handler_any_more() -> None:
    attempts = Attempts("def, asyncio", AsyncioLoop())
    let_go = threading.Event()

    @attempts.app.middleware
    async def resists(job: trioq.Job) -> AsyncIterator[None]:
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.001)
        try:
            yield
        except BaseException as error:
            attempts.seen.append(type(error))
            raise

    told = failed(await attempts.of(lambda: attempts.seen.append("called"), timeout_s=0.1))
    let_go.set()
    await attempts.loop.close(lambda event: None)

    assert "its task in asyncio still runs" in told.message
    assert attempts.seen == [asyncio.CancelledError]


async def test_where_a_thread_is_left_behind_it_meets_the_cancellation_and_the_end_says_so(
    in_a_thread: Attempts,
) -> None:
    release = threading.Event()
    in_a_thread.app.middleware(noting(in_a_thread, "a"))

    told = failed(await in_a_thread.of(release.wait, timeout_s=0.1))

    assert told.message == "took longer than 0.1 s; its thread still runs"
    assert type(in_a_thread.seen[-1][1]) is in_a_thread.cancelled
    release.set()


async def test_where_no_thread_is_free_in_time_it_meets_the_cancellation_and_the_job_comes_back(
    in_a_thread: Attempts,
) -> None:
    in_a_thread.app.middleware(noting(in_a_thread, "a"))
    places = trio.CapacityLimiter(1)
    async with places:
        outcome = await in_a_thread.of(threading.Event().wait, timeout_s=0.1, threads=places)
    assert isinstance(outcome, Snoozed)
    assert type(in_a_thread.seen[-1][1]) is in_a_thread.cancelled


async def test_where_a_thread_has_its_grace_it_ends_after_that(in_a_thread: Attempts) -> None:
    began, scope = trio.Event(), trio.CancelScope()
    in_a_thread.app.middleware(noting(in_a_thread, "a"))
    in_a_thread.app.middleware(noting_plainly(in_a_thread, "b"))

    def heeds() -> None:
        trio.from_thread.run_sync(began.set)
        try:
            while True:
                trioq.check_cancelled()
        finally:
            in_a_thread.seen.append("ended")

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with scope:
                await in_a_thread.of(heeds, grace=NoPatience(60, trio.Event()))

        await began.wait()
        scope.cancel("no more")
    assert scope.cancelled_caught
    *_, ended, inner, outer = in_a_thread.seen
    assert ended == "ended"
    ends = [(name, type(error)) for name, error in (inner, outer)]
    assert ends == [("b", trio.Cancelled), ("a", trio.Cancelled)]


async def test_where_a_thread_returns_all_the_same_that_counts(in_a_thread: Attempts) -> None:
    began, told, scope = trio.Event(), threading.Event(), trio.CancelScope()
    in_a_thread.app.middleware(noting(in_a_thread, "a"))

    def returns() -> int:
        trio.from_thread.run_sync(began.set)
        told.wait()
        return 7

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with scope:
                outcome = await in_a_thread.of(returns, grace=NoPatience(60, trio.Event()))
                in_a_thread.seen.append(outcome)

        await began.wait()
        scope.cancel("no more")
        await trio.testing.wait_all_tasks_blocked()
        told.set()
    assert in_a_thread.seen[1:] == [("a", 7), Succeeded(7)]


async def test_an_app_that_is_included_keeps_its_own() -> None:
    inner, outer = Attempts("async", AsyncioLoop()), Attempts("async", AsyncioLoop())
    outer.app.middleware(noting(outer, "outer"))

    @inner.app.job("inner")
    async def of_inner() -> None: ...

    @outer.app.job("outer")
    async def of_outer() -> None: ...

    outer.app.include(inner.app)
    inner.app.middleware(noting(inner, "inner"))
    await _run(outer.app, "inner")
    assert (len(inner.seen), len(outer.seen)) == (2, 0)
    await _run(outer.app, "outer")
    assert (len(inner.seen), len(outer.seen)) == (2, 2)


async def _run(app: trioq.App, name: str = "it") -> Outcome:
    with contextlib.closing(Timebox()) as timebox:
        handler = app.handlers[name].surrounded()
        return await invoke(handler, job_with(), timeout_s=60, timebox=timebox, threads=THREADS)


# -- said when it is registered --------------------------------------------------------------------


def _no_job() -> Iterator[None]:
    yield


def _two(job: trioq.Job, other: int) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _manager(job: trioq.Job) -> Iterator[None]:
    yield


async def _returns(job: trioq.Job) -> None: ...


def _yields(job: trioq.Job) -> Iterator[None]:
    yield


class _Object:
    def __call__(self, job: trioq.Job) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (_no_job, "_no_job has to take the job, and no more"),
        (_two, "_two has to take the job, and no more"),
        (_manager, "_manager: leave @contextmanager out"),
        (_returns, "_returns doesn't yield: write a generator function"),
        (len, "len doesn't yield"),
        (_Object, "_Object is no function"),
        (7, "7 is no function"),
        (trioq.App().job("x")(_returns), "_returns doesn't yield"),
    ],
)
async def test_what_is_no_middleware_is_told_at_once(what: Any, said: str) -> None:
    with pytest.raises(TypeError) as told:
        trioq.App().middleware(what)
    assert str(told.value).startswith("middleware: ")
    assert said in str(told.value)


async def test_a_decorator_with_parentheses_is_the_same() -> None:
    app = trioq.App()
    assert app.middleware()(_yields) is _yields
    assert app.on_failure()(_returns) is _returns
    around = app.job("x")(_returns).registered.around
    assert [one.function for one in around.middleware] == [_yields]
    assert [one.function for one in around.on_failure] == [_returns]


async def test_an_object_or_a_partial_may_be_one() -> None:
    app = trioq.App()
    app.middleware(_Object())
    app.middleware(partial(_two, other=1))
