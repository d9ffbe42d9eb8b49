"""Whose child a process is, as it stands on its command line."""

from __future__ import annotations

from typing import Self

import attrs


@attrs.frozen
class Membership:
    """Whose child this process is."""

    number: int
    fd: int
    """The descriptor to speak on."""
    supervisor: str
    """The supervisor's name."""
    http: str = ""
    """Where the supervisor serves the metrics of all; empty: nowhere."""

    @property
    def word(self) -> str:
        """As it stands on the child's command line."""
        return f"{self.number},{self.fd},{self.supervisor},{self.http}"

    @classmethod
    def of_word(cls, word: str) -> Self:
        """The inverse.

        Raises:
          ValueError: It isn't one.
        """
        number, fd, supervisor, http = word.split(",")
        return cls(int(number), int(fd), supervisor, http)
