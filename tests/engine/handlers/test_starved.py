"""What an engine is itself short of costs no attempt of a job."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import trio

from tests.engine.handlers.attempts import BOTH, job_with, raising
from tests.engine.handlers.attempts import failure_of as failure_of_function
from tests.engine.handlers.attempts import outcome_of as outcome_of_function
from tests.engine.handlers.programs import failure_of, outcome_of, shell
from tests.engine.rig import Rig, config_of
from trioq.core.convert import CONVERTER
from trioq.core.events import JobDied, JobFailed, JobReleased, JobSucceeded, RunStarved
from trioq.core.outcome import Outcome, Starved, Succeeded
from trioq.core.wants import NothingLeft


@contextlib.contextmanager
def spare(descriptors: int) -> Iterator[None]:
    """So many more descriptors can be opened."""
    free = [os.open("/", os.O_RDONLY) for _ in range(descriptors + 1)]
    for descriptor in free:
        os.close(descriptor)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def no_new_threads() -> Iterator[None]:
    """Each would need a stack that is larger than memory can be."""
    size = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(size)


@pytest.mark.trio
async def test_what_is_wanting_when_the_time_is_up_is_no_attempt_either(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """To start a thread or a program can take long, where there is little left."""

    async def handler() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(2.0)
        raise NothingLeft("processes")

    assert await outcome_of_function(handler, timeout_s=1.0) == Starved("processes")


@pytest.mark.trio
async def test_without_descriptors_a_program_does_not_start_or_runs_as_ever() -> None:
    """With none to spare, one, two, …: some are enough to start it, but not to watch it well."""
    outcomes: list[Outcome] = []
    before = os.listdir("/proc/self/fd")

    for descriptors in range(12):
        with spare(descriptors):
            outcomes.append(await outcome_of(shell("echo hello")))

    descriptors = outcomes.index(Succeeded({"exit": 0, "stdout": "hello\n"}))
    assert 4 < descriptors < 11
    assert outcomes[descriptors:] == [outcomes[descriptors]] * (12 - descriptors)
    for outcome in outcomes[:descriptors]:
        assert isinstance(outcome, Starved), outcome
        assert outcome.want.startswith("file descriptors (this process")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.trio
async def test_a_program_without_a_descriptor_to_watch_it_by_ends_as_it_says() -> None:
    for descriptors in range(12):
        with spare(descriptors):
            outcome = await outcome_of(shell("sleep 0.1; exit 3"))
        if not isinstance(outcome, Starved):
            break

    assert outcome.error.type == "exit 3"  # type: ignore[union-attr]


@pytest.mark.trio
async def test_without_threads_neither_a_function_nor_a_program_starts() -> None:
    limiter, release = trio.CapacityLimiter(100), threading.Event()
    outcomes: list[Outcome] = []

    async def wait() -> None:
        outcomes.append(await outcome_of_function(partial(release.wait), threads=limiter))

    with no_new_threads():
        async with trio.open_nursery() as nursery:
            while not outcomes:  # first those that idle in trio's cache are taken
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
            command = await outcome_of(shell("true"))
            release.set()

    assert isinstance(outcomes[0], Starved)
    assert outcomes[0].want.startswith("threads")
    assert isinstance(command, Starved)
    assert limiter.borrowed_tokens == 0


class Huge:
    def __init__(self, value: str) -> None:
        raise MemoryError


@pytest.mark.trio
async def test_want_of_memory_for_the_arguments_is_not_the_payloads_fault() -> None:
    async def handler(what: Huge) -> None: ...

    CONVERTER.register_structure_hook(Huge, lambda value, _: Huge(value))
    assert await outcome_of_function(handler, job_with(what="x")) == Starved("memory")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "no more"),
        OSError(errno.ENOMEM, "no more"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
)
@BOTH
@pytest.mark.trio
async def test_what_a_handlers_own_code_is_short_of_is_its_failure(
    kind: Any, error: BaseException
) -> None:
    failed = await failure_of_function(kind(raising(error)))

    assert failed.error.type == type(error).__name__
    assert failed.permanent is None


@pytest.mark.direct  # a lost connection is made anew, in a thread that can't start here
@pytest.mark.trio
async def test_a_job_that_could_not_start_has_lost_no_attempt(rig: Rig) -> None:
    """It was given back and runs as soon as there is a thread again."""
    release = threading.Event()
    rig.config = config_of(count=40)
    rig.app.job("wait")(release.wait)

    async with rig.running():
        uids = rig.enqueue("wait", 1)  # from here on there is a connection
        with no_new_threads():
            uids += rig.enqueue("wait", 39)
            await rig.reported(RunStarved)
        release.set()
        await rig.reported(JobSucceeded, len(uids))

    assert rig.of(RunStarved)[0].want.startswith("threads")
    assert rig.of(JobReleased)
    assert rig.of(JobFailed) == rig.of(JobDied) == []


# -- an exit status that nobody can know ---------------------------------------------------------


@pytest.mark.parametrize("script", ["exit 3", "exit 0"])
@pytest.mark.trio
async def test_where_children_are_ignored_no_program_is_told_as_done(script: str) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        failed = await failure_of(shell(script))
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert failed.error.type == "exit unknown"
    assert "SIGCHLD is ignored" in failed.error.message
    assert failed.permanent is None


@pytest.mark.parametrize("script", ["exit 3", "exit 0"])
@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.trio
async def test_where_somebody_else_reaps_children_no_program_is_told_as_done(
    watched: bool, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program leaves behind holds its output for a moment, time enough to reap it."""
    if not watched:
        monkeypatch.delattr(os, "pidfd_open")

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass

    before = signal.signal(signal.SIGCHLD, reap)
    try:
        failed = await failure_of(shell(f"sleep 0.3 & {script}"))
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert failed.error.type == "exit unknown"
    assert "waits for all its children" in failed.error.message
