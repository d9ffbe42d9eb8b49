"""What is kept of what a handler returned: bounded, whatever that is.

A job whose result can't be kept is done all the same, and whoever asks is told why there is none.
"""

from __future__ import annotations

from typing import Any, Literal

from trioq.core import result
from trioq.core.values import value
from trioq.errors import ResultTooLarge, ResultUnfit

#: Of words that say why a result doesn't fit.
WORDS_MAX = 500


Word = Literal["done", "too_large", "unfit"]


@value
class Kept:
    """A result as it is kept, or why it isn't."""

    word: Word
    value: bytes
    """JSON. ``too_large``: the bytes that it has and that it may have. ``unfit``: in what way."""

    @property
    def why_not(self) -> str:
        """For people; empty: it's there."""
        if self.word == "too_large":
            size, _, most = self.value.decode("ascii").partition(" ")
            return f"it has {size} bytes, the limit is {most}"
        return "" if self.word == "done" else self.value.decode("utf-8", "replace")


@value
class Keep:
    """That results are kept."""

    for_ms: int
    """How long."""
    max_bytes: int

    def kept(self, returned: Any) -> Kept:
        """What is kept of it. Never raises, whatever the classes of what was returned do.

        Args:
          returned: Something that was kept elsewhere is it already.
        """
        if type(returned) is Kept:
            return returned
        try:
            return Kept("done", result.encode(returned, self.max_bytes))
        except ResultTooLarge as error:
            return Kept("too_large", b"%d %d" % (error.size, error.most))
        except ResultUnfit as error:
            return _unfit(str(error))
        except BaseException as error:  # of a class's own way to write itself, or to say what it is
            return _unfit(f"{type(error).__name__} while it was written as JSON")


def _unfit(words: str) -> Kept:
    return Kept("unfit", words[:WORDS_MAX].encode("utf-8", "backslashreplace"))
