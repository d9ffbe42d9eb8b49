"""Handlers that raise, hang or swallow whatever they can: the engine goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable

import pytest
import trio

import trioq
from tests.engine.rig import Rig, config_of, noop
from trioq.core.calls import NewJob
from trioq.core.events import (
    BootLost,
    JobDied,
    JobSucceeded,
)
from trioq.core.formats.record import encode
from trioq.core.job import Options, Record, new_uid

pytestmark = pytest.mark.trio


async def as_group() -> None:
    raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])


async def as_system_exit() -> None:
    raise SystemExit(3)


async def as_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


async def from_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(as_system_exit)
        nursery.start_soon(trio.sleep_forever)


def in_a_thread() -> None:
    raise SystemExit("from a thread")


@pytest.mark.parametrize(
    ("handler", "type_", "message"),
    [
        (as_group, "ExceptionGroup", "2 errors: ValueError: a; KeyError: 'b'"),
        (as_system_exit, "SystemExit", "3"),
        (as_keyboard_interrupt, "KeyboardInterrupt", ""),
        (from_a_nursery, "SystemExit", "3"),
        (in_a_thread, "SystemExit", "from a thread"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_whatever_a_handler_raises_is_in_the_record_and_the_engine_goes_on(
    rig: Rig, handler: Callable[[], Awaitable[None]], type_: str, message: str
) -> None:
    rig.app.job("odd", retry=trioq.Retry(max_attempts=1))(handler)
    noop(rig)
    (uid,) = rig.enqueue("odd")
    async with rig.running():
        await rig.reported(JobDied, uid=uid)
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
        assert rig.of(BootLost) == []
    (line,) = rig.history(uid)
    assert (line["type"], line["message"]) == (type_, message)


async def test_a_handler_that_swallows_its_cancellation_ends_all_the_same(rig: Rig) -> None:
    @rig.app.job("deaf", timeout=0.05, retry=trioq.Retry(max_attempts=1))
    async def deaf() -> None:
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep_forever()

    (uid,) = rig.enqueue("deaf")
    async with rig.running():
        await rig.reported(JobDied)
    (line,) = rig.history(uid)
    assert (line["type"], line["message"]) == (
        "timeout", "took longer than 0.05 s and swallowed its cancellation",
    )  # fmt: skip


async def test_a_thread_that_does_not_return_costs_its_job_and_no_worker(rig: Rig) -> None:
    let_go = False

    @rig.app.job("stuck", timeout=0.1, retry=trioq.Retry(max_attempts=1))
    def stuck() -> None:
        while not let_go:
            time.sleep(0.01)

    noop(rig)
    rig.config = config_of(count=1)
    (uid,) = rig.enqueue("stuck")
    async with rig.running():
        await rig.reported(JobDied)
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
        let_go = True
    (line,) = rig.history(uid)
    assert line["message"] == "took longer than 0.1 s; its thread still runs"


async def test_what_a_job_asks_for_goes_before_what_its_handler_says(rig: Rig) -> None:
    @rig.app.job("slow", timeout=60, retry=trioq.Retry(max_attempts=5, base=0, cap=0))
    async def slow() -> None:
        await trio.sleep_forever()

    uid = new_uid()
    stored, big = encode(Record(uid, "slow", "low", b"{}", options=Options(2, 0.02)))
    rig.store.enqueue("x", 1, [NewJob(uid, "low", stored, big)])
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert died.attempt == 2
    assert "0.02 s" in died.error.message
