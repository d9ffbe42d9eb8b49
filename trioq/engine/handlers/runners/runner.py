"""One runner, as its engine sees it: from its start until it is reaped.

It leads a session of its own, so that a Ctrl-C in the terminal is the engine's to handle, and a
process group that ends as a whole. What it prints goes where the engine prints.

It lives as long as its engine: the line between them ends with the engine however that ends, and
where the system can, it kills the whole group then (see :func:`~.inside.die_with`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import weakref
from collections.abc import Callable, Sequence

import attrs
import trio

from trioq.core.board import Board
from trioq.core.forked import in_each_fork
from trioq.core.outcome import Error, Outcome
from trioq.engine.handlers.leader import Leader, if_nothing_is_left, signal_name
from trioq.engine.handlers.runners.ends import RunnerDied, RunnerRefused
from trioq.engine.handlers.runners.frames import ANSWER_BYTES, Frame, Garbled, Line, outcome_of

#: How long a runner may take to import the application.
START_S = 60.0

#: How long one that nobody needs any more has for what a program does at its end.
LEAVE_S = 5.0

#: What it said last may still be on its way when it has ended.
LINGER_S = 1.0


@attrs.frozen
class Launch:
    """How runners of an engine are started."""

    argv: Sequence[str]
    """The program; the numbers of its two descriptors are added."""
    first: Frame
    """What it is told first."""
    names: frozenset[str]
    """The handlers that it must have."""


@attrs.define(eq=False)
class Runner:
    """One process. Its task is :meth:`live`; whoever has been lent it calls the others."""

    _leader: Leader
    _line: Line
    _life: int
    """A pipe that nothing is ever written to."""
    is_fit: bool = True
    """Whether it can be given a job."""
    jobs: int = 0
    """How many it was given."""
    gone: trio.Event = attrs.field(factory=trio.Event)
    _until_told: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _hearing: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _said: trio.MemorySendChannel[Outcome] = attrs.field(init=False)
    _answers: trio.MemoryReceiveChannel[Outcome] = attrs.field(init=False)
    _code: int | None = None
    """As :meth:`Leader.reap` tells it."""
    _was_killed: bool = False
    _board: Callable[[], Board] | None = None
    _knows: bool = False
    """Whether it has been told all of its job."""

    def __attrs_post_init__(self) -> None:
        self._said, self._answers = trio.open_memory_channel[Outcome](1)
        _all.add(self)

    @property
    def pid(self) -> int:
        return self._leader.pid

    @classmethod
    async def live(
        cls, launch: Launch, *, task_status: trio.TaskStatus[Runner] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Start one, and see it off when it ends or is told to leave.

        ``task_status.started(runner)`` comes when it has imported the application.

        Raises:
          RunnerRefused: It can't be started, or lacks a handler.
          NothingLeft: There is nothing left to start it with.

        Cancellation: until it has started; it's killed then. Later it ends when it's told to.
        """
        runner = await cls._start(launch)
        try:
            hello = await runner._introduced(launch.first)
        except BaseException:
            await runner._end_now(0)
            raise
        if hello is None or (why := _why_not(hello, launch)):
            await runner._end_now(LINGER_S)
            if hello is None:
                why = f"{runner._how_it_ended().type} at its start"
            raise RunnerRefused(why, is_lifespan=bool(hello and hello.get("is_lifespan")))
        task_status.started(runner)
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(runner._hear)
                with runner._until_told:
                    await runner._leader.ended()
                await runner._see_off()
            await runner._line.stream.aclose()

    @classmethod
    async def _start(cls, launch: Launch) -> Runner:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
            with if_nothing_is_left():
                line, far = socket.socketpair()
                its.callback(far.close)
                ours.callback(line.close)
                lives, life = os.pipe()
                its.callback(os.close, lives)
                ours.callback(os.close, life)
            inherited = far.fileno(), lives
            try:
                leader = await Leader.start(
                    [*launch.argv, *map(str, inherited)], inherited=inherited
                )
            except (OSError, ValueError) as error:
                raise RunnerRefused(f"it can't be started: {error}") from error
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(line))
            ours.pop_all()
        return cls(leader, Line(stream, ANSWER_BYTES), life)

    async def _introduced(self, first: Frame) -> Frame | None:
        """What it says of itself; None: it has ended, or is about to."""
        with contextlib.suppress(trio.BrokenResourceError, Garbled):
            try:
                with trio.fail_after(START_S):
                    await self._line.send(first)
                    return await self._line.receive()
            except trio.TooSlowError:
                raise RunnerRefused(f"its start takes longer than {START_S:g} s") from None
        return None

    async def _end_now(self, patience_s: float) -> None:
        """Nobody was told of it yet."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(patience_s):
                await self._leader.ended()
            self._kill()
            await self._see_off()
            await self._line.stream.aclose()

    # -- for whoever has been lent it ------------------------------------------------------

    def is_alive(self) -> bool:
        """Whether it can be given a job now."""
        return self.is_fit and not self.gone.is_set() and not self._leader.has_ended()

    async def run(self, job: Frame, board: Callable[[], Board]) -> Outcome:
        """Have it run a job.

        Args:
          board: For what the handler says of how far it is; asked for when it says anything.

        Raises:
          RunnerDied: It ended meanwhile.

        Cancellation: it still runs it; see :meth:`stop`.
        """
        self.jobs += 1
        self.is_fit = self._knows = False
        self._board = board
        # A text in a text may be twice as long.
        self._line.most = ANSWER_BYTES + 2 * (job["result_bytes"] or 0)
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._line.send(job)
            self._knows = True
        outcome = await self._answer()
        if outcome is None:
            await self.gone.wait()
            raise RunnerDied(self._how_it_ended())
        self.is_fit = not self._until_told.cancel_called
        return outcome

    async def stop(self, patience_s: float, why: str | None) -> Outcome | None:
        """End the job that it runs, and then it. Isn't cancellable, and takes a bounded time.

        Args:
          why: What the handler is told.

        Returns:
          How the job ended; None: it had to be killed.
        """
        outcome = None
        with trio.CancelScope(shield=True):
            if self._knows:
                with trio.move_on_after(patience_s):
                    self._signal(signal.SIGTERM)
                    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                        await self._line.send({"cancel": why})
                    outcome = await self._answer()
            if outcome is None:
                self._kill()
                self.leave()
                await self.gone.wait()
        return outcome

    def leave(self) -> None:
        """It isn't needed any more."""
        self.is_fit = False
        self._until_told.cancel()

    async def _answer(self) -> Outcome | None:
        try:
            return await self._answers.receive()
        except trio.EndOfChannel:
            return None

    # -- its task --------------------------------------------------------------------------

    async def _hear(self) -> None:
        """Until it says no more, or something that isn't an answer."""
        with self._said, self._hearing:
            try:
                while (frame := await self._line.receive()) is not None:
                    if "said" in frame:
                        self._note(frame)
                    else:
                        self._said.send_nowait(outcome_of(frame))
            except (Garbled, trio.WouldBlock):
                self._was_killed = True  # which it is now
        self.leave()

    def _note(self, said: Frame) -> None:
        if self._board is None:
            raise Garbled
        try:
            self._board().copy(**said)
        except Exception:  # of whatever it says
            raise Garbled from None

    async def _see_off(self) -> None:
        """End it, and what its jobs have left in its group. Runs shielded."""
        self.is_fit = False
        with contextlib.suppress(OSError):
            self._line.stream.socket.shutdown(socket.SHUT_WR)
        self._signal(signal.SIGTERM)
        with trio.move_on_after(LEAVE_S):
            await self._leader.ended()
        if self._leader.is_running:
            self._kill()
            await self._leader.ended()
        self._signal(signal.SIGKILL)
        self._hearing.deadline = trio.current_time() + LINGER_S
        self._code = self._leader.reap()
        self._leader.close()
        _all.discard(self)
        os.close(self._life)
        self.gone.set()

    def _kill(self) -> None:
        self._was_killed |= self._leader.is_running
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self.gone.is_set():
            self._leader.signal_group(number)

    def _how_it_ended(self) -> Error:
        code = self._code
        if self._was_killed:
            kind, said = "killed", "it no longer answered its engine, and was killed"
        elif code is None:
            kind, said = "exit unknown", "how its process ended isn't known"
        elif code >= 0:
            kind, said = f"exit {code}", "its process ended before the handler did"
        else:
            kind, said = f"killed by {signal_name(-code)}", "its process was killed"
        return Error(kind, said, kind="runner")


def _why_not(hello: Frame, launch: Launch) -> str:
    """Why such a runner is of no use; empty: it is."""
    if "refused" in hello:
        return str(hello["refused"])
    missing = launch.names - set(hello.get("names", ()))
    if not missing:
        return ""
    app, names = ", ".join(launch.first["app"]), ", ".join(sorted(missing))
    return (
        f"importing {app} doesn't register {names}: what"
        " runs in a process of its own is registered when the module of the app is imported; not"
        " in __main__, and not in a function that is called later"
    )


_all: weakref.WeakSet[Runner] = weakref.WeakSet()


def _in_child() -> None:
    """A fork of the engine doesn't keep the runners of a dead engine alive."""
    if not _all:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for runner in _all:
        # Not closed: those who think that these are theirs close them a second time.
        os.dup2(nothing, runner._life)
        os.dup2(nothing, runner._line.stream.socket.fileno())
    os.close(nothing)


in_each_fork(_in_child)
