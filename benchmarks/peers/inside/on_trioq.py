"""trioq as it comes: metrics, summaries, logs at level info."""

from __future__ import annotations

import sys
from pathlib import Path

import notes
import trio

import trioq

CONFIG = """
app = "{app}:app"
namespace = "bench"
[redis]
url = "{url}"
[[queues]]
name = "low"
[worker]
count = {slots}
[observability]
bind = "127.0.0.1:0"
log_format = "json"
"""

app = trioq.App()
connecting = client = None


@app.job("noop")
async def noop(pad: str) -> None:
    notes.one()


@app.job("late")
async def late(sent_ns: int) -> None:
    notes.late(sent_ns)


@app.job("wait")
async def wait(pad: str) -> None:
    await trio.sleep(0.001)
    notes.one()


HANDLERS = {"noop": noop, "late": late, "wait": wait}


def start():
    global connecting, client  # noqa: PLW0603
    connecting = trioq.connect_sync(config("on_trioq", notes.SLOTS))
    client = connecting.__enter__()


def stop():
    connecting.__exit__(None, None, None)


def enqueue(job, value):
    client.enqueue(HANDLERS[job].call(value))


def enqueue_many(job, values):
    client.enqueue_many(HANDLERS[job].call(value) for value in values)


def worker(slots):
    return [sys.executable, "-m", "trioq", "serve", str(config("on_trioq", slots))]


def config(module: str, slots: int) -> Path:
    file = Path(notes.DIRECTORY, "jobqueue.toml")
    file.write_text(CONFIG.format(app=module, url=notes.URL, slots=slots))
    return file
