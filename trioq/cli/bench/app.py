"""What a benchmark's engines run: a job that does nothing, or waits, and writes down when.

Loaded by ``trioq serve`` in processes of their own. The times are those of the machine's
monotonic clock, which is one for all of its processes, so that they can be compared with the
times at which jobs were due.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from array import array
from pathlib import Path

import trio

from trioq.app import App

#: The variable with the file that the times are written to, when the engine ends.
TIMES = "BENCH_TIMES"

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


def _write() -> None:
    Path(os.environ[TIMES]).write_bytes(_times.tobytes())


def _end_with_the_benchmark() -> None:
    """However it ends, our stdin is closed then; an engine left alone would stay for ever."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if TIMES in os.environ:
    atexit.register(_write)
    threading.Thread(target=_end_with_the_benchmark, daemon=True).start()
