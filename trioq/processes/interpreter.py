"""How a process like this one is started."""

from __future__ import annotations

import sys
from pathlib import Path


def python() -> list[str]:
    """Python, such that it imports trioq from where this process has it from.

    A file that happens to lie in the working directory isn't a module, unless this process was
    started so that it would be one.
    """
    is_module = Path(sys.argv[0]).name == "__main__.py" and not sys.flags.safe_path
    return [sys.executable, *(() if is_module else ("-P",))]
