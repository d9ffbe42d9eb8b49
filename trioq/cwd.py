"""The working directory. A deployment may remove it from under a program that runs there.

What is given by an absolute path doesn't need it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def working_directory() -> Path | None:
    """Where this process stands; None if that is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def why_missing(path: Path) -> str:
    """Why a path isn't there, as far as the working directory goes; empty if it isn't that."""
    if path.is_absolute() or working_directory() is not None:
        return ""
    was = os.environ.get("PWD", "")
    with contextlib.suppress(OSError):  # Linux remembers it
        was = os.readlink("/proc/self/cwd").removesuffix(" (deleted)")
    return f"the working directory is gone{f' ({was})' if was else ''}: give an absolute path"
