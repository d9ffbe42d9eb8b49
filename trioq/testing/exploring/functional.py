"""``explore(…)``: a handler's runs, in worlds that are made for it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import outcome

from trioq.app import App
from trioq.core.call import Call
from trioq.core.config import Config
from trioq.engine.handlers import Function
from trioq.testing.exploring.explorer import Explored, Explorer
from trioq.testing.exploring.plan import FAULTS
from trioq.testing.exploring.run import Trial
from trioq.testing.world import World


def explore(
    call: Call[Any],
    invariant: Callable[..., Any],
    *,
    world: Callable[..., Any] | None = None,
    app: App[Any] | None = None,
    config: Config | Path | str | None = None,
    faults: Sequence[str] = tuple(FAULTS),
    pairs: bool = False,
    budget: int | None = None,
    seed: int = 0,
) -> Explored:
    """Run a job once to see its handler's steps; then again for each step and each fault, every
    time in a clean world; and ask after each run whether all is well.

    A step is where the handler begins, each ``await`` (while it is suspended there, and after it),
    ``async with`` and turn of ``async for``, each call in a ``def`` handler, each
    :func:`~trioq.testing.mark`, and where it has returned and its job isn't settled yet. What it
    awaits may be a fake that never is suspended.

    Called in a running loop it blocks that until it is through; the result may be awaited, too.

    Args:
      call: What is enqueued.
      invariant: Asked when all jobs have ended. It raises, or returns False, if something is wrong.
          It takes what ``world`` has made, and after it the :class:`~trioq.testing.World`, as far
          as it has parameters; it may be async.
      world: Makes what the handler works on, anew for each run: a fake, a database. It may take the
          :class:`~trioq.testing.World`, be async, or be a ``@contextmanager``.
      app: The handler's, if it needs more than itself: other handlers, a lifespan, middleware.
      config: As of :class:`~trioq.testing.World`.
      faults: ``crash`` (the process is gone; another engine runs the job again), ``cancel`` (it is
          told to end, and cancels its handlers), ``freeze`` (it stands still past its lease, and
          goes on after the second run has ended, or beside it), ``lost`` (a request to Redis gets
          lost, or its reply).
      pairs: Whether the run after each crash, cancel and freeze crashes or is cancelled, too.
      budget: So many runs at most; more are left out, by chance. Default: 1000.
      seed: Of that chance.

    Raises:
      Counterexample: The invariant doesn't hold: at which line of the source, after what, and how
          to run that again.
      Unsteady: The handler doesn't come by the same steps each time.
      LookupError: No run of this handler was seen.
      ValueError: A fault or a budget that can't be.

    The idea is that of deterministic simulation (FoundationDB), and of ALICE, which crashes a
    program between any two of its writes.
    """
    one = attrs.evolve(_One(call, invariant), world=world, app=app, config=config)
    handler = call.expected.function if isinstance(call.expected, Function) else None
    explorer = Explorer(
        one,
        [each for each in (handler, invariant, world, *one.functions()) if each is not None],
        frozenset((call.name,)),
        faults,
        pairs,
        budget,
        seed,
    )
    return _aside(explorer.explore)


@attrs.frozen
class _One:
    """Makes one run."""

    call: Call[Any]
    invariant: Callable[..., Any]
    world: Callable[..., Any] | None = None
    app: App[Any] | None = None
    config: Config | Path | str | None = None

    def functions(self) -> list[Any]:
        """Those of all handlers that may take part."""
        return [each.function for each in self._app().handlers.values()]

    def __call__(self, trial: Trial) -> None:
        tq = World(self._app(), self.config)
        trial.attach(tq)
        with ExitStack() as around, tq.clients.lead():
            tq.run(self._main, tq, around)
        tq.close()

    def _app(self) -> App[Any]:
        if self.app is not None:
            return self.app
        alone: App[Any] = App()
        if isinstance(self.call.expected, Function):
            alone._handlers[self.call.name] = self.call.expected
        return alone

    async def _main(self, tq: World, around: ExitStack) -> None:
        state = None
        if self.world is not None:
            state = await _finished(_call(self.world, tq))
            if hasattr(state, "gen") and hasattr(state, "__enter__"):  # a @contextmanager's
                state = around.enter_context(state)
        await tq.client.enqueue(self.call)
        await tq.drain()
        held = await _finished(_call(self.invariant, state, tq))
        if held is False:
            raise AssertionError("the invariant says False")


async def _finished(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """With as many of the arguments as it takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some that are written in C don't say
        return function()
    kinds = [each.kind for each in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return function(*arguments)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return function(*arguments[: sum(kind in positional for kind in kinds)])


def _aside(function: Callable[[], Explored]) -> Explored:
    """Where a loop runs already, in a thread: there can be no second one in this."""
    ended: list[outcome.Outcome[Explored]] = []
    if not _in_loop():
        return function()
    thread = threading.Thread(target=lambda: ended.append(outcome.capture(function)))
    thread.start()
    thread.join()
    return ended[0].unwrap()


def _in_loop() -> bool:
    import asyncio

    import trio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return trio.lowlevel.in_trio_run()
    return True
