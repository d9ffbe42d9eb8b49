"""A command on a terminal whose screen can be read: an emulated one, and tmux where it is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import pyte
import pytest

from tests.support import PATIENCE_S

Self_ = TypeVar("Self_", bound="Screen")

#: What the sixteen colours are called here; anything else is one of more.
SIXTEEN = {"default", "black", "red", "green", "brown", "blue", "magenta", "cyan", "white"}


class Screen(ABC):
    """What stands on a terminal, and keys to press."""

    pid: int
    """Of what runs there."""

    @property
    @abstractmethod
    def lines(self) -> list[str]:
        """As many as the terminal has, without what is empty at their ends."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def see(self: Self_, what: str | Callable[[Self_], object]) -> str:
        """Wait until this stands on the screen; the first line that has it."""
        fits = what if callable(what) else lambda it: what in it.text
        deadline = time.monotonic() + PATIENCE_S
        while not fits(self):
            if time.monotonic() > deadline or not self._wait():
                raise AssertionError(f"not shown: {what!r}; but:\n{self.text}")
        return next((line for line in self.lines if isinstance(what, str) and what in line), "")

    @abstractmethod
    def press(self, keys: str) -> None:
        """Send what a keyboard sends for them."""

    @abstractmethod
    def resize(self, columns: int, lines: int) -> None: ...

    @abstractmethod
    def colours(self) -> set[str]:
        """All that are used."""

    @abstractmethod
    def end(self) -> int:
        """Wait for its end; the exit code."""

    @abstractmethod
    def scrolled(self) -> int:
        """How many lines have left the screen at its upper end."""

    @abstractmethod
    def modes(self) -> list[object]:
        """How the terminal is set."""

    @abstractmethod
    def has_cursor(self) -> bool:
        """Whether the cursor can be seen."""

    @abstractmethod
    def _wait(self) -> bool:
        """Give it time to show more; False: it has ended and that was all."""


class Run(Protocol):
    """Runs the command line on a terminal of this size."""

    def __call__(
        self, *arguments: object, columns: int = 80, lines: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[Screen]: ...  # fmt: skip


def colours_of(screen: pyte.Screen) -> set[str]:
    cells = (cell for row in screen.buffer.values() for cell in row.values())
    return {colour.removeprefix("bright") for cell in cells for colour in (cell.fg, cell.bg)}


def terminals() -> Iterator[Any]:
    """An emulated one, and tmux where it is installed, as parameters of a fixture."""
    from tests.cli.emulator import emulated
    from tests.cli.tmux import in_tmux

    yield pytest.param(emulated, id="emulated")
    yield pytest.param(in_tmux, id="tmux", marks=pytest.mark.needs("tmux"))
