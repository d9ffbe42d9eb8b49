"""Celery on Redis: no results, no events, and as much prefetched as suits short tasks."""

from __future__ import annotations

import sys

import notes
from celery import Celery

app = Celery("bench", broker=notes.URL)
app.conf.update(
    task_ignore_result=True,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_prefetch_multiplier=128,
    broker_connection_retry_on_startup=True,
)


@app.task
def noop(pad):
    notes.one()


@app.task
def late(sent_ns):
    notes.late(sent_ns)


TASKS = {"noop": noop, "late": late}


def enqueue(job, value):
    TASKS[job].apply_async((value,))


def worker(slots):
    command = [sys.executable, "-m", "celery", "-A", "on_celery", "worker", "-l", "ERROR"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    # One process that runs tasks itself: with a child for them, each is a trip through two pipes.
    return [*command, "--pool", "solo", *quiet]
