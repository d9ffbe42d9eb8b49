"""What a forked child does first, where there are any: Windows has none."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_each_fork(function: Callable[[], None]) -> None:
    """Call it in each child that is forked off from now on."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
