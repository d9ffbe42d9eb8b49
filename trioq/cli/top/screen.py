"""Draws the screen, line by line, for a width and a height. Pure.

Sixteen colours and eighty columns are enough. What comes from jobs may hold anything, so
nothing of it is written that doesn't print.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import attrs
from rich.text import Text

from trioq.cli.screen import cut, plain
from trioq.cli.top.ui import PANELS, Help, Listing, Page, Panel, Prompt, Question, Ui, rows
from trioq.core.formats.snapshot import Failure, Run
from trioq.store.inspect import EngineView, Overview, Trend

T = TypeVar("T")

BARS = "▁▂▃▄▅▆▇█"

#: For terminals that know no more; anything else that isn't ASCII is a question mark there.
ASCII = str.maketrans(BARS + "·…↑↓", "_.:-=+*#" + "-.^v")

#: Names that no engine knows, and that are shown.
UNKNOWN = 3

HEADING = "bold cyan"

KEYS = "q quit  tab ↑↓ move  enter look  c cancel  p pause  r/R revive  / job  ? help"

LISTING_KEYS = "↑↓ move  enter look  c cancel  esc back"

HELP = (
    ("tab", "the next panel: queues, engines, failures"),
    ("↑ ↓", "move in it; page up and page down by ten"),
    ("enter", "look: what is next in a queue, what an engine runs, a job's story"),
    ("/", "look at a job by its id"),
    ("c", "cancel the job under the cursor, which waits, runs or has failed, after a question"),
    ("p", "pause the queue under the cursor, after a question, or resume it"),
    ("r", "give the dead job under the cursor another chance, after a question"),
    ("R", "give all dead jobs another chance, after a question"),
    ("q", "quit; esc goes back"),
)


@attrs.frozen
class Screen:
    """What all drawing needs to know."""

    width: int
    height: int
    where: str
    """Which server that is."""
    ascii_only: bool = False
    away: str = ""
    """Why nothing new comes from it; empty while something does."""

    def draw(self, trend: Trend, ui: Ui) -> list[Text]:
        """All lines, none wider than the screen, as many as it has."""
        lines = [*self._head(trend), *self._body(trend, ui)][: self.height - 1]
        lines += [Text()] * (self.height - 1 - len(lines))
        lines.append(self._foot(ui))
        for line in lines:
            line.truncate(self.width, overflow="ellipsis")
            if self.ascii_only:
                line.plain = line.plain.translate(ASCII).encode("ascii", "replace").decode()
        return lines

    # -- above and below -------------------------------------------------------------------

    def _head(self, trend: Trend) -> Iterator[Text]:
        now = trend.now
        title = Text.assemble(("trioq top", "bold"), " ")
        title.append(f"{now.stats.namespace} on " if now else "")
        title.append(plain(self.where))
        right = Text(f"no answer: {plain(self.away)}", "bold red") if self.away else Text()
        if not self.away and now is not None:
            right = Text(time.strftime("%H:%M:%S", time.localtime(now.now_ms / 1000)))
        title.truncate(max(0, self.width - len(right) - 1), overflow="ellipsis", pad=True)
        yield Text.assemble(title, " ", right)
        if now is None:
            return
        stats = now.stats
        line = Text(f"{stats.running:,} running · {_rate(trend.rate('done'))} done")
        line.append(f" · {_rate(trend.rate('enqueued'))} enqueued")
        failing = (trend.rate("retried") or 0) + (trend.rate("dead_letters") or 0)
        line.append(f" · {_rate(failing)} failing", "yellow" if failing else "")
        line.append(f" · {stats.dead:,} dead", "bold red" if stats.dead else "")
        if stats.strays:
            line.append(f" · {stats.strays:,} strays", "bold red")
        yield line

    def _foot(self, ui: Ui) -> Text:
        match ui.above[-1] if ui.above else None:
            case Question(text, _):
                return Text.assemble((f"{plain(text)} y/n", "bold reverse"))
            case Prompt(typed):
                return Text.assemble(
                    "job: ", plain(typed), ("█", ""), "  (enter looks, esc goes back)"
                )
            case Listing():
                said = Text(plain(ui.message), "bold")
                return said if ui.message else Text(LISTING_KEYS, "dim")
            case Page():
                return Text("↑↓ move  esc back", "dim")
            case Help():
                return Text("any key goes back", "dim")
        return Text(plain(ui.message), "bold") if ui.message else Text(KEYS, "dim")

    def _body(self, trend: Trend, ui: Ui) -> Iterator[Text]:
        above = next((a for a in reversed(ui.above) if not isinstance(a, Question | Prompt)), None)
        room = self.height - 4
        match above:
            case Help():
                yield Text()
                yield from (Text.assemble((f"{key:>9}", "bold"), f"  {what}") for key, what in HELP)
            case Page(lines, first):
                yield Text()
                yield from (Text(plain(line)) for line in lines[first : first + room])
            case Listing(title, listed, chosen):
                yield Text()
                yield Text(plain(title), HEADING)
                for i, (_, text) in _window(listed, chosen, room - 1):
                    yield self._row(plain(text), i == chosen)
                if not listed:
                    yield Text("none", "dim")
            case _:
                if trend.now is not None:
                    yield from self._panels(trend, trend.now, ui)

    # -- the panels ------------------------------------------------------------------------

    def _panels(self, trend: Trend, now: Overview, ui: Ui) -> Iterator[Text]:
        counts = [len(rows(panel, now)) for panel in PANELS]
        # Two lines of head, the foot, the doors, and a heading with a line before it for each.
        shares = share(self.height - 4 - 2 * len(PANELS), counts)
        yield Text()
        yield from self._queues(trend, now, ui, shares[0])
        yield Text()
        yield from self._engines(now, ui, shares[1])
        yield self._doors(now)
        yield Text()
        yield from self._failures(now, ui, shares[2])

    def _queues(self, trend: Trend, now: Overview, ui: Ui, room: int) -> Iterator[Text]:
        yield _heading(f"{'QUEUE':<14}{'READY':>10}{'SCHEDULED':>10}{'PARKED':>8}{'RUNNING':>8}"
                       f"{'DONE':>9}  READY", ui, "queues")  # fmt: skip
        names = rows("queues", now)
        for i, name in _window(names, ui.row("queues"), room):
            queue = now.stats.queues[name]
            text = Text(f"{cut(plain(name), 13):<14}")
            text.append(f"{short(queue.ready):>10}{short(queue.scheduled):>10}")
            text.append(f"{short(queue.parked):>8}", "yellow" if queue.parked else "")
            text.append(f"{short(queue.running):>8}{_rate(trend.done_rate(name)):>9}  ")
            if queue.paused:
                text.append("paused", "bold yellow")
            elif not queue.served and (queue.ready or queue.parked):
                text.append("no engine serves it", "bold red")
            else:
                if queue.limited:
                    text.append(f"{short(queue.limited)} limited ", "yellow")
                if queue.in_line:
                    text.append(f"{short(queue.in_line)} in line for room ", "yellow")
                text.append(sparkline(trend.ready(name), max(1, self.width - len(text))), "green")
            yield self._cursor(text, ui, "queues", i)

    def _engines(self, now: Overview, ui: Ui, room: int) -> Iterator[Text]:
        yield _heading(
            f"{'ENGINE':<26}{'BUSY':>9}{'HOLDS':>7}  RUNS, THE LONGEST FIRST", ui, "engines"
        )
        if not now.engines:
            yield Text("no engine lives", "bold red")
        for i, engine in _window(now.engines, ui.row("engines"), room):
            text = Text(f"{_named(engine, 25):<26}")
            busy = f"{engine.busy}/{engine.workers}" if engine.told else f"?/{engine.workers}"
            is_full = engine.workers and engine.busy >= engine.workers
            text.append(f"{busy:>9}", "yellow" if is_full else "")
            text.append(f"{engine.held:>7}  ")
            if engine.draining:
                text.append("draining ", "yellow")
            if engine.lag_s > 0.5:
                text.append(f"loop late by {engine.lag_s:.1f} s ", "bold red")
            if engine.abandoned:
                text.append(f"{sum(engine.abandoned.values())} abandoned ", "bold red")
            text.append(plain(_runs(engine)) if engine.told else "")
            if not engine.told:
                text.append("hasn't told what it runs", "dim")
            yield self._cursor(text, ui, "engines", i)

    def _doors(self, now: Overview) -> Text:
        """What producers may enqueue, breakers, and names that nobody knows; on one line."""
        line = Text.assemble(("LIMITER ", HEADING))
        if now.rate is None or now.permits_used is None:
            line.append("none")
        else:
            burst = now.rate.burst
            # A permit comes back with time: with less than one left, whoever wants one waits.
            is_used_up = now.permits_used > burst - 1
            line.append(f"{now.rate.per_s:g}/s, ")
            line.append(
                f"{now.permits_used:.0f} of {burst} permits taken", "yellow" if is_used_up else ""
            )
        line.append("   BREAKERS ", HEADING)
        if not now.breakers:
            line.append("all closed")
        for name, told in sorted(now.breakers.items()):
            line.append(f"{plain(name)} {plain(told)}  ", "bold red")
        if said := _schedules(now):
            line.append("   SCHEDULES ", HEADING)
            line.append(said, "bold red" if now.schedules and now.schedules.late else "yellow")
        unknown = [door for door in now.doors if "unknown_name" in door.why]
        if unknown:
            line.append("   UNKNOWN ", HEADING)
            named = ", ".join(f"{door.name} {short(door.parked)}" for door in unknown[:UNKNOWN])
            more = len(unknown) - UNKNOWN
            line.append(plain(named) + (f" and {more:,} more" if more > 0 else ""), "bold red")
        return line

    def _failures(self, now: Overview, ui: Ui, room: int) -> Iterator[Text]:
        yield _heading(f"{'FAILED':<10}{'JOB':<18}{'TRY':>4}  ERROR", ui, "failures")
        if not now.failures:
            yield Text("none lately", "dim")
        for i, failure in _window(now.failures, ui.row("failures"), room):
            yield self._cursor(self._failure(failure), ui, "failures", i)

    def _failure(self, failure: Failure) -> Text:
        when = time.strftime("%H:%M:%S", time.localtime(failure.at_ms / 1000))
        is_dead = failure.then.startswith("dead")
        then = plain(failure.then)
        text = Text(f"{when:<10}{cut(plain(failure.name), 17):<18}{failure.attempt:>4}  ")
        room = max(10, self.width - len(text) - len(then) - 3)
        text.append(cut(plain(failure.error), room))
        return text.append(f" · {then}", "bold red" if is_dead else "yellow")

    def _cursor(self, text: Text, ui: Ui, panel: Panel, row: int) -> Text:
        return self._row(text, ui.panel == panel and ui.row(panel) == row)

    def _row(self, text: Text | str, chosen: bool) -> Text:
        line = text if isinstance(text, Text) else Text(text)
        if chosen:
            line.truncate(self.width, overflow="ellipsis", pad=True)
            line.stylize("reverse")
        return line


def _heading(text: str, ui: Ui, panel: Panel) -> Text:
    return Text(text, f"{HEADING} underline" if ui.panel == panel else HEADING)


def _named(engine: EngineView, width: int) -> str:
    """What tells which it is: with a supervisor that one's name, and its number there."""
    if not engine.supervisor:
        return cut(plain(engine.name), width)
    number = f" #{engine.process}"
    return cut(plain(engine.supervisor), width - len(number)) + number


def _runs(engine: EngineView) -> str:
    listed = (f"{run.name} {span(engine.age_s(run))}{_share(run)}" for run in engine.runs)
    return " · ".join(listed) or "nothing"


def _share(run: Run) -> str:
    """How far it is, where its handler says so."""
    return "" if run.progress is None else f" {run.progress:.0%}"


def _window(items: Sequence[T], chosen: int, room: int) -> Iterator[tuple[int, T]]:
    """So many of them, so that the chosen one is among them, with their places."""
    first = max(0, min(chosen - room // 2, len(items) - room))
    yield from list(enumerate(items))[first : first + room]


def _schedules(now: Overview) -> str:
    """How many of them are out of the ordinary, and how."""
    found = now.schedules
    counts = {
        "late": len(found.late) if found else 0,
        "paused": len(now.stats.pauses.schedules),
        "unlisted": len(found.ending) if found else 0,
    }
    return ", ".join(f"{count:,} {how}" for how, count in counts.items() if count)


def share(room: int, wanted: Sequence[int]) -> list[int]:
    """Lines for each of several lists: each what it wants, as far as there is room.

    None gets less than one, nor less than its part of what those before it have left.
    """
    shares = []
    wanted = [max(1, count) for count in wanted]
    for i, count in enumerate(wanted):
        fair = max(1, room // (len(wanted) - i))
        # What the later ones don't want may be had.
        spare = room - sum(min(c, fair) for c in wanted[i + 1 :])
        shares.append(min(count, max(fair, spare)))
        room -= shares[-1]
    return shares


def sparkline(values: Sequence[int], width: int) -> str:
    """The last of these as bars, the highest of them as the full one."""
    shown = values[-width:]
    most = max(shown, default=0) or 1
    return "".join(BARS[(v * (len(BARS) - 1) + most - 1) // most] for v in shown)


def wrapped(line: str, width: int) -> list[str]:
    """A line in pieces that fit; the later ones are indented like the first."""
    indent = line[: len(line) - len(line.lstrip())][: width // 2]
    pieces = [line[:width]]
    rest, step = line[width:], width - len(indent)
    return pieces + [indent + rest[at : at + step] for at in range(0, len(rest), step)]


def short(count: int) -> str:
    """In nine characters."""
    return f"{count:,}" if count < 10_000_000 else f"{count / 1e6:,.1f}M"


def span(seconds: float) -> str:
    """A time in few characters."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f}s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m{int(seconds % 60):02}s"
    return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02}m"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "?/s"
    return f"{rate:,.0f}/s" if rate >= 10 or rate == 0 else f"{rate:.1f}/s"
