"""An engine in a program of asyncio: :func:`run_engine`.

trio has loops of its own, and lends itself to others: it runs in the turns of a loop that is there,
as its guest. So an engine is the same here, and nothing of it is written twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import outcome
import trio

from trioq.app import App
from trioq.core.config import Config
from trioq.core.events import Report
from trioq.engine.handlers import host_loop
from trioq.service import Engine


async def run_engine(
    app: App,
    config: Config | str | Path,
    *,
    role: Literal["all", "worker", "producer"] = "all",
    queues: Sequence[str] | None = None,
    report: Report | None = None,
    started: asyncio.Event | None = None,
    drain: asyncio.Event | None = None,
) -> None:
    """Run an engine in the loop that runs here, until it is drained or cancelled.

    Signals stay the program's own, and so does the loop: a handler that blocks it blocks all of the
    program. Handlers of asyncio run in it, too, and may use what belongs to it.

    Args:
      app, config, role, queues, report: As of :class:`trioq.Engine`.
      started: Is set when Redis has answered and the workers stand.
      drain: Set it, and the engine claims nothing more, finishes what runs within the grace period,
          and this returns.

    Raises:
      ConfigError, StoreError, PortError: As of :class:`trioq.Engine` and its ``run``.
      RuntimeError: An engine runs in this thread already, or no loop of asyncio does.

    Cancellation: handlers are cancelled and their jobs given back, which takes a bounded time; it
    is waited for.
    """
    loop = _loop()
    guest = _Guest(Engine(app, config, role=role, queues=queues, report=report), started)
    guest.start(loop)
    watching = None if drain is None else asyncio.ensure_future(_drained(drain, guest))
    try:
        await guest.ended()
    finally:
        if watching is not None:
            watching.cancel()


def _loop() -> asyncio.AbstractEventLoop:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "run_engine is for asyncio, and none of its loops runs here: in trio it is"
            " trioq.Engine(app, config).run()"
        ) from None
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "trio runs in this thread already, for another engine, say: there is one at a time;"
            " App.include has one engine run the handlers of several apps"
        )
    return loop


async def _drained(drain: asyncio.Event, guest: _Guest) -> None:
    await drain.wait()
    guest.drain()


@attrs.define(eq=False)
class _Guest:
    """trio, with the engine and nothing else. All of it is called in the loop's thread."""

    _engine: Engine
    _started: asyncio.Event | None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _token: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)
    """Once it runs."""
    _is_drained: bool = attrs.field(default=False, init=False)
    _is_cancelled: bool = attrs.field(default=False, init=False)
    _over: asyncio.Future[outcome.Outcome[None]] = attrs.field(init=False)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._over = loop.create_future()
        trio.lowlevel.start_guest_run(
            self._run,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=loop.call_soon,
            done_callback=self._over.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )

    def drain(self) -> None:
        self._is_drained = True
        self._act()

    async def ended(self) -> None:
        """Wait for its end, whatever happens: trio can't be left where it is."""
        cancelled: asyncio.CancelledError | None = None
        while not self._over.done():
            try:
                await asyncio.wait([self._over])
            except asyncio.CancelledError as error:
                cancelled = error
                self._is_cancelled = True
                self._act()
        self._over.result().unwrap()
        if cancelled is not None:
            raise cancelled

    def _act(self) -> None:
        if self._token is not None:
            # What wakes trio's tasks has to be done in a turn of trio's.
            self._token.run_sync_soon(self._heed)

    def _heed(self) -> None:
        if self._is_drained:
            self._engine.drain()
        if self._is_cancelled:
            self._scope.cancel("the program has cancelled it")

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        host_loop.set(asyncio.get_running_loop())  # the engine's tasks inherit it
        self._heed()
        with self._scope:
            await self._engine.run(task_status=self)

    def started(self, value: Any = None) -> None:
        """Trio's word for it."""
        if self._started is not None:
            self._started.set()
