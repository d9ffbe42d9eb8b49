"""huey on Redis: threads, no results, a blocking read as its documentation advises."""

from __future__ import annotations

import sys

import notes
from huey import RedisHuey

huey = RedisHuey("bench", url=notes.URL, results=False, blocking=True)


@huey.task()
def noop(pad):
    notes.one()


@huey.task()
def late(sent_ns):
    notes.late(sent_ns)


TASKS = {"noop": noop, "late": late}


def enqueue(job, value):
    TASKS[job](value)


def worker(slots):
    command = [f"{sys.prefix}/bin/huey_consumer", "on_huey.huey", "--quiet"]
    options = ["--worker-type", "thread", "--workers", str(slots), "--delay", "0.001"]
    return [*command, *options, "--disable-health-check"]
