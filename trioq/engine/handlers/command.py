"""A program as a handler, without a shell.

Each element of ``argv`` makes exactly one argument, whatever the payload holds: a value can't
become two arguments, nor a redirection. It can still look like an option (``--output=x``),
so a template that takes values from strangers has ``--`` before them.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import trio

from trioq.core.blame import PLAIN_ERRORS, Errors
from trioq.core.flow import Limit
from trioq.core.formats.record import TRACE
from trioq.core.job import Job
from trioq.core.outcome import DeadReason, Error
from trioq.core.retry import Retry
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.describe import MESSAGE_BYTES, clip, clip_front
from trioq.engine.handlers.function import LeaseLoss
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.group import TAIL_BYTES, Ended, run_group
from trioq.engine.handlers.leader import signal_name

#: sysexits.h: a temporary failure, the caller is invited to try again.
EX_TEMPFAIL = 75

#: Where our own configuration, passwords too, may stand in the environment.
OURS = "TRIOQ_"

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


class CommandFailed(Exception):
    """The program couldn't be started, or ended, and not well."""

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
    env: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    on_lease_loss: LeaseLoss = "continue"
    result_s: ClassVar[float | None] = None
    """What it returns is kept where its job asks for that."""
    errors: ClassVar[Errors] = PLAIN_ERRORS
    limits: ClassVar[tuple[Limit, ...]] = ()
    id_from: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[None] = None

    @property
    def fields(self) -> frozenset[str]:
        """Those that its payloads need."""
        found = (match[1] for each in self.argv for match in _PLACEHOLDER.finditer(each))
        return frozenset(field for field in found if field is not None)

    def arguments(self, payload: Mapping[str, Any]) -> list[str]:
        """The program and its arguments for this payload. Fields that aren't named are ignored.

        Raises:
          BadPayload: A placeholder's field is missing, or can't be an argument.
        """
        faults: dict[str, None] = {}  # a set that keeps its order

        def fill(match: re.Match[str]) -> str:
            field = match[1]
            if field is None:
                return match[0][0]
            if field not in payload:
                faults[f"missing: {field}"] = None
                return ""
            try:
                return _argument(payload[field])
            except ValueError as error:
                faults[f"{field}: {error}"] = None
                return ""

        filled = [_PLACEHOLDER.sub(fill, element) for element in self.argv]
        if faults:
            raise BadPayload.of(list(faults))
        return filled

    async def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Any:
        """Run the program with the job's payload.

        Raises:
          BadPayload: The arguments can't be made.
          CommandFailed: It can't be started, or its exit code isn't 0, or nobody can know it.
          NothingLeft: There is nothing left to start it with.

        Cancellation: see :func:`~trioq.engine.handlers.group.run_group`.
        """
        argv = self.arguments(job.payload)
        try:
            ended = await run_group(
                argv, cwd=self.cwd, env=self._environment(job), kill_after_s=grace.grace_s
            )
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise BadPayload("its arguments are longer than the system takes") from None
            # Not permanent: the next deployment may bring the program.
            what = f"{error.filename or argv[0]}: {error.strerror or error}"
            told = Error("can't start", clip(what, MESSAGE_BYTES), kind="command")
            raise CommandFailed(told) from None
        except ValueError as error:  # a NUL in the caller's id
            raise BadPayload(f"it can't be handed over: {error}") from None
        return self._judge(ended)

    def _environment(self, job: Job) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        if job.trace:
            # The engine's own place in a trace, if it was started in one, isn't the job's.
            inherited = {k: v for k, v in inherited.items() if k.lower() not in TRACE}
        return {
            **inherited,
            "TRIOQ_JOB_ID": job.id or job.uid,
            "TRIOQ_JOB_ATTEMPT": str(job.attempt),
            "TRIOQ_JOB_TOKEN": job.token,
            **({} if job.deadline is None else {"TRIOQ_JOB_DEADLINE": job.deadline.isoformat()}),
            **{name.upper(): value for name, value in job.trace.items()},
            **self.env,
        }

    def _judge(self, ended: Ended) -> dict[str, Any]:
        code = ended.code
        if code is None:
            raise CommandFailed(Error("exit unknown", _who_took_it(), kind="command"))
        if code == 0:
            return {"exit": 0, "stdout": ended.stdout}
        said = ended.stderr.rstrip().rpartition("\n")[2].strip() or "nothing on its stderr"
        kind = f"exit {code}" if code > 0 else f"killed by {signal_name(-code)}"
        permanent: DeadReason | None = "gave_up" if code in self.permanent_exit_codes else None
        if code == EX_TEMPFAIL and permanent is None:
            said = f"it asks to be tried again: {said}"
        error = Error(
            kind, clip(said, MESSAGE_BYTES), clip_front(ended.stderr, TAIL_BYTES), kind="command"
        )
        raise CommandFailed(error, permanent)


def _argument(value: Any) -> str:
    """A field of the payload as text; raises ValueError where it can't be."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        kinds = {dict: "an object", list: "a list", type(None): "null"}
        got = kinds.get(type(value), type(value).__name__)
        raise ValueError(f"expected a string, a number, true or false, got {got}")
    text = str(value)
    if "\0" in text:
        raise ValueError("a NUL can't be in an argument")
    os.fsencode(text)  # UnicodeEncodeError is a ValueError
    return text


def _who_took_it() -> str:
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        return "how it ended isn't known: SIGCHLD is ignored in this process"
    return "how it ended isn't known: something else in this process waits for all its children"
