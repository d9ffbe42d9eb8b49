"""Handlers that Sentry watches, in runners, too, which import this."""

from __future__ import annotations

import asyncio

import sentry_sdk
import trio
import trio.lowlevel

import trioq
from trioq.contrib.sentry import watch

app = trioq.App()
watch(app)
ONCE = trioq.Retry(max_attempts=1)
THRICE = trioq.Retry(max_attempts=3, base=0.001, cap=0.001)


def note(text: str) -> None:
    sentry_sdk.add_breadcrumb(message=text)


def begun(job: trioq.Job) -> None:
    note(f"{job.payload['text']} of attempt {job.attempt}")


def fall(text: str) -> None:
    raise ValueError(f"no {text}")


@app.job(retry=THRICE)
def in_thread(job: trioq.Job, text: str) -> None:
    begun(job)
    fall(text)


@app.job(retry=THRICE)
async def in_trio(job: trioq.Job, text: str) -> None:
    begun(job)
    await trio.lowlevel.checkpoint()
    fall(text)


@app.job(retry=THRICE, runtime="asyncio")
async def in_asyncio(job: trioq.Job, text: str) -> None:
    begun(job)
    await asyncio.sleep(0)
    fall(text)


@app.job(retry=THRICE, isolation="process")
def apart(job: trioq.Job, text: str) -> None:
    fall(text)


@app.job(retry=ONCE, timeout=0.05)
async def slow() -> None:
    note("it is slow")
    await trio.sleep_forever()


@app.job(retry=ONCE)
def gives_up() -> None:
    raise trioq.GiveUp("no such order")


@app.job(retry=trioq.Retry(max_attempts=3, base=60, cap=60, jitter=0))
def too_late() -> None:
    fall("time")


@app.job
def well(text: str = "") -> None:
    note("all is well")


@app.job
def wishes(job: trioq.Job) -> None:
    if job.previous is None:
        job.progress(0.5)
        raise trioq.Snooze(0.001)


@app.job(retry=THRICE)
def asks(job: trioq.Job, always: bool = False) -> None:
    note("it asks")
    if always or job.attempt < 3:
        raise trioq.RetryLater(0.001)


@app.job
async def stays(job: trioq.Job) -> None:
    await trio.sleep_forever()
