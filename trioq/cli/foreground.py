"""One attempt in the foreground: a handler is called as an engine calls it, and nothing is claimed.

There is no timeout and nobody who would cancel it, so it may stand in a debugger for as long as one
likes. It runs in the main thread's loop; ``def`` handlers and those of asyncio run where they do in
an engine, in a thread. A handler that has a process of its own there runs in this one.
"""

from __future__ import annotations

import bdb
import pdb
from collections.abc import Mapping

import attrs
import trio

from trioq.app import App
from trioq.client.of_engine import EngineClients
from trioq.core.config import Config
from trioq.core.events import Report
from trioq.core.job import Job
from trioq.core.outcome import Failed, Outcome, Succeeded
from trioq.engine.handlers import Handler, Lifespans
from trioq.engine.handlers.describe import leaves_of, traceback_of, without_caller
from trioq.engine.handlers.ending import carried, outcome_of
from trioq.engine.handlers.grace import NoPatience
from trioq.engine.nurseries import plain_errors
from trioq.registry import registry


@attrs.frozen
class Attempt:
    """How one went."""

    outcome: Outcome | None
    """None: Ctrl-C has ended it."""
    took_s: float
    log: tuple[str, ...] = ()
    """What its handler has logged with ``job.log``."""


@attrs.define(eq=False)
class Foreground:
    """Handlers that run here, one call at a time.

    Args:
      app: Its lifespans are entered, all of them: whatever a handler shares is here.
      report: Is told of lifespans that are slow, or fail.
      debugs: Whether a debugger is started where a handler has failed.
    """

    config: Config
    app: App
    report: Report
    debugs: bool = False
    lifespans: Lifespans = attrs.field(init=False)
    handlers: Mapping[str, Handler] = attrs.field(init=False)

    @lifespans.default
    def _find_lifespans(self) -> Lifespans:
        return Lifespans(self.app.lifespans)

    @handlers.default
    def _find_handlers(self) -> Mapping[str, Handler]:
        return registry(self.app, self.config, lifespans=self.lifespans, apart=False)

    async def run(self, job: Job) -> Attempt:
        """Enter what its handler shares, call it, leave.

        Raises:
          LifespanError: One of the app's failed.
        """
        clients = EngineClients(lambda: self.config, self.app.handlers)
        loop = self.lifespans.loop
        with plain_errors(), clients.there(lambda: loop.here):
            async with trio.open_nursery() as nursery:
                failed = None
                try:
                    await self.lifespans.enter(nursery, trio.Event(), self.report)
                    attempt = await self._call(self.handlers[job.name], job)
                finally:
                    failed = await self.lifespans.leave(self.report)
                    await loop.close(self.report)
                if failed is not None:
                    raise failed
        return attempt

    async def _call(self, handler: Handler, job: Job) -> Attempt:
        if handler.shared is not None:
            job._share(handler.shared)
        began, threads = trio.current_time(), trio.CapacityLimiter(1)
        outcome: Outcome | None
        try:
            # Without the engine's protection: a Ctrl-C comes up in the handler's own code.
            outcome = Succeeded(await handler.run(job, threads, NoPatience()))
        except trio.Cancelled:
            raise
        except BaseException as error:
            leaves = leaves_of(error)
            if any(type(leaf) is KeyboardInterrupt for leaf in leaves):
                outcome = None
            else:
                outcome = outcome_of(carried(without_caller(error)), handler.errors)
                # Who has left the prompt of a breakpoint wants no other.
                is_left = isinstance(leaves[0], bdb.BdbQuit)
                if self.debugs and isinstance(outcome, Failed) and not is_left:
                    _debug(leaves[0])
        took_s = trio.current_time() - began
        board = job._board
        return Attempt(outcome, took_s, () if board is None else board.lines)


def _debug(error: BaseException) -> None:
    if (traceback := traceback_of(error)) is not None:
        pdb.post_mortem(traceback)
