"""Nothing that a handler raises or returns ends an engine, and each job has its proper end."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel

import trioq
from tests.engine.handlers.attempts import as_async, as_sync
from tests.engine.rig import Rig, config_of, noop
from trioq.core.config.sections import Backoff
from trioq.core.events import JobDied, JobFailed, JobSnoozed, JobSucceeded
from trioq.core.outcome import DeadReason
from trioq.engine.handlers import BadPayload

# -- errors that lie, or raise whatever they are asked ---------------------------------------------


class Oops(BaseException):
    """What odd errors raise when they are looked at."""

    __module__ = "odd"


def refuse(*_: Any) -> Any:
    raise Oops


def odd(base: type = Exception, name: str = "Odd", **members: Any) -> BaseException:
    """An error of a class with these members."""
    error: BaseException = type(name, (base,), {"__module__": "odd", **members})("x")
    return error


def raising(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, property(refuse))


EVERYTHING = raising(
    "__class__", "__dict__", "__traceback__", "__cause__", "__context__", "__suppress_context__",
    "__notes__", "args", "exceptions", "message", "delay_s", "permanent", "error", "with_traceback",
)  # fmt: skip


class Meta(type):
    """A class that can't be looked at either."""

    __getattribute__ = __instancecheck__ = __hash__ = __repr__ = refuse
    __mro__ = property(refuse)


def unlooked(*bases: type, **members: Any) -> Any:
    """A class that nothing can be asked of. pytest asks all that are in a module."""
    asked = ("__getattribute__", "__eq__", "__hash__", "__bool__", "__str__", "__repr__")
    return Meta("Unlooked", bases, {"__module__": "odd", **dict.fromkeys(asked, refuse), **members})


UNLOOKED = (unlooked(Exception), unlooked(object))


class OddText(str):
    """A text with which nothing can be done."""

    __getitem__ = __len__ = __str__ = __repr__ = __format__ = encode = __eq__ = refuse  # type: ignore[assignment]
    __hash__ = refuse  # type: ignore[assignment]


class OddNumber(float):
    """A number that doesn't like to be one."""

    __float__ = __le__ = __ge__ = __lt__ = __gt__ = __mul__ = __repr__ = refuse  # type: ignore[assignment]


class OddGroup(BaseExceptionGroup[BaseException]):
    split = subgroup = derive = exceptions = property(refuse)  # type: ignore[assignment]
    __getattribute__ = __str__ = refuse


def circle() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    first.__cause__ = first
    return first


def long_chain() -> BaseException:
    error = ValueError("x")
    for _ in range(10_000):
        error.__context__, error = error.__context__, ValueError("x", error)
    return error


def deep_group() -> BaseException:
    error: BaseException = ValueError("x")
    for _ in range(5_000):
        error = BaseExceptionGroup("g", [error])
    return error


#: A real one, of an earlier time.
KEPT: list[BaseException] = []


async def keep_a_cancellation() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            KEPT.append(error)
            raise


#: What is raised, and the type that is told.
ERRORS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "its class raises": (lambda: odd(**raising("__class__")), "odd.Odd"),
    "its class lies: a group": (lambda: odd(__class__=BaseExceptionGroup), "odd.Odd"),
    "its class lies: a wish": (lambda: odd(__class__=trioq.Snooze), "odd.Odd"),
    "its class lies: cancelled": (lambda: odd(__class__=trio.Cancelled), "odd.Odd"),
    "its class is no class": (lambda: odd(__class__=5), "odd.Odd"),
    "its module is a number": (lambda: odd(__module__=5), "Odd"),
    "its module raises": (lambda: odd(__module__=property(refuse)), "Odd"),
    "its module is odd": (lambda: odd(__module__=OddText("m")), "m.Odd"),
    "its name is odd": (lambda: odd(__qualname__=OddText("N")), "odd.N"),
    "its name is empty": (lambda: odd(name=""), "odd."),
    "its name is long": (lambda: odd(name="N" * 10_000), "odd.N"),
    "its name is half a pair": (lambda: odd(__qualname__="\ud800"), "odd.\\ud800"),
    "its text raises": (lambda: odd(__str__=refuse), "odd.Odd"),
    "its text is no text": (lambda: odd(__str__=lambda self: 5), "odd.Odd"),
    "its text is odd": (lambda: odd(__str__=lambda self: OddText("x")), "odd.Odd"),
    "its text exits": (lambda: odd(__str__=lambda self: sys.exit(3)), "odd.Odd"),
    "its text recurses": (lambda: odd(__str__=str), "odd.Odd"),
    "its repr raises": (lambda: odd(__repr__=refuse), "odd.Odd"),
    "it knows no attribute": (lambda: odd(__getattribute__=refuse), "odd.Odd"),
    "it lacks all attributes": (lambda: odd(**EVERYTHING), "odd.Odd"),
    "its truth raises": (lambda: odd(__bool__=refuse, __eq__=refuse), "odd.Odd"),
    "its traceback raises": (lambda: odd(**raising("__traceback__", "with_traceback")), "odd.Odd"),
    "its traceback is none": (lambda: odd(__traceback__=5), "odd.Odd"),
    "nothing can be asked of it": (UNLOOKED[0], "odd.Unlooked"),
    "its cause is itself": (circle, "ValueError"),
    "its chain is long": (long_chain, "ValueError"),
    "a deep group": (deep_group, "ValueError"),
    "a group that can't be split": (lambda: OddGroup("g", [Oops("x")]), "odd.Oops"),
    "a group of odd ones": (
        lambda: BaseExceptionGroup("g", [odd(**EVERYTHING), UNLOOKED[0]()]), "ExceptionGroup",
    ),
    "it ends the interpreter": (lambda: SystemExit(0), "SystemExit"),
    "it interrupts it": (KeyboardInterrupt, "KeyboardInterrupt"),
    "it ends a generator": (GeneratorExit, "GeneratorExit"),
    "it is a base": (BaseException, "BaseException"),
    "it ran out of memory": (MemoryError, "MemoryError"),
    "a cancellation that it kept": (lambda: KEPT[0], "trio.Cancelled"),
    "a group with one": (lambda: BaseExceptionGroup("g", [KEPT[0]]), "trio.Cancelled"),
    "an internal error of trio": (lambda: trio.TrioInternalError("x"), "trio.TrioInternalError"),
    "its notes are odd": (lambda: odd(__notes__=5), "odd.Odd"),
}  # fmt: skip


@attrs.frozen
class End:
    """How a job must end."""

    event: type
    type: str = ""
    reason: DeadReason | None = None


def asks(kind: Any, delay_s: Any) -> Callable[[], BaseException]:
    return lambda: kind(delay_s)


def odd_wish(kind: type) -> BaseException:
    wish = kind(1)
    wish.__class__ = type("OddWish", (kind,), {"delay_s": property(refuse)})
    return wish  # type: ignore[no-any-return]


def odd_limit() -> BaseException:
    wish = trioq.RateLimited(9, limit="a")
    wish.limit = OddText("a")
    return wish


WISHES: dict[str, tuple[Callable[[], BaseException], End]] = {
    f"{kind.__name__}({repr(delay)[:20]})": (asks(kind, delay), End(JobFailed, "ValueError"))
    for kind in (trioq.RetryLater, trioq.Snooze)
    for delay in (math.nan, math.inf, -math.inf, -1, 10**400, 1e300, "5", True, [], 1j, object)
} | {
    "Snooze(None)": (asks(trioq.Snooze, None), End(JobFailed, "ValueError")),
    "RetryLater(None)": (asks(trioq.RetryLater, None), End(JobFailed, "trioq.errors.RetryLater")),
    "an odd number": (lambda: trioq.RetryLater(OddNumber(5)), End(JobFailed, "ValueError")),
    "a delay that raises": (lambda: odd_wish(trioq.Snooze), End(JobFailed, "ValueError")),
    "another one": (lambda: odd_wish(trioq.RetryLater), End(JobFailed, "ValueError")),
    "Snooze(1000)": (asks(trioq.Snooze, 1000), End(JobSnoozed)),
    **{
        f"RateLimited({each!r})": (
            lambda each=each: trioq.RateLimited(**{"retry_after": 1, "limit": "a"} | each),
            End(JobFailed, "ValueError"),
        )
        for each in (
            {"retry_after": -1},
            {"retry_after": "30"},
            {"retry_after": None},
            {"limit": ""},
            {"limit": 5},
            {"limit": "a b"},
            {"key": object},
        )
    },
    "RateLimited(of nothing)": (lambda: trioq.RateLimited(9, limit="a"), End(JobSnoozed)),
    "RateLimited(odd)": (odd_limit, End(JobSnoozed)),
    "GiveUp(odd)": (lambda: trioq.GiveUp(OddText("x")), End(JobDied, reason="gave_up")),
    "GiveUp(5)": (lambda: trioq.GiveUp(5), End(JobDied, reason="gave_up")),  # type: ignore[arg-type]
    "BadPayload(odd)": (lambda: BadPayload(OddText("x")), End(JobDied, reason="bad_payload")),
}


class OddResult:
    __class__ = __dict__ = property(refuse)  # type: ignore[assignment]
    __getattribute__ = __eq__ = __bool__ = __repr__ = __hash__ = __len__ = refuse  # type: ignore[assignment]


class OddAwaitable:
    """It asks trio for something that can't even be shown."""

    def __await__(self) -> Any:
        yield OddResult()


class NoAwaitable:
    def __await__(self) -> Any:
        raise Oops


RESULTS: dict[str, tuple[Callable[[], Any], End]] = {
    "an odd result": (OddResult, End(JobSucceeded)),
    "one of an odd class": (UNLOOKED[1], End(JobSucceeded)),
    "that class": (lambda: UNLOOKED[1], End(JobSucceeded)),
    "an odd text": (lambda: OddText("x"), End(JobSucceeded)),
    "an odd number": (lambda: OddNumber(5), End(JobSucceeded)),
    "NotImplemented": (lambda: NotImplemented, End(JobSucceeded)),
    "odd to await": (OddAwaitable, End(JobDied, "BadHandler", "bad_handler")),
    "fails to await": (NoAwaitable, End(JobFailed, "odd.Oops")),
}


def ends() -> dict[str, tuple[Callable[[], Any], End]]:
    """What handlers do, and how their jobs must end."""
    cases: dict[str, tuple[Callable[[], Any], End]] = {}
    for name, (make, kind) in ERRORS.items():
        cases[f"raises: {name}"] = (_raiser(make), End(JobFailed, kind))
    for name, (make, end) in WISHES.items():
        cases[f"asks: {name}"] = (_raiser(make), end)
    for name, (returned, end) in RESULTS.items():
        cases[f"returns: {name}"] = (returned, end)
    return cases


def _raiser(make: Callable[[], BaseException]) -> Callable[[], Any]:
    def function() -> Any:
        raise make()

    return function


CASES = ends()


async def in_a_scope(function: Callable[[], Any]) -> Any:
    with trio.move_on_after(60):
        await trio.lowlevel.checkpoint()
        return function()


def ended(rig: Rig) -> dict[str, JobDied | JobFailed | JobSnoozed | JobSucceeded]:
    """How jobs have ended, by their uid."""
    kinds = JobDied | JobFailed | JobSnoozed | JobSucceeded
    return {event.uid: event for event in rig.events if isinstance(event, kinds)}


SHAPES: dict[str, Callable[[Callable[[], Any]], Callable[[], Any]]] = {
    "def": as_sync,
    "async def": as_async,
    "in a scope": lambda function: partial(in_a_scope, function),
}


@pytest.mark.parametrize("how", SHAPES)
@pytest.mark.trio
async def test_nothing_that_a_handler_does_ends_an_engine(rig: Rig, how: str) -> None:
    """All of them in one engine; each job ends as it should, and then others still run."""
    await keep_a_cancellation()
    rig.config = config_of(backoff=Backoff(1000.0, 1000.0))
    for name, (function, _) in CASES.items():
        rig.app.job(name)(SHAPES[how](function))
    noop(rig)

    async with rig.running():
        uids = {name: rig.enqueue(name)[0] for name in CASES}
        await rig.until(lambda: set(uids.values()) <= ended(rig).keys())
        events = ended(rig)
        for name, (_, end) in CASES.items():
            event = events[uids[name]]
            assert type(event) is end.event, (name, event)
            if isinstance(event, JobFailed | JobDied):
                assert event.error.type.startswith(end.type), name
                assert len(event.error.type.encode()) <= 200, name
                assert type(event.error.message) is str, name
            if isinstance(event, JobDied):
                assert event.reason == end.reason, name
        rig.enqueue("noop", 20)
        await rig.reported(JobSucceeded, 20, name="noop")
