"""What a runner makes of what it is told, without the process around it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import trio

import trioq
from trioq.engine.handlers.runners.frames import Frame, Line, encode, job_in
from trioq.engine.handlers.runners.inside import Inside, Works

pytestmark = pytest.mark.trio


async def sleeps() -> None:
    await trio.sleep_forever()


async def greets() -> str:
    return "hello"


def job_of(name: str) -> Frame:
    job = trioq.Job(uid="0" * 32, name=name, queue="low", payload={}, token="boot:1")
    return {
        "job": job_in(job), "timeout_s": None, "result_bytes": None, "began": time.monotonic(),
        "place": None,
    }  # fmt: skip


@contextlib.asynccontextmanager
async def runner() -> AsyncIterator[Line]:
    mine, theirs = trio.socket.socketpair()
    handlers = {each.__name__: Inside(each.__name__, each) for each in (sleeps, greets)}
    works = Works(
        Line(trio.SocketStream(theirs)), handlers, lambda trace: contextlib.nullcontext(), False
    )
    engine = Line(trio.SocketStream(mine))
    async with engine.stream, works.line.stream, trio.open_nursery() as nursery:
        nursery.start_soon(works.run)
        assert await engine.receive() == {"names": ["greets", "sleeps"]}
        with trio.fail_after(20):
            yield engine
        nursery.cancel_scope.cancel()


async def heard(engine: Line) -> str:
    """How the job has ended."""
    frame = await engine.receive()
    assert frame is not None
    return str(frame["ended"])


async def test_a_cancel_that_comes_together_with_its_job_reaches_it() -> None:
    async with runner() as engine:
        await engine.stream.send_all(encode(job_of("sleeps")) + encode({"cancel": "no more"}))
        assert await heard(engine) == "Interrupted"


async def test_a_cancel_that_comes_after_its_jobs_end_is_none_of_the_next_one() -> None:
    async with runner() as engine:
        await engine.send(job_of("greets"))
        assert await heard(engine) == "Succeeded"
        await engine.stream.send_all(encode({"cancel": "no more"}) + encode(job_of("greets")))
        assert await heard(engine) == "Succeeded"
