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
from collections.abc import Iterator, Mapping, Sequence

import attrs
import trio

from trioq.core.wants import NothingLeft, want_of

#: Between two looks at a program, where the system has no descriptor of it for us.
LOOK_S = 0.02


@attrs.define
class Leader:
    """A program that leads a session and a process group of its own."""

    pid: int
    _popen: subprocess.Popen[bytes]
    _pidfd: int | None
    is_running: bool = True

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        inherited: Sequence[int] = (),
    ) -> Leader:
        """Start it, fed nothing. Close it in the end.

        Args:
          env: None: that of this process; likewise where it writes to.
          inherited: Descriptors that it has under the same numbers.

        Raises:
          NothingLeft: There are no descriptors, processes, threads or memory for it.
          OSError, ValueError: It can't be started for another reason.

        Cancellation: before it starts; not while it does.
        """

        def popen() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                start_new_session=True, cwd=cwd, env=env, pass_fds=inherited,
            )  # fmt: skip

        with if_nothing_is_left():
            started = await trio.to_thread.run_sync(popen)
        return cls(started.pid, started, _descriptor_of(started.pid))

    def close(self) -> None:
        """It's reaped."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self.is_running and self._pidfd is not None:
            await trio.lowlevel.wait_readable(self._pidfd)
        elif self.is_running:
            while not self.has_ended():  # noqa: ASYNC110  # nobody sets an event
                await trio.sleep(LOOK_S)
        self.is_running = False

    def signal_group(self, number: signal.Signals) -> None:
        """Signal all that is left of the group, if the number surely is still the group's."""
        with contextlib.suppress(ChildProcessError, ProcessLookupError, PermissionError):
            self._wait(os.WNOHANG | os.WNOWAIT)
            os.killpg(self.pid, number)

    def has_ended(self) -> bool:
        """Whether it has, by now."""
        try:
            return self._wait(os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

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

    def _wait(self, options: int) -> os.waitid_result | None:
        """By its descriptor where there is one: a number may be another child's by now."""
        if self._pidfd is not None:
            return os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | options)
        return os.waitid(os.P_PID, self.pid, os.WEXITED | options)


def _descriptor_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, forbidden, or no descriptors left
        return None


@contextlib.contextmanager
def if_nothing_is_left() -> Iterator[None]:
    """Raise :exc:`NothingLeft` for what is raised where there is nothing left for a process."""
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        if (want := want_of(error)) is not None:
            raise NothingLeft(want) from None
        raise


def signal_name(number: int) -> str:
    """``SIGKILL``, say."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
