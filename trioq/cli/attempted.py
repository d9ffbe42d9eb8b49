"""What is told of an attempt that was made here, and of what an engine would make of it."""

from __future__ import annotations

import json
import random
from typing import Any

import attrs
import click

from trioq.cli import FAILED, INTERRUPTED
from trioq.cli.common import note, show_json
from trioq.cli.foreground import Attempt
from trioq.cli.screen import plain
from trioq.core import retry
from trioq.core.duration import roughly
from trioq.core.job import Job
from trioq.core.keep import Keep, Kept
from trioq.core.outcome import Failed, Snoozed, Succeeded

#: Nobody keeps it, so it may be as large as it is.
ANY_BYTES = 1 << 40


@attrs.frozen
class Told:
    """How it went, in words and as JSON.

    Args:
      job: What its handler found.
      again: When it would be tried again.
      most: So many bytes of a result an engine would keep; None: it wouldn't keep any.
    """

    job: Job
    went: Attempt
    again: retry.Retry
    most: int | None
    verdict: retry.Verdict | None = attrs.field(init=False)
    """What an engine would make of it; None: it was interrupted."""
    kept: Kept | None = attrs.field(init=False)
    """What it returned; None: it didn't."""

    @verdict.default
    def _decide(self) -> retry.Verdict | None:
        if self.went.outcome is None:
            return None
        attempt = self.job.attempt
        return retry.decide(
            self.went.outcome, attempt=attempt, retry=self.again, random=random.random()
        )

    @kept.default
    def _write(self) -> Kept | None:
        outcome = self.went.outcome
        return Keep(0, ANY_BYTES).kept(outcome.result) if isinstance(outcome, Succeeded) else None

    @property
    def code(self) -> int:
        """The exit code."""
        if self.went.outcome is None:
            return INTERRUPTED
        return FAILED if self.kept is None else 0

    @property
    def how(self) -> str:
        """In a word."""
        match self.went.outcome:
            case None:
                return "interrupted"
            case Succeeded():
                return "done"
            case Snoozed():
                return "snoozed"
        return "failed"

    # -- for people ----------------------------------------------------------------------------

    def show(self) -> None:
        """Print it."""
        for line in self.went.log:
            note(f"log: {plain(line)}")
        if isinstance(failed := self.went.outcome, Failed):
            if failed.error.traceback:
                click.echo("Traceback (most recent call last):", err=True)
                click.echo(plain(failed.error.traceback, lines=True), err=True)
            else:
                note(f"{failed.error.type}: {plain(failed.error.message)}")
        then = self._then()
        note(f"{self.how} in {self.went.took_s:,.3f} s" + (f"; {then}" if then else ""))
        if (kept := self.kept) is not None:
            if why_not := self._why_not(kept):
                note(why_not)
            if not kept.why_not:
                show_json(json.loads(kept.value))

    def _then(self) -> str:
        match self.verdict:
            case retry.RetryIn(delay_ms, error):
                again = f"an engine would run it again in about {roughly(delay_ms / 1000)}"
                counted = f"attempt {self.job.attempt} of {self.again.max_attempts}"
                return again + (f" ({counted})" if error else "")
            case retry.Dead(reason):
                return f"in an engine its job would be dead now: {reason}"
            case retry.Release():
                return "an engine would give its job back"
        return ""

    def _why_not(self, kept: Kept) -> str:
        if kept.why_not:
            return f"what it returned is no JSON, so no engine can keep it: {plain(kept.why_not)}"
        if self.most is not None and len(kept.value) > self.most:
            size = len(kept.value)
            return f"an engine wouldn't keep it: it has {size} bytes, the limit is {self.most}"
        return ""

    # -- for programs --------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """The shape of it with ``--json``."""
        job, kept, outcome = self.job, self.kept, self.went.outcome
        error = outcome.error if isinstance(outcome, Failed) else None
        again_s = dead = None
        match self.verdict:
            case retry.RetryIn(delay_ms):
                again_s = delay_ms / 1000
            case retry.Dead(reason):
                dead = reason
        return {
            "name": job.name,
            "uid": job.uid,
            "attempt": job.attempt,
            "max_attempts": job.max_attempts,
            "outcome": self.how,
            "took_s": self.went.took_s,
            "result": None if kept is None or kept.why_not else json.loads(kept.value),
            "not_kept": None if kept is None else self._why_not(kept) or None,
            "error": None
            if error is None
            else {"type": error.type, "message": error.message, "traceback": error.traceback},
            "again_s": again_s,
            "dead": dead,
            "log": list(self.went.log),
        }
