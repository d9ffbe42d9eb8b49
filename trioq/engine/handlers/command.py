"""A program as a handler, without a shell.

Each element of ``argv`` makes exactly one argument, whatever the payload holds. The program
runs in a process group of its own, which is ended as a whole when its time is up.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from trioq.core.job import Job
from trioq.core.outcome import DeadReason, Error
from trioq.core.retry import Retry
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.function import LeaseLoss

#: sysexits.h: a temporary failure, the caller is invited to try again.
EX_TEMPFAIL = 75

#: What is kept of a program's output, from its end.
TAIL_BYTES = 8192

#: How long a process group has between SIGTERM and SIGKILL.
KILL_AFTER_S = 5.0

#: Something that the program left behind may hold its output open; it isn't waited for longer.
LINGER_S = 1.0

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


class CommandFailed(Exception):
    """The program ended, and not well."""

    def __init__(self, error: Error, permanent: DeadReason | None = None) -> None:
        self.error = error
        self.permanent = permanent
        super().__init__(error.message)


@attrs.frozen(eq=False)
class Command:
    """A configured program under a name."""

    name: str
    argv: tuple[str, ...]
    queue: str | None = None
    timeout_s: float | None = None
    retry: Retry | None = None
    permanent_exit_codes: tuple[int, ...] = ()
    cwd: str | None = None
    env: Mapping[str, str] = attrs.field(factory=dict[str, str])
    on_lease_loss: LeaseLoss = "continue"

    def arguments(self, payload: Mapping[str, Any]) -> list[str]:
        """The program and its arguments for this payload.

        Raises:
          BadPayload: A placeholder's field is missing, or isn't a plain value.
        """
        faults: list[str] = []

        def fill(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            value = payload.get(match[1])
            if isinstance(value, bool):
                value = "true" if value else "false"
            if not isinstance(value, str | int | float):
                got = f"got {type(value).__name__}" if match[1] in payload else "missing"
                faults.append(f"{match[1]}: expected a string or a number, {got}")
                return ""
            if "\0" in str(value):
                faults.append(f"{match[1]}: a NUL can't be in an argument")
            return str(value)

        filled = [_PLACEHOLDER.sub(fill, element) for element in self.argv]
        if faults:
            raise BadPayload("; ".join(dict.fromkeys(faults)))
        return filled

    async def run(self, job: Job, threads: trio.CapacityLimiter) -> dict[str, Any]:
        """Run the program with the job's payload.

        Raises:
          BadPayload: The arguments can't be made.
          CommandFailed: It can't be started, or its exit code isn't 0.

        Cancellation: SIGTERM to its process group, then SIGKILL; it is always waited for.
        """
        argv = self.arguments(job.payload)
        env = {
            **os.environ,
            "TRIOQ_JOB_ID": job.id or job.uid,
            "TRIOQ_JOB_ATTEMPT": str(job.attempt),
            "TRIOQ_JOB_TOKEN": job.token,
            **self.env,
        }
        try:
            process = await trio.lowlevel.open_process(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd=self.cwd,
                env=env,
            )
        except OSError as error:
            message = f"{argv[0]}: {error.strerror or error}"
            raise CommandFailed(Error("can't start", message)) from None
        out, err = _Tail(), _Tail()
        try:
            async with trio.open_nursery() as pipes:
                pipes.start_soon(out.read, process.stdout)
                pipes.start_soon(err.read, process.stderr)
                await process.wait()
                pipes.cancel_scope.deadline = trio.current_time() + LINGER_S
        finally:
            await _end_group(process)
        return self._judge(process.returncode, out.text(), err.text())

    def _judge(self, code: int | None, out: str, err: str) -> dict[str, Any]:
        if code == 0:
            return {"exit": 0, "stdout": out}
        assert code is not None
        if code < 0:
            raise CommandFailed(Error(f"killed by {_signal_name(-code)}", err, ""))
        permanent: DeadReason | None = "gave_up" if code in self.permanent_exit_codes else None
        kind = "exit 75 (try again)" if code == EX_TEMPFAIL else f"exit {code}"
        raise CommandFailed(Error(kind, err[-1000:], err), permanent)


@attrs.define
class _Tail:
    """The end of a stream, in bounded memory."""

    data: bytearray = attrs.field(factory=bytearray)

    async def read(self, stream: trio.abc.ReceiveStream | None) -> None:
        assert stream is not None
        async with stream:
            while chunk := await stream.receive_some(65536):
                self.data += chunk
                del self.data[:-TAIL_BYTES]

    def text(self) -> str:
        return self.data.decode("utf-8", "backslashreplace")


async def _end_group(process: trio.Process) -> None:
    """End what is left of a process group, and wait for its leader."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            with trio.move_on_after(KILL_AFTER_S):
                await process.wait()
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended by itself
        os.killpg(pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
