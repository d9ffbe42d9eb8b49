"""RQ with its SimpleWorker, which doesn't fork for each job; no results."""

from __future__ import annotations

import sys

import notes
from redis import Redis
from rq import Queue


def noop(pad):
    notes.one()


def late(sent_ns):
    notes.late(sent_ns)


JOBS = {"noop": "on_rq.noop", "late": "on_rq.late"}

queue = Queue("bench", connection=Redis.from_url(notes.URL))


def enqueue(job, value):
    queue.enqueue(JOBS[job], value, result_ttl=0)


def enqueue_many(job, values):
    queue.enqueue_many([Queue.prepare_data(JOBS[job], (v,), result_ttl=0) for v in values])


def worker(slots):
    command = [f"{sys.prefix}/bin/rq", "worker", "--url", notes.URL, "--quiet", "--path", "."]
    return [*command, "-w", "rq.worker.SimpleWorker", "--disable-job-desc-logging", "bench"]
