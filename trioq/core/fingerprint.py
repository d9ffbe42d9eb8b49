"""What errors have in common: of a thousand that tell of a thousand files, one fingerprint.

The type, and the first line of the message without what differs from job to job: numbers, ids,
paths, addresses, what stands in quotes. As error trackers group events by default.
"""

from __future__ import annotations

import hashlib
import re

from trioq.core.outcome import Error

#: What isn't told apart, in this order. An apostrophe within a word is no quote.
_SAME = (
    (re.compile(r"(?<!\w)'[^'\n]*'(?!\w)"), "‹…›"),
    (re.compile(r'"[^"\n]*"|`[^`\n]*`|‘[^’\n]*’|“[^”\n]*”|«[^»\n]*»'), "‹…›"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "‹url›"),
    (re.compile(r"[^\s@<>()]+@[^\s@<>()]+\.\w+"), "‹mail›"),
    (re.compile(r"(?:[A-Za-z]:\\|(?<![^\s(=:])[\w.~-]*/)[^\s:,;)]+"), "‹path›"),
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z])",
                re.IGNORECASE), "#"),
    (re.compile(r"(?<![0-9A-Za-z])(?:0x[0-9a-f]+|(?=[a-f]*\d)[0-9a-f]{7,})(?![0-9A-Za-z])",
                re.IGNORECASE), "#"),
    (re.compile(r"(?<![\w-])-?\d+(?:[.,:]\d+)*(?:[eE][+-]?\d+)?|\d+(?:[.,:]\d+)*"), "#"),
)  # fmt: skip

#: Characters of a message that are looked at, and of its shape that count.
LOOKED, MOST = 2000, 300


def shape(message: str) -> str:
    """A message's first line, without what differs."""
    line = message.strip().partition("\n")[0][:LOOKED]
    for pattern, instead in _SAME:
        line = pattern.sub(instead, line)
    return " ".join(line.split())[:MOST]


def fingerprint(error: Error | None, reason: str = "") -> str:
    """Twelve hexadecimal digits: the same for errors that are the same but for what differs.

    Args:
      error: The last one; None: nothing is told of it.
      reason: Why the job is dead, where no error is told of.
    """
    said = f"{error.type}\0{shape(error.message)}" if error else f"\0{reason}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:12]
