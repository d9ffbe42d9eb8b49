"""The job that runs here, for who asks: handlers, log lines, and clients that handlers use."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

from trioq.core.job import Job


class Lazy(Protocol):
    """Makes the job when somebody asks for it."""

    @property
    def deadline_ms(self) -> int | None: ...
    def __call__(self) -> Job: ...


running_job: ContextVar[Job | Lazy] = ContextVar("trioq_job")
"""Set in the context of each run, so that all tasks and threads of a handler inherit it."""


def job_here() -> Job | None:
    """The job that runs here; None: none does."""
    job = running_job.get(None)
    return job if job is None or isinstance(job, Job) else job()


def deadline_here() -> int | None:
    """The deadline of the job that runs here, as epoch ms; None: it has none, or none runs."""
    job = running_job.get(None)
    return None if job is None else job.deadline_ms


def waits_here(queues: Iterable[str]) -> AbstractContextManager[None]:
    """While this lasts, the job that runs here, if one does, waits for the ends of jobs in these
    queues: its engine knows then that its worker can't go on."""
    job = job_here()
    return nullcontext() if job is None else job._on_board().waits(queues)
