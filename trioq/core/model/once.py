"""Writes that carry the sender's number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trioq.core.model.state import Namespace
from trioq.errors import TrioqBug


def once(space: Namespace, sender: str, number: int, write: Callable[[], Any]) -> Any:
    """Answer what the number was answered before, or write and remember the answer."""
    last, answer = space.senders.get(sender, (0, None))
    if number < last:
        raise TrioqBug(f"write {number} is older than its sender's last")
    if number > last:
        answer = write()
        space.senders[sender] = number, answer
    return answer
