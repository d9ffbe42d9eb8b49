"""One program: started, watched without being reaped, and reaped once.

The standard library and trio tell an exit status that somebody else took as 0. Here it is
known or it isn't: others in this process may wait for all children, or have SIGCHLD ignored,
and then the system keeps no status.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import NoReturn

import attrs
import trio

from trioq.core.wants import NothingLeft, want_of

#: Between two looks at a program, where the system has no descriptor of it for us.
LOOK_S = 0.02


@attrs.define
class Leader:
    """A program that leads a session and a process group of its own."""

    pid: int
    stdout: trio.abc.ReceiveStream
    stderr: trio.abc.ReceiveStream
    _popen: subprocess.Popen[bytes]
    _pidfd: int | None
    is_running: bool = True

    @classmethod
    async def start(cls, argv: Sequence[str], *, cwd: str | None, env: Mapping[str, str]) -> Leader:
        """Start it, fed nothing. Close it in the end.

        Raises:
          NothingLeft: There are no descriptors, processes, threads or memory for it.
          OSError, ValueError: It can't be started for another reason.

        Cancellation: before it starts; not while it does.
        """
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
            try:
                (stdout, to_stdout), (stderr, to_stderr) = _pipe(ours, its), _pipe(ours, its)
                popen = await trio.to_thread.run_sync(_popen, argv, cwd, env, to_stdout, to_stderr)
            except (OSError, RuntimeError, MemoryError) as error:
                _refuse(error)
            ours.pop_all()
        streams = trio.lowlevel.FdStream(stdout), trio.lowlevel.FdStream(stderr)
        return cls(popen.pid, *streams, popen, _descriptor_of(popen.pid))

    def close(self) -> None:
        """It's reaped, and its streams are closed by those who read them."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self.is_running and self._pidfd is not None:
            await trio.lowlevel.wait_readable(self._pidfd)
        elif self.is_running:
            while not self._has_ended():  # noqa: ASYNC110  # nobody sets an event
                await trio.sleep(LOOK_S)
        self.is_running = False

    def signal_group(self, number: signal.Signals) -> None:
        """Signal all that is left of the group, if the number surely is still the group's."""
        with contextlib.suppress(ChildProcessError, ProcessLookupError, PermissionError):
            self._wait(os.WNOHANG | os.WNOWAIT)
            os.killpg(self.pid, number)

    def reap(self) -> int | None:
        """Its exit code; negative: the signal that killed it. None: nobody can know it.

        It has ended.
        """
        try:
            status = self._wait(os.WNOHANG)
        except ChildProcessError:
            status = None
        code = None
        if status is not None:
            exited = status.si_code == os.CLD_EXITED
            code = status.si_status if exited else -status.si_status
        self._popen.returncode = code or 0  # so that it doesn't go on to look after it
        return code

    def _has_ended(self) -> bool:
        try:
            return self._wait(os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _wait(self, options: int) -> os.waitid_result | None:
        """By its descriptor where there is one: a number may be another child's by now."""
        if self._pidfd is not None:
            return os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | options)
        return os.waitid(os.P_PID, self.pid, os.WEXITED | options)


def _popen(
    argv: Sequence[str], cwd: str | None, env: Mapping[str, str], stdout: int, stderr: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        start_new_session=True, cwd=cwd, env=env,
    )  # fmt: skip


def _pipe(ours: contextlib.ExitStack, its: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    ours.callback(os.close, read)
    its.callback(os.close, write)
    return read, write


def _descriptor_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, forbidden, or no descriptors left
        return None


def _refuse(error: Exception) -> NoReturn:
    if (want := want_of(error)) is not None:
        raise NothingLeft(want) from None
    raise error
