"""What the person at the keys sees and has chosen, and what a key makes of that. Pure.

Nothing is changed without a question that only ``y`` answers with yes; going on with a
paused queue needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from trioq.core.formats.snapshot import Run
from trioq.store.inspect import Overview

Panel = Literal["queues", "engines", "failures"]
PANELS: tuple[Panel, ...] = ("queues", "engines", "failures")

#: Lines by which a page goes on.
PAGE = 10


# -- what is wanted of the server ----------------------------------------------------------


@attrs.frozen
class Pause:
    """Stop claiming from a queue, or go on."""

    queue: str
    paused: bool


@attrs.frozen
class Revive:
    """Give the dead another chance: one, or all (None)."""

    uid: str | None


@attrs.frozen
class Cancel:
    """Have a job end."""

    uid: str


@attrs.frozen
class Story:
    """Tell all of a job."""

    id: str


@attrs.frozen
class Peek:
    """List what would be claimed next from a queue."""

    queue: str


@attrs.frozen
class Quit:
    """No more."""


Wish = Pause | Revive | Cancel | Story | Peek | Quit


# -- what stands above the panels ----------------------------------------------------------


@attrs.frozen
class Question:
    """Only ``y`` is yes."""

    text: str
    wish: Wish


@attrs.frozen
class Prompt:
    """A job's id is typed."""

    typed: str = ""


@attrs.frozen
class Listing:
    """Jobs to choose from."""

    title: str
    rows: tuple[tuple[str, str], ...]
    """Id and text of each."""
    chosen: int = 0

    def without(self, uid: str) -> Listing:
        left = tuple(row for row in self.rows if row[0] != uid)
        return attrs.evolve(self, rows=left, chosen=max(0, min(self.chosen, len(left) - 1)))


@attrs.frozen
class Page:
    """Text to read, from a line on."""

    lines: tuple[str, ...]
    first: int = 0


@attrs.frozen
class Help:
    """What the keys do."""


Above = Question | Prompt | Listing | Page | Help


@attrs.frozen
class Ui:
    """All of it."""

    panel: Panel = "queues"
    chosen: tuple[tuple[Panel, int], ...] = ()
    """In which row of each panel the cursor is."""
    above: tuple[Above, ...] = ()
    """The last one is seen, and has the keys."""
    message: str = ""
    """What came of the last wish."""

    def row(self, panel: Panel) -> int:
        return dict(self.chosen).get(panel, 0)

    def moved(self, panel: Panel, to: int, count: int) -> Ui:
        rows = {**dict(self.chosen), panel: max(0, min(to, count - 1))}
        return attrs.evolve(self, chosen=tuple(rows.items()))

    def opened(self, above: Above) -> Ui:
        return attrs.evolve(self, above=(*self.above, above), message="")

    def closed(self) -> Ui:
        return attrs.evolve(self, above=self.above[:-1])

    def without(self, uid: str) -> Ui:
        """A job that has ended is no longer there to be chosen."""
        return attrs.evolve(
            self,
            above=tuple(a.without(uid) if isinstance(a, Listing) else a for a in self.above),
        )

    def replaced(self, above: Above) -> Ui:
        return attrs.evolve(self, above=(*self.above[:-1], above))

    def told(self, message: str) -> Ui:
        return attrs.evolve(self, message=message)


def press(ui: Ui, key: str, overview: Overview | None) -> tuple[Ui, Wish | None]:
    """What a key does."""
    top = ui.above[-1] if ui.above else None
    match top:
        case Question(_, wish):
            return (
                (ui.closed(), wish) if key == "y" else (ui.closed().told("nothing changed"), None)
            )
        case Prompt(typed):
            return _type(ui, typed, key)
        case Listing():
            return _choose(ui.told(""), top, key)
        case Page():
            return _read(ui, top, key)
        case Help():
            return ui.closed(), None
    return _command(ui.told(""), key, overview)


def _type(ui: Ui, typed: str, key: str) -> tuple[Ui, Wish | None]:
    if key == "enter":
        return ui.closed(), Story(typed) if typed else None
    if key == "escape":
        return ui.closed(), None
    if key == "backspace":
        return ui.replaced(Prompt(typed[:-1])), None
    return ui.replaced(Prompt(typed + key)) if len(key) == 1 else ui, None


def _choose(ui: Ui, listing: Listing, key: str) -> tuple[Ui, Wish | None]:
    if key in ("escape", "q", "backspace"):
        return ui.closed(), None
    if key == "enter" and listing.rows:
        return ui, Story(listing.rows[listing.chosen][0])
    if key == "c" and listing.rows:
        return _ask_to_cancel(ui, *listing.rows[listing.chosen]), None
    to = max(0, min(listing.chosen + _by(key), len(listing.rows) - 1))
    return ui.replaced(attrs.evolve(listing, chosen=to)), None


def _ask_to_cancel(ui: Ui, uid: str, called: str) -> Ui:
    return ui.opened(Question(f"Cancel {called}? It never runs again.", Cancel(uid)))


def _read(ui: Ui, page: Page, key: str) -> tuple[Ui, Wish | None]:
    if key in ("escape", "q", "enter", "backspace"):
        return ui.closed(), None
    first = max(0, min(page.first + _by(key), len(page.lines) - 1))
    return ui.replaced(attrs.evolve(page, first=first)), None


def _command(ui: Ui, key: str, overview: Overview | None) -> tuple[Ui, Wish | None]:
    if key == "q":
        return ui, Quit()
    if key == "?":
        return ui.opened(Help()), None
    if key == "/":
        return ui.opened(Prompt()), None
    if key in ("tab", "back"):
        by = 1 if key == "tab" else -1
        panel = PANELS[(PANELS.index(ui.panel) + by) % len(PANELS)]
        return attrs.evolve(ui, panel=panel), None
    if overview is None:
        return ui, None
    if by := _by(key):
        return ui.moved(ui.panel, ui.row(ui.panel) + by, len(rows(ui.panel, overview))), None
    if key == "R":
        dead = overview.stats.dead
        text = f"Revive all {dead:,} dead jobs?"
        return (ui.opened(Question(text, Revive(None))) if dead else ui.told("none is dead")), None
    return _on_chosen(ui, key, overview)


def _on_chosen(ui: Ui, key: str, overview: Overview) -> tuple[Ui, Wish | None]:
    """Keys that are about the row under the cursor."""
    there = rows(ui.panel, overview)
    if not there:
        return ui, None
    row = min(ui.row(ui.panel), len(there) - 1)
    if ui.panel == "queues":
        return _on_queue(ui, key, there[row], overview)
    if ui.panel == "engines":
        if key != "enter":
            return ui, None
        engine = overview.engines[row]
        runs = tuple((run.uid, _run(run)) for run in engine.runs)
        return ui.opened(Listing(f"{engine.name} runs", runs)), None
    failure = overview.failures[row]
    if key == "enter":
        return ui, Story(failure.uid)
    if key == "c":
        return _ask_to_cancel(ui, failure.uid, f"{failure.name} {failure.uid}"), None
    if key == "r" and failure.then.startswith("dead"):
        text = f"Revive {failure.name} {failure.uid}?"
        return ui.opened(Question(text, Revive(failure.uid))), None
    return (ui.told("it isn't dead") if key == "r" else ui), None


def _run(run: Run) -> str:
    parts = [run.uid, run.name, run.queue, f"attempt {run.attempt}"]
    if run.progress is not None:
        parts.append(f"{run.progress:.0%}")
    if run.text:
        parts.append(run.text)
    return "  ".join(parts)


def _on_queue(ui: Ui, key: str, queue: str, overview: Overview) -> tuple[Ui, Wish | None]:
    if key == "enter":
        return ui, Peek(queue)
    if key != "p":
        return ui, None
    if overview.stats.queues[queue].paused:
        return ui, Pause(queue, False)
    text = f"Pause {queue}? No engine claims from it until it is resumed."
    return ui.opened(Question(text, Pause(queue, True))), None


def rows(panel: Panel, overview: Overview) -> Sequence[str]:
    """What the rows of a panel are about."""
    if panel == "queues":
        return list(overview.stats.queues)
    if panel == "engines":
        return [engine.id for engine in overview.engines]
    return [failure.uid for failure in overview.failures]


def _by(key: str) -> int:
    return {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -PAGE, "page down": PAGE}.get(key, 0)
