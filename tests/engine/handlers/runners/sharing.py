"""Apps whose handlers share something in their processes; they write down what becomes of that."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import trioq

LOG = "TRIOQ_TEST_SHARED"
FAILS = "TRIOQ_TEST_FAILS"


def say(word: str) -> None:
    with Path(os.environ[LOG]).open("a") as log:
        log.write(f"{word} {os.getpid()}\n")


def said_in(log: Path) -> dict[int, list[str]]:
    """By process."""
    lines = [line.rsplit(" ", 1) for line in log.read_text().splitlines()]
    return {int(pid): [word for word, by in lines if by == pid] for _, pid in lines}


async def counts(app: trioq.App) -> AsyncIterator[list[int]]:
    say("entered")
    if os.environ.get(FAILS) == "start":
        raise ConnectionError("no database")
    yield []
    say("left")
    if os.environ.get(FAILS) == "end":
        raise ConnectionError("no goodbye")


app = trioq.App(isolation="process", lifespan=counts)
of_asyncio = trioq.App(isolation="process", lifespan=counts, runtime="asyncio")


async def count(job: trioq.Job[list[int]]) -> int:
    job.deps.append(1)
    say(f"ran {len(job.deps)}")
    return len(job.deps)


app.job(count)
of_asyncio.job(count)
