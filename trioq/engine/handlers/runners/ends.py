"""How a run in a runner ends, as what the engine's side of it raises."""

from __future__ import annotations

from trioq.core.outcome import Error, Outcome
from trioq.engine.handlers.describe import MESSAGE_BYTES, clip


class Ended(Exception):
    """The runner has told how it ended: as it would have ended in the engine."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__()


class RunnerDied(Exception):
    """The runner ended, and not because it was to."""

    def __init__(self, error: Error) -> None:
        self.error = error
        super().__init__(error.message)


class RunnerRefused(RunnerDied):
    """A runner can't be started."""

    def __init__(self, why: str, *, is_lifespan: bool = False) -> None:
        super().__init__(Error("can't start", clip(why, MESSAGE_BYTES), kind="runner"))
        self.why = why
        self.is_lifespan = is_lifespan
        """Whether what its handlers share can't be made there."""


class RunnerKilled(BaseException):
    """The run was cancelled, and its runner had to be killed."""
