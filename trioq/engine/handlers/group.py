"""A program in a process group of its own: fed nothing, drained, ended as a whole.

The group is what makes an end complete: the program's own children are in it, unless they
left it on purpose (``setsid``). Signals go to the group only while its leader isn't reaped:
a zombie keeps its number, so that the number can't have been given to strangers meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

import attrs
import trio

from trioq.engine.handlers.leader import Leader, if_nothing_is_left

#: What is kept of a program's output, from its end.
TAIL_BYTES = 8192

#: What the program left behind may hold its output open; that isn't waited for longer.
LINGER_S = 1.0


@attrs.frozen
class Ended:
    """How a program ended."""

    code: int | None
    """Its exit code; negative: the signal that killed it; None: nobody can know it."""
    stdout: str
    """At most the last 8 kB."""
    stderr: str


async def run_group(
    argv: Sequence[str], *, cwd: str | None, env: Mapping[str, str], kill_after_s: float
) -> Ended:
    """Run a program until it has ended, and all that it left behind in its group.

    Args:
      kill_after_s: How long the group has between SIGTERM and SIGKILL when it's cancelled.

    Raises:
      NothingLeft: There is nothing left to start it with.
      OSError, ValueError: It can't be started for another reason.

    Cancellation: the group gets SIGTERM, then SIGKILL, and the leader is reaped; up to
    ``kill_after_s`` later :exc:`trio.Cancelled` comes out. Its output is read until then,
    so that it isn't stopped from ending by a full pipe.
    """
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
        with if_nothing_is_left():
            (from_stdout, to_stdout), (from_stderr, to_stderr) = _pipe(ours, its), _pipe(ours, its)
        leader = await Leader.start(argv, cwd=cwd, env=env, stdout=to_stdout, stderr=to_stderr)
        ours.pop_all()
    with contextlib.closing(leader):
        stdout, stderr = _Output.of(from_stdout), _Output.of(from_stderr)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stdout.read)
            nursery.start_soon(stderr.read)
            try:
                await leader.ended()
            finally:
                with trio.CancelScope(shield=True):
                    code = await _end(leader, (stdout, stderr), kill_after_s)
    return Ended(code, stdout.text(), stderr.text())


async def _end(leader: Leader, outputs: Sequence[_Output], kill_after_s: float) -> int | None:
    """See the whole group off. Isn't cancellable: runs shielded, and takes a bounded time."""
    patience_s = LINGER_S
    if leader.is_running:
        leader.signal_group(signal.SIGTERM)
        patience_s = kill_after_s
    with trio.move_on_after(patience_s):
        await leader.ended()
        for output in outputs:
            await output.ended.wait()
    leader.signal_group(signal.SIGKILL)
    await leader.ended()
    for output in outputs:
        output.scope.cancel()
    return leader.reap()


@attrs.define
class _Output:
    """The end of a stream, in bounded memory. Read until all its writers are gone, or stopped."""

    stream: trio.abc.ReceiveStream
    scope: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True))
    ended: trio.Event = attrs.field(factory=trio.Event)
    _tail: bytearray = attrs.field(factory=bytearray)

    @classmethod
    def of(cls, descriptor: int) -> _Output:
        return cls(trio.lowlevel.FdStream(descriptor))

    async def read(self) -> None:
        with self.scope:
            async with self.stream:
                while chunk := await self.stream.receive_some(65536):
                    self._tail += chunk
                    del self._tail[:-TAIL_BYTES]
        self.ended.set()

    def text(self) -> str:
        """What is kept, as text; what isn't UTF-8 is escaped."""
        return self._tail.decode("utf-8", "backslashreplace")


def _pipe(ours: contextlib.ExitStack, its: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    ours.callback(os.close, read)
    its.callback(os.close, write)
    return read, write
