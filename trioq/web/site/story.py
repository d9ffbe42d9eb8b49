"""A job's story, moment by moment. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs

from trioq.core.formats.history import Attempt, Omitted, starts_new_life
from trioq.store.inspect import JobView

Kind = Literal[
    "enqueued", "due", "omitted", "failed", "died", "revived", "asked", "runs", "waits", "done",
    "cancelled",
]  # fmt: skip

#: Each as its words, and the colour of its dot.
WORDS: dict[Kind, tuple[str, str]] = {
    "enqueued": ("Enqueued", ""),
    "due": ("Due", "accent"),
    "omitted": ("attempts left out", ""),
    "failed": ("failed", "warn"),
    "died": ("Died", "bad"),
    "revived": ("Revived", "accent"),
    "asked": ("Asked to end", "warn"),
    "runs": ("Runs", "accent"),
    "waits": ("Waits", ""),
    "done": ("Done", "good"),
    "cancelled": ("Cancelled", "warn"),
}

#: What became of the handler of a job that was cancelled.
HOW = {"stopped": "its handler was stopped", "ignored": "its handler didn't end in time"}


@attrs.frozen
class Moment:
    """One thing that happened, or is so now."""

    kind: Kind
    at_ms: int | None = None
    """None: nobody knows, or it is now."""
    says: str = ""
    attempt: Attempt | None = None
    """What failed."""

    @property
    def title(self) -> str:
        """In a word or two."""
        words = WORDS[self.kind][0]
        if self.attempt is not None and self.attempt.number:
            return f"Attempt {self.attempt.number} failed"
        return f"{self.says} {words}" if self.kind == "omitted" else words

    @property
    def tone(self) -> str:
        """The colour of its dot."""
        return WORDS[self.kind][1]


def story(view: JobView) -> list[Moment]:
    """All that is known, the earliest first."""
    return list(_story(view))


def _story(view: JobView) -> Iterator[Moment]:
    about = view.about
    if about is not None:
        yield Moment("enqueued", about.enqueued_ms or None)
    yield from _attempts(view)
    if (asked := view.asked) is not None:
        by = f"by {asked.by}" if asked.by else ""
        yield Moment("asked", asked.at_ms, ": ".join(filter(None, (by, asked.reason))))
    if (ended := view.summary) is not None:
        yield _end(view)
    elif view.state == "running":
        yield Moment("runs", None, f"on {view.engine}" if view.engine else "")
    elif view.state == "scheduled":
        yield Moment("due", view.due_ms)
    elif view.state == "dead":
        last = view.attempts[-1] if view.attempts else None
        if not (isinstance(last, Attempt) and last.dead is not None):
            yield Moment("died", view.died_ms, view.reason or "")
    elif ended is None and view.state in ("ready", "parked", "limited"):
        yield Moment("waits", None, "for its turn" if view.state == "ready" else "")


def _attempts(view: JobView) -> Iterator[Moment]:
    before = None
    for line in view.story:
        if before is not None and starts_new_life(before, line):
            yield Moment("revived")
        if isinstance(line, Omitted):
            yield Moment("omitted", None, f"{line.count:,}")
        else:
            where = f"on {line.engine}" if line.engine else ""
            yield Moment("failed" if line.number else "died", line.at_ms, where, line)
            if line.number and line.dead is not None:
                yield Moment("died", line.at_ms, line.dead)
        before = line
    if isinstance(before, Attempt) and before.dead is not None and view.state != "dead":
        yield Moment("revived")


def _end(view: JobView) -> Moment:
    ended = view.summary
    assert ended is not None
    if ended.state == "cancelled":
        by = f"by {ended.by}" if ended.by else ""
        told = (by, ended.reason, HOW.get(ended.how, ended.how))
        return Moment("cancelled", ended.at_ms, ", ".join(filter(None, told)))
    where = f" on {ended.engine}" if ended.engine else ""
    return Moment(
        "done", ended.at_ms, f"in attempt {ended.attempt}{where}, after {ended.took_ms:,.0f} ms"
    )
