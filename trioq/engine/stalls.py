"""Where a loop stands that doesn't turn."""

from __future__ import annotations

import itertools
import sys
import traceback
from types import FrameType


def where(thread: int) -> str:
    """The line of the handler that blocks, and the one deep in a library where it does."""
    innermost = sys._current_frames().get(thread)
    if innermost is None:
        return "unknown"
    frames = [frame for frame, _ in traceback.walk_stack(innermost)][::-1]
    below_us = itertools.dropwhile(lambda frame: not _is_ours(frame), frames)
    handler = next((frame for frame in below_us if not _is_ours(frame)), innermost)
    deeper = "" if handler is innermost else f", which waits at {_line(innermost)}"
    return _line(handler) + deeper


def _is_ours(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    # click calls the command in which the engine runs.
    return module.partition(".")[0] in ("trioq", "trio", "outcome", "asyncio", "click")


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
