"""Who sends numbered writes: clients, operators and producers."""

from __future__ import annotations

import secrets

import attrs


@attrs.define
class Numbering:
    """The numbers of one sender's writes, each higher than the one before.

    The server executes each number of a sender once, and none that is older than the last: so a
    write is sent again with the number that it has, and the next one only when it is answered.
    """

    sender: str = attrs.field(factory=lambda: secrets.token_hex(16))
    number: int = 0

    def next(self) -> tuple[str, int]:
        """The sender and the number of its next write."""
        self.number += 1
        return self.sender, self.number
