"""A real terminal: a shell in tmux, as somebody has it over ssh.

Each has a server of its own, on a socket in a directory of its own, so that nobody's sessions
are touched; it ends with its server, and whatever runs in it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import pyte

from tests.cli.screens import Screen, colours_of
from tests.support import PATIENCE_S, wait_until

#: How often the screen is looked at.
LOOK_S = 0.02

#: A shell that nobody has set up.
BASH = ("bash", "--norc", "--noprofile")

#: What the shell says when a command has ended.
ENDED = re.compile(r"^ended with (\d+)$", re.MULTILINE)


@attrs.define
class Tmux(Screen):
    """A window of tmux with a shell in it."""

    socket: Path

    def tmux(self, *words: str) -> str:
        """A command of tmux's; what it prints."""
        told = subprocess.run(
            ["tmux", "-S", str(self.socket), *words], check=True, capture_output=True, text=True
        )
        return told.stdout

    def attach(self) -> list[str]:
        """How somebody looks at it from a terminal of their own."""
        return ["tmux", "-S", str(self.socket), "attach"]

    def run(self, *arguments: object) -> None:
        """Type a command line of trioq's into the shell."""
        words = shlex.join([sys.executable, "-m", "trioq", *map(str, arguments)])
        script = self.socket.with_name("run")
        script.write_text(f"{words}\necho ended with $?\n")
        self.press(f". {shlex.quote(str(script))}\r")

    @property
    def pid(self) -> int:  # type: ignore[override]
        """The shell's only child."""
        shell = self._is("pane_pid")
        return int(wait_until(Path(f"/proc/{shell}/task/{shell}/children").read_text))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.tmux("capture-pane", "-p").split("\n")[:-1]]

    def press(self, keys: str) -> None:
        self.tmux("send-keys", "-H", *(f"{byte:x}" for byte in keys.encode()))

    def resize(self, columns: int, lines: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def colours(self) -> set[str]:
        drawn = self.tmux("capture-pane", "-p", "-e").replace("\n", "\r\n")
        screen = pyte.Screen(int(self._is("pane_width")), int(self._is("pane_height")) + 1)
        pyte.Stream(screen).feed(drawn)
        return colours_of(screen)

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while not (ended := ENDED.search(self.text)):
            assert time.monotonic() < deadline, f"it doesn't end:\n{self.text}"
            self._wait()
        return int(ended[1])

    def scrolled(self) -> int:
        return int(self._is("history_size"))

    def modes(self) -> list[object]:
        fd = os.open(self._is("pane_tty"), os.O_RDWR | os.O_NOCTTY)
        try:
            return termios.tcgetattr(fd)
        finally:
            os.close(fd)

    def has_cursor(self) -> bool:
        return self._is("cursor_flag") == "1"

    def _is(self, variable: str) -> str:
        return self.tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def _wait(self) -> bool:
        time.sleep(LOOK_S)
        return True


@contextmanager
def in_tmux(
    *arguments: object, columns: int = 80, lines: int = 24, env: Mapping[str, str] | None = None,
    completes: bool = False,
) -> Iterator[Tmux]:  # fmt: skip
    """Type this command line of trioq's into a shell of this size, if there are words for one.

    Args:
      completes: Whether the shell edits its line. It then sets the terminal as it likes.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"LANG": "C.UTF-8", "PATH": path, **(env or {})}
    bash = BASH if completes else (*BASH, "--noediting")
    assignments = [f"{name}={value}" for name, value in env.items()]
    unset = ("-u", "COLUMNS", "-u", "LINES", "-u", "NO_COLOR", "-u", "LC_ALL")
    shell = shlex.join(["env", *unset, *assignments, "PS1=$ ", *bash])
    with tempfile.TemporaryDirectory(prefix="trioq-tmux-", dir="/tmp") as directory:
        terminal = Tmux(Path(directory) / "tmux.sock")
        options = ("set", "-g", "default-terminal", "screen", ";", "set", "-g", "status", "off")
        subprocess.run(
            ["tmux", "-S", str(terminal.socket), "-u", "-f", "/dev/null", *options, ";",
             "new-session", "-d", "-x", str(columns), "-y", str(lines), shell],
            check=True, capture_output=True, env={**os.environ, "LANG": "C.UTF-8"},
        )  # fmt: skip
        server = int(terminal._is("pid"))
        try:
            terminal.see("$")
            if arguments:
                terminal.run(*arguments)
            yield terminal
        finally:
            terminal.tmux("kill-server")
            wait_until(lambda: not Path(f"/proc/{server}").exists())
