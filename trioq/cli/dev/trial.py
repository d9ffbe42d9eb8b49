"""The new code is tried in a process of its own, while the old one runs on: whether it can be
imported, and fits the configuration."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from trioq.errors import ConfigError, TrioqError
from trioq.processes.interpreter import python

#: How often is looked whether it has ended, or is wanted no more.
LOOK_S = 0.02


def try_out(arguments: Sequence[str], *, is_wanted: Callable[[], bool]) -> str | None:
    """Have another process load the code.

    Args:
      arguments: Of ``trioq dev``.
      is_wanted: Asked again and again; where it isn't, the trial ends without a result.

    Returns:
      What is wrong with it; empty: nothing; None: it was no longer wanted.
    """
    # A breakpoint where a module is imported is for the process at the terminal.
    env = {**os.environ, "PYTHONBREAKPOINT": "0"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*python(), "-m", "trioq", "dev", "--try", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env=env,
        )  # fmt: skip
        try:
            while process.poll() is None:
                if not is_wanted():
                    return None
                time.sleep(LOOK_S)
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            return ""
        said.seek(0)
        text = said.read().decode("utf-8", "replace").strip()
    return text or f"it ended with exit code {process.returncode} where it was imported"


def end(path: str) -> NoReturn:
    """In that process: load all, say what is wrong, and end, also where a module has begun a thread
    that doesn't."""
    code = 0
    try:
        load_all(path)
    except TrioqError as error:
        code = 1
        for fault in error.faults if isinstance(error, ConfigError) else [str(error)]:
            print(f"trioq: {fault}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(code)


def load_all(path: str) -> None:
    """All that can be wrong before an engine runs.

    Raises:
      ConfigError: All that is.
    """
    from trioq.app import App
    from trioq.apps import load_app
    from trioq.registry import app_faults, lifespans_of, registry
    from trioq.settings import load

    made = load(path, also=app_faults)
    app = load_app(made.app, made.directory) if made.app else App()
    registry(app, made, lifespans=lifespans_of(app))
