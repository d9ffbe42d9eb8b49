"""Handlers that do to their process what an engine wouldn't survive; and those that look around."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import trio

import trioq
from trioq.core.convert import CONVERTER
from trioq.engine.handlers.place import place

app = trioq.App(isolation="process")

LONG_S = 60


# -- ends of the process -----------------------------------------------------------------------


@app.job
def crash() -> None:
    ctypes.string_at(0)


@app.job
async def kill_itself(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)
    await trio.sleep(LONG_S)


@app.job(runtime="asyncio")
async def in_asyncio() -> None:
    await asyncio.sleep(0)


@app.job
def leave(code: int) -> None:
    print("bye")  # without a flush
    os._exit(code)


def _line() -> int:
    """The descriptor on which it speaks with its engine."""
    return int(sys.argv[2])


@app.job
def hang_up() -> None:
    os.close(_line())
    time.sleep(LONG_S)


@app.job
def talk_nonsense(nonsense: str) -> None:
    os.write(_line(), nonsense.encode("latin-1"))
    time.sleep(LONG_S)


@app.job
def fork_and_come_back() -> None:
    os.fork()


class Greedy:
    """For one of these there is no memory."""


def _no_memory(value: Any, kind: Any) -> Greedy:
    raise MemoryError


CONVERTER.register_structure_hook(Greedy, _no_memory)


@app.job
def want(greedy: Greedy) -> None:
    pass


@app.job
def take(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


# -- what goes on for too long -----------------------------------------------------------------


@app.job
def spin() -> None:
    while True:
        pass


@app.job
async def block_the_loop() -> None:
    time.sleep(LONG_S)  # noqa: ASYNC251


@app.job
def hold_the_lock(told: str = os.devnull) -> None:
    """No other thread of this process runs meanwhile."""
    Path(told).write_text(f"{os.getpid()}\n")
    ctypes.PyDLL(None).sleep(LONG_S)


@app.job
def heed_its_cancellation(told: str) -> None:
    Path(told).write_text("begun")
    try:
        while True:
            trio.from_thread.check_cancelled()
            time.sleep(0.001)
    finally:
        Path(told).write_text("cleaned up")


@app.job
def finish_in_spite_of_it(seconds: float) -> None:
    time.sleep(seconds)


@app.job
def wait_for(told: str, begun: str = "") -> None:
    if begun:
        Path(begun).touch()
    while not Path(told).exists():
        time.sleep(0.001)


@app.job(isolation="none")
async def pass_by() -> None:
    """Needs no runner."""


@app.job
def start_another(told: str, shields: bool = False) -> None:
    """A program of its own, which it waits for."""
    ignore = "trap '' TERM; " if shields else ""
    program = subprocess.Popen(["/bin/sh", "-c", f"{ignore}echo $$ > {told}.new; "
                                f"mv {told}.new {told}; while :; do sleep 0.05; done"])  # fmt: skip
    program.wait()


@app.job
def leave_another_behind(told: str) -> None:
    """A program that doesn't end when it is asked to."""
    script = f"trap '' TERM; echo $$ > {told}.new; mv {told}.new {told}; while :; do sleep 1; done"
    subprocess.Popen(["/bin/sh", "-c", script])
    while not Path(told).exists():
        time.sleep(0.001)


# -- what it sees ------------------------------------------------------------------------------


@app.job
def look_around(job: trioq.Job, told: str) -> None:
    here = place.get(None)
    seen: dict[str, Any] = {
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "stdin": sys.stdin.read(),
        "cwd": str(Path.cwd()),
        "path": sys.path,
        "place": None if here is None else [here.boot, here.worker],
        "job": [job.uid, job.attempt, job.token, job.trace],
        "is_current": trioq.current_job() is job,
        "inheritable": [fd for fd in range(3, 100) if _is_inherited(fd)],
        "daemon": multiprocessing.current_process().daemon,
    }
    Path(told).write_text(json.dumps(seen))


def _is_inherited(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


@app.job
async def tell_its_time(told: str) -> None:
    """How long it may take yet, in seconds."""
    left_s = trio.current_effective_deadline() - trio.current_time()
    await trio.Path(told).write_text(str(left_s))


@app.job
def enqueue_another(job: trioq.Job, url: str, told: str) -> None:
    with trioq.connect_sync(url=url, namespace="t") as client:
        uid = client.enqueue("child", queue="low").uid
    Path(told).write_text(f"{uid} {job.deadline}")


@app.job
def measure(text: str, told: str) -> None:
    Path(told).write_text(json.dumps([len(text), sum(map(ord, text))]))


@app.job
def note_pid(told: str) -> None:
    Path(told).write_text(f"{os.getpid()}\n")


@app.job
def say(text: str) -> None:
    print(f"printed {text}")
    logging.getLogger("deeds").warning("logged %s", text)


@app.job
def meet(directory: str, count: int) -> None:
    """Wait until so many processes are here at the same time."""
    here = Path(directory)
    (here / f"{os.getpid()}.here").touch()
    deadline = time.monotonic() + 30
    while len(list(here.glob("*.here"))) < count:
        assert time.monotonic() < deadline, "nobody else comes"
        time.sleep(0.005)


@app.job
def count(pages: int, told: str) -> None:
    """Say how far it is, and in the end fail."""
    job = trioq.current_job()
    before = job.previous
    Path(told).write_text("nothing" if before is None else f"{before.fraction:g} {before.data}")
    for page in range(pages):
        job.progress(page / pages, f"page {page}", {"page": page, "of": job.attempt})
        job.log(f"page {page}")
    raise RuntimeError("no more pages")


@app.job
async def dawdle() -> None:
    """Say how far it is, and go on."""
    job = trioq.current_job()
    job.progress(0.5, "half", ["ü"])
    job.log("here")
    await trio.sleep(600)


@app.job
def ask_why(told: str) -> None:
    """Says why it was cancelled."""
    path = Path(told)
    path.touch()
    try:
        while True:
            trioq.check_cancelled()
    except trio.Cancelled as error:
        path.write_text(str(error.reason))
        raise
