"""What a benchmark's engines run: a job that does nothing, or waits, and writes down when.

Loaded by ``trioq serve`` in processes of their own. The times are those of the machine's
monotonic clock, which is one for all of its processes, so that they can be compared with the
times at which jobs were due.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import threading
import time
from array import array
from pathlib import Path
from typing import Any

import trio

from trioq.app import App

#: The variable with the file that the times are written to, when the engine ends.
TIMES = "BENCH_TIMES"

#: The variable with the handlers that the configuration names, as a list of JSON. It is refused
#: where they are missing.
NAMED = "BENCH_NAMED"

NAME = "bench"

#: What is written of each run: its job's number, when it was due, began and ended, in ns.
FIELDS = 4

app = App()
_times = array("q")


@app.job(NAME)
async def bench(i: int, at: int, work: float = 0.0, pad: str = "") -> None:
    """Note the times; with ``work``, wait for so many seconds in between."""
    began = time.monotonic_ns()
    if work:
        await trio.sleep(work)
    _times.extend((i, at, began, time.monotonic_ns()))


async def _nothing(**_fields: Any) -> None:
    """Stands for a handler of the configuration's own app."""


def _write() -> None:
    Path(os.environ[TIMES]).write_bytes(_times.tobytes())


def _end_with_the_benchmark() -> None:
    """However it ends, our stdin is closed then; an engine left alone would stay for ever."""
    while os.read(0, 1024):  # of sys.stdin it would hold the lock, which its end needs
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if TIMES in os.environ:
    atexit.register(_write)
    threading.Thread(target=_end_with_the_benchmark, daemon=True).start()

for named in json.loads(os.environ.get(NAMED, "[]")):
    app.job(named)(_nothing)
