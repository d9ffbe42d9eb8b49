"""What a person at a real terminal sees; only where tmux is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.emulator import emulating
from tests.cli.tmux import in_tmux
from tests.scene import Scene
from tests.support import new_job
from trioq.store.inspect import stats

pytestmark = pytest.mark.needs("tmux")

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

QUICK = ("--interval", "100ms")


def test_top_leaves_what_stood_there_before(trioq: Cli) -> None:
    with in_tmux() as terminal:
        terminal.press("echo it stood here\r")
        terminal.see(lambda it: "it stood here" in it.lines)
        terminal.run("top", trioq.config, *QUICK)
        terminal.see("QUEUE")
        assert "it stood here" not in terminal.text
        terminal.press("\x03")  # Ctrl-C
        assert terminal.end() == 0
        assert "it stood here" in terminal.lines
        assert "QUEUE" not in terminal.text
        assert "Traceback" not in terminal.text


def test_top_goes_on_where_nobody_is_attached_and_fits_whoever_comes(
    trioq: Cli, scene: Scene
) -> None:
    with in_tmux("top", trioq.config, *QUICK) as terminal:
        terminal.see("QUEUE")
        for columns, lines in ((80, 24), (120, 40), (70, 20)):
            size = {"columns": columns, "lines": lines}
            with emulating(terminal.attach(), **size, env={"TERM": "xterm"}) as attached:
                attached.see(lambda it, height=lines: it.lines[height - 1].startswith("q quit"))
                attached.see(lambda it: re.search("^low .*[▁█]$", it.text, re.MULTILINE))
                attached.see(lambda it, width=columns: len(it.lines[0]) == width)
                attached.press("\x02d")  # what detaches
                assert attached.end() == 0
        scene.enqueue(*(new_job() for _ in range(7)))
        terminal.see(lambda it: re.search("^low +7 ", it.text, re.MULTILINE))
        terminal.press("q")
        assert terminal.end() == 0


def test_a_question_stands_there_with_what_it_is_about(trioq: Cli, scene: Scene) -> None:
    scene.many_dead(1234)
    with in_tmux("dead", "purge", trioq.config, "--all", columns=120) as terminal:
        asked = terminal.see("[y/N]")
        assert asked.startswith("Forget 1,234 dead jobs of t (unix://")
        terminal.press("\r")
        assert terminal.end() == 1
        assert "trioq: nothing was changed" in terminal.lines
        assert stats(scene.store).dead == 1234

        terminal.press("clear\r")
        terminal.see(lambda it: "[y/N]" not in it.text)
        terminal.run("dead", "purge", trioq.config, "--all")
        terminal.see("[y/N]")
        terminal.press("y\r")
        assert terminal.end() == 0
        assert "purged 1,234" in terminal.lines
        assert stats(scene.store).dead == 0


def test_a_bar_moves_until_it_is_interrupted_and_goes_away(trioq: Cli, scene: Scene) -> None:
    scene.many_dead(3000)
    command = ("dead", "revive", trioq.config, "--all", "--yes", "--rate", 200)
    with in_tmux(*command, columns=100) as terminal:
        # Not the bar of those that are looked for.
        terminal.see(lambda it: re.search(r"revived .*━ [\d,]+ of 3,000 jobs 0:00:\d\d", it.text))
        terminal.press("\x03")
        assert terminal.end() == 130
        (line,) = (line for line in terminal.lines if line.startswith("trioq:"))
        (done,) = re.findall(r"interrupted: ([\d,]+) of 3,000 revived; the same command", line)
        assert int(done.replace(",", "")) == 3000 - stats(scene.store).dead < 3000
        assert "━" not in terminal.text


def test_the_bench_shows_how_far_it_is_and_then_its_table(trioq: Cli) -> None:
    command = ("bench", trioq.config, "-n", 300, "--rate", 150, "--workers", 2)
    with in_tmux(*command, columns=100) as terminal:
        terminal.see(lambda it: re.search(r"━ +[1-9]\d*/300 0:00:0\d", it.text))
        assert terminal.end() == 0
        assert "300 done, 0 dead, 0 unfinished" in terminal.lines
        assert "━" not in terminal.text


def test_bash_completes_commands_options_and_queues_as_the_page_says(trioq: Cli) -> None:
    (line,) = re.findall(r'^\$ (eval "\$\(.*bash_source trioq\)")', PAGE.read_text(), re.MULTILINE)
    with in_tmux(completes=True) as terminal:
        terminal.press(f"{line}\r")
        for typed, completed in (
            ("trioq eng", "trioq engines"),
            (f"trioq peek {trioq.config} hi", f"{trioq.config} high"),
            (f"trioq purge {trioq.config} --dr", "--dry-run"),
        ):
            terminal.press(f"clear\r{typed}\t")
            terminal.see(lambda it, wanted=completed: wanted in it.text.replace("\n", ""))
            terminal.press("\x15")  # Ctrl-U
