"""Keys, from the bytes that a terminal sends for them."""

from __future__ import annotations

import re

#: What terminals send for keys that are no characters; anything else of this kind is nothing.
NAMED = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[Z": "back",
    "\x1b": "escape",
    "\t": "tab",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
}

_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.)?|[^\x1b]", re.DOTALL)


def keys(data: bytes) -> list[str]:
    """The keys of one read: a character each, or a name such as ``up``.

    An escape that comes alone is the key itself: what begins with it comes in one piece.
    """
    found = _KEY.findall(data.decode("utf-8", "ignore"))
    named = (NAMED.get(key, key if key.isprintable() else "") for key in found)
    return [key for key in named if key]
