"""A failure, as it is told to those who have asked an app to hear of them."""

from __future__ import annotations

import attrs

from trioq.core.job import Job


@attrs.frozen(eq=False)
class Failure:
    """An attempt that has failed, when it is decided what becomes of its job."""

    job: Job
    error: BaseException | None
    """What the handler raised: the one in a group of one. None where there is no such object: it
    took too long, or it ran in a process of its own."""
    text: str
    """``ValueError: no such file``: as in the job's history."""
    traceback: str = attrs.field(repr=False)
    """Likewise; may be empty."""
    dies: bool
    """Whether there will be no other attempt."""
    retry_in: float | None
    """In how many seconds there will be another. None: never; the job dies, or is cancelled because
    that would be after its deadline."""
