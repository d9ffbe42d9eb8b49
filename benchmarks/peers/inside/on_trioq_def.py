"""trioq with handlers that are plain functions: they run in threads."""

from __future__ import annotations

import sys

import notes
import on_trioq
from on_trioq import enqueue, enqueue_many, start, stop

import trioq

__all__ = ["app", "enqueue", "enqueue_many", "start", "stop", "worker"]

app = trioq.App()


@app.job("noop")
def noop(pad: str) -> None:
    notes.one()


@app.job("late")
def late(sent_ns: int) -> None:
    notes.late(sent_ns)


def worker(slots):
    config = on_trioq.config("on_trioq_def", slots)
    return [sys.executable, "-m", "trioq", "serve", str(config)]
