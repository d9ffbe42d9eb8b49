"""What handlers do, from nothing at all to what nobody should; each is told apart by its name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import attrs
import trio
from opentelemetry import trace
from trio.testing import MockClock

import trioq
from props.stage import MARK, Role, Stage, in_the_loop
from trioq.engine.handlers.place import place

#: What a handler may take, in seconds; longer than each that means to be in time.
TIMEOUT_S = 0.5


class Odd(BaseException):
    """No Exception, and silent."""

    def __str__(self) -> str:
        raise RuntimeError("it doesn't say")


class Liar(Exception):
    """Pretends to be another."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("it isn't told")

    @property
    def __traceback__(self) -> Any:
        raise RuntimeError("nor where")


class Later:
    """Something to be awaited that isn't a coroutine."""

    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def __await__(self) -> Generator[Any, Any, str]:
        self._seen.append("awaited")
        return trio.sleep(0.1).__await__()  # type: ignore[return-value] # noqa: ASYNC105


class Marking(dict[str, Any]):
    """Marks where it is written as JSON."""

    def items(self) -> Any:
        MARK.set(-2)
        return super().items()


@attrs.frozen
class Part:
    """One handler's run."""

    n: int
    """Of its job."""
    run: int
    """How often this job has been run by now."""
    seen: list[Any]
    clock: MockClock


Act = Callable[[Part], Awaitable[Any]]
ACTS: dict[str, Act] = {}


def act(function: Act) -> Act:
    ACTS[function.__name__] = function
    return function


def raises(name: str, make: Callable[[Part], BaseException]) -> None:
    async def raising(part: Part) -> None:
        raise make(part)

    async def waits_and_raises(part: Part) -> None:
        await trio.lowlevel.checkpoint()
        raise make(part)

    ACTS[f"raises {name}"] = raising
    ACTS[f"waits, raises {name}"] = waits_and_raises


def returns(name: str, make: Callable[[Part], Any]) -> None:
    async def returning(part: Part) -> Any:
        return make(part)

    async def waits_and_returns(part: Part) -> Any:
        await trio.lowlevel.checkpoint()
        return make(part)

    ACTS[f"returns {name}"] = returning
    ACTS[f"waits, returns {name}"] = waits_and_returns


async def _more(part: Part) -> int:
    part.seen.append("ran to its end")
    await trio.lowlevel.checkpoint()
    part.seen.append(trioq.current_job().uid and MARK.get(None))
    return 1


async def _more_of_it(part: Part) -> Any:
    return _more(part)


async def _more_fails(part: Part) -> None:
    raise KeyError(part.n)


def _generator(part: Part) -> Generator[int, None, None]:
    part.seen.append("never")
    yield 1


returns("nothing", lambda part: None)
returns("a number", lambda part: 7)
returns("much", lambda part: "x" * 100_000)
returns("an object", lambda part: object())
returns("an exception", lambda part: ValueError("returned"))
returns("a tuple", lambda part: (1, 2))
returns("a role", lambda part: Role(part.n))
returns("what marks its context", lambda part: Marking())
returns("a coroutine", _more)
returns("a coroutine of one", _more_of_it)
returns("a coroutine that fails", _more_fails)
returns("what can be awaited", lambda part: Later(part.seen))
returns("a generator", _generator)
returns("a function", lambda part: print)

raises("ValueError", lambda part: ValueError(part.n))
raises("OSError", lambda part: OSError(part.n))
raises("RetryLater", lambda part: trioq.RetryLater(2.0))
raises("a bad RetryLater", lambda part: trioq.RetryLater(float("nan")))
raises("GiveUp", lambda part: trioq.GiveUp("no use"))
raises("SystemExit", lambda part: SystemExit(3))
raises("KeyboardInterrupt", lambda part: KeyboardInterrupt())
raises("GeneratorExit", lambda part: GeneratorExit())
raises("StopIteration", lambda part: StopIteration(part.n))
raises("MemoryError", lambda part: MemoryError())
raises("Odd", lambda part: Odd())
raises("Liar", lambda part: Liar())
raises("a group", lambda part: BaseExceptionGroup("two", [ValueError(1), SystemExit(2)]))
raises("a wrapped one", lambda part: ExceptionGroup("one", [trioq.GiveUp("inside")]))


@act
async def snoozes(part: Part) -> None:
    if part.run == 1:
        raise trioq.Snooze(1.5)


@act
async def fails_once(part: Part) -> None:
    if part.run == 1:
        raise ValueError("the first time")


@act
async def sleeps(part: Part) -> None:
    await trio.sleep(TIMEOUT_S / 2)


@act
async def sleeps_too_long(part: Part) -> None:
    await trio.sleep(2 * TIMEOUT_S)


@act
async def sleeps_too_long_after_work(part: Part) -> None:
    """Its timeout counts from its start, not from when it first waited."""
    part.clock.jump(TIMEOUT_S * 3 / 4)
    await trio.sleep(TIMEOUT_S / 2)


@act
async def sleeps_in_time_after_work(part: Part) -> None:
    part.clock.jump(TIMEOUT_S / 4)
    await trio.sleep(TIMEOUT_S / 2)


@act
async def works_too_long(part: Part) -> None:
    part.clock.jump(2 * TIMEOUT_S)


@act
async def works_too_long_and_waits(part: Part) -> None:
    part.clock.jump(2 * TIMEOUT_S)
    await trio.lowlevel.checkpoint()
    part.seen.append("went on")


@act
async def works_too_long_and_fails(part: Part) -> None:
    part.clock.jump(2 * TIMEOUT_S)
    raise ValueError("late")


@act
async def works_too_long_and_snoozes(part: Part) -> None:
    if part.run == 1:
        part.clock.jump(2 * TIMEOUT_S)
        raise trioq.Snooze(1.0)


@act
async def swallows_its_end(part: Part) -> None:
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep_forever()


@act
async def fails_at_its_end(part: Part) -> None:
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        raise ValueError("while it was cancelled") from None


@act
async def raises_a_kept_cancellation(part: Part) -> None:
    kept: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            kept.append(cancelled)
    raise kept[0]


@act
async def gives_itself_less_time(part: Part) -> None:
    with trio.move_on_after(TIMEOUT_S / 4) as scope:
        await trio.sleep(TIMEOUT_S)
    part.seen.append(scope.cancelled_caught)


@act
async def leaves_a_scope_open(part: Part) -> None:
    trio.CancelScope().__enter__()


@act
async def leaves_a_scope_open_and_waits(part: Part) -> None:
    trio.CancelScope().__enter__()
    await trio.lowlevel.checkpoint()


@act
async def leaves_a_cancelled_scope_open(part: Part) -> None:
    trio.CancelScope().__enter__().cancel()


@act
async def opens_a_scope_and_closes_it(part: Part) -> None:
    with trio.CancelScope():  # noqa: ASYNC100
        part.seen.append(MARK.get(None))


@act
async def has_a_nursery(part: Part) -> None:
    async def child() -> None:
        await trio.sleep(0.1)
        part.seen.append(("child", MARK.get(None), trioq.current_job().attempt))

    MARK.set(part.n)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
    part.seen.append(MARK.get())


@act
async def has_a_nursery_that_fails(part: Part) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_more_fails, part)


@act
async def marks_its_context(part: Part) -> None:
    part.seen.append(MARK.get(None))
    MARK.set(part.n)


@act
async def marks_its_context_and_waits(part: Part) -> None:
    part.seen.append(MARK.get(None))
    MARK.set(part.n)
    await trio.sleep(0.05)
    part.seen.append(MARK.get(None))


@act
async def looks_at_its_context(part: Part) -> None:
    part.seen.append(MARK.get(None))


@act
async def asks_for_its_job(part: Part) -> None:
    job = trioq.current_job()
    part.seen.append((job.name, job.queue, job.payload, job.attempt, job.max_attempts, job.id))
    part.seen.append((job.uid in job.token, bool(job.enqueued_ms), dict(job.trace)))
    part.seen.append(trioq.current_job() is job)


@act
async def asks_for_its_job_later(part: Part) -> None:
    await trio.sleep(0.1)
    await asks_for_its_job(part)


@act
async def asks_how_long_it_has(part: Part) -> None:
    part.seen.append(round(trio.current_effective_deadline() - trio.current_time(), 2))
    await trio.lowlevel.checkpoint()
    part.seen.append(round(trio.current_effective_deadline() - trio.current_time(), 2))


@act
async def asks_how_long_it_has_and_returns(part: Part) -> None:
    part.seen.append(round(trio.current_effective_deadline() - trio.current_time(), 2))


@act
async def asks_whether_it_is_protected(part: Part) -> None:
    """From Ctrl-C."""
    part.seen.append(trio.lowlevel.currently_ki_protected())


@act
async def looks_at_its_span(part: Part) -> None:
    """Before and after it has waited."""
    for _ in range(2):
        span = trace.get_current_span().get_span_context()
        part.seen.append((span.is_valid, span.trace_flags))
        await trio.lowlevel.checkpoint()


@act
async def asks_where_it_is(part: Part) -> None:
    part.seen.append(place.get().worker)


@act
async def waits_for_another_loop(part: Part) -> None:
    try:
        await asyncio.sleep(0)
    finally:
        part.seen.append("ended")


@act
async def wants_another_loop(part: Part) -> None:
    await asyncio.sleep(1)


def stage(clock: MockClock) -> Stage:
    """Where they are played."""
    return Stage(partial(Part, clock=clock), ACTS, in_the_loop, TIMEOUT_S)
