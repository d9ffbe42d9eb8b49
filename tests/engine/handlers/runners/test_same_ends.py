"""A handler ends in a runner as it ends in the engine."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio

import trioq
from tests.engine.handlers.runners import runs
from tests.engine.handlers.runners.shapes import CANCELLED, PAYLOADS, app
from trioq.core.config.sections import NamedBreakerConfig
from trioq.core.keep import Keep
from trioq.core.outcome import Failed, Outcome, Snoozed, Succeeded
from trioq.engine.handlers import Timebox, invoke

pytestmark = [
    pytest.mark.trio,
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
]


KEEP = Keep(1000, 1_000_000)


async def here(
    name: str,
    payload: dict[str, Any] | None = None,
    *,
    keep: Keep | None = None,
    **options: Any,
) -> Outcome:
    """How it ends in this process."""
    job = trioq.Job(uid="0" * 32, name=name, queue="low", payload=payload or {}, token="boot:1")
    with contextlib.closing(Timebox()) as timebox:
        outcome = await invoke(
            app.handlers[name], job, timebox=timebox, threads=runs.THREADS, **options
        )
    if not isinstance(outcome, Succeeded):
        return outcome
    # What nobody keeps is nobody's business: a runner tells whether it was anything.
    is_something = True if outcome.result is not None else None
    return Succeeded(is_something if keep is None else keep.kept(outcome.result))


@pytest.mark.parametrize("keep", [None, KEEP])
async def test_whatever_a_handler_raises_or_returns_means_the_same(keep: Keep | None) -> None:
    names = [name for name in app.handlers if " raises " in name or " returns " in name]
    async with runs.runners(app) as runners:
        apart = {name: await runs.outcome_of(runners, name, keep=keep) for name in names}
    engines = {name: await here(name, timeout_s=60, keep=keep) for name in names}
    assert {n: (apart[n], engines[n]) for n in names if apart[n] != engines[n]} == {}
    kinds = {type(outcome) for outcome in apart.values()}
    assert kinds == {Succeeded, Failed, Snoozed}
    reasons = {outcome.permanent for outcome in apart.values() if isinstance(outcome, Failed)}
    assert reasons == {None, "gave_up", "bad_handler"}


async def test_which_errors_count_for_a_breaker_is_as_the_configuration_says() -> None:
    names = ("def raises an error", "async raises of memory")
    section = NamedBreakerConfig(name="api", jobs=names, on=("builtins.ValueError",))
    async with runs.runners(app, breakers=[section]) as runners:
        counts = [(await runs.failure_of(runners, name)).counts for name in names]
    assert counts == [True, False]
    async with runs.runners(app) as runners:
        counts = [(await runs.failure_of(runners, name)).counts for name in names]
    assert counts == [False, True]


@pytest.mark.parametrize("name", ["takes", "def takes"])
async def test_whatever_comes_in_is_the_same(name: str) -> None:
    async with runs.runners(app) as runners:
        apart = {w: await runs.outcome_of(runners, name, p) for w, p in PAYLOADS.items()}
    assert apart == {w: await here(name, p, timeout_s=60) for w, p in PAYLOADS.items()}
    assert {o.permanent for o in apart.values() if isinstance(o, Failed)} == {None, "bad_payload"}


async def test_a_handler_has_the_deadline_that_it_would_have() -> None:
    async with runs.runners(app) as runners:
        told = await runs.failure_of(runners, "knows its deadline", timeout_s=1000)
    assert told.error.message == "about 1000.0 s"


@pytest.mark.parametrize("name", CANCELLED)
async def test_whatever_a_handler_makes_of_its_timeout_means_the_same(name: str) -> None:
    async with runs.runners(app) as runners:
        apart = await runs.outcome_of(runners, name, timeout_s=0.2)
    assert apart == await here(name, timeout_s=0.2)


@pytest.mark.parametrize("name", CANCELLED)
async def test_whatever_a_handler_makes_of_the_engines_end_means_the_same(name: str) -> None:
    """Its job goes back, unless it returns."""

    async def cancelled(run: Any, **options: Any) -> Outcome | None:
        with trio.move_on_after(0.2):
            return await run(name, timeout_s=60, **options)  # type: ignore[no-any-return]
        return None

    async def apart(name: str, **options: Any) -> Outcome:
        return await runs.outcome_of(runners, name, **options)

    async with runs.runners(app) as runners:
        ended = await cancelled(apart)
    assert ended == await cancelled(here)
    assert (ended is None) == (name not in ("waits and returns", "waits and swallows"))
