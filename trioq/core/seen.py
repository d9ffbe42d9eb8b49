"""What is remembered of a file that was enqueued, and whether one that is found is another.

A *mark* is ``size:mtime_ns:ctime_ns``; who doesn't go by the last leaves it empty. It is kept
beside the short mark ``size:mtime_ns``, which is all that older versions know: theirs stay
valid, and what is marked here isn't new to them. A file that is gone has ``:`` and since when,
epoch ms, behind its mark.
"""

from __future__ import annotations

import re
from typing import Literal

from trioq.core.values import value

Verdict = Literal[
    "new",  # it is to be enqueued
    "known",
    "noted",  # it is known, and is to be remembered by its mark
]

#: Epoch ms. Other clients of the server may have written anything.
_TIME = re.compile(r"[0-9]{1,15}")


def short(mark: str) -> str:
    """Size and time."""
    return ":".join(mark.split(":")[:2])


def known(short: str | None, mark: str | None) -> str | None:
    """All that is remembered of a path: the mark, if it is of the file that was enqueued last. An
    older version leaves the one of the file before."""
    if short is not None and mark is not None and mark.startswith(short + ":"):
        return mark
    return short


def parts(known: str) -> tuple[str, str, int | None]:
    """The short mark; ctime_ns, empty if it isn't known; and since when the file is gone."""
    size, mtime_ns, ctime_ns, gone_ms, *_ = [*known.split(":", 3), "", "", ""]
    return f"{size}:{mtime_ns}", ctime_ns, int(gone_ms) if _TIME.fullmatch(gone_ms) else None


def is_same(known: str, mark: str) -> bool:
    """Whether the file that has this mark was enqueued, as far as that is told without a look."""
    if known in (mark, short(mark)):
        return True
    # It was gone for a while; where nothing tells that it is another file, that does.
    return not mark.endswith(":") and known.startswith(mark + ":")


def judge(known: str | None, mark: str) -> Verdict:
    """What to do with a file that is found.

    Its status time, which nobody can set, tells whether it is the one that was enqueued. Where
    that isn't known, a path that was gone meanwhile has another file.
    """
    if known is None:
        return "new"
    was, was_ctime_ns, gone_ms = parts(known)
    now, ctime_ns, _ = parts(mark)
    if was != now:
        return "new"
    if was_ctime_ns and ctime_ns:
        if was_ctime_ns != ctime_ns:
            return "new"
        return "known" if gone_ms is None else "noted"
    if gone_ms is not None:
        return "new"
    return "noted" if ctime_ns else "known"


@value
class Sighting:
    """How a producer has found a path that is remembered."""

    path: str
    known: str
    """As it was read: if it is another by now, that stays."""
    is_gone: bool
    mark: str = ""
    """Of the file that is there. Empty: as it is remembered."""

    @property
    def kept(self) -> str:
        """What is to be remembered; since when it is gone is for the server's clock to say."""
        was, ctime_ns, _ = parts(self.known)
        return self.mark or f"{was}:{ctime_ns}"
