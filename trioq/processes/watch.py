"""Stands by one child from its start to its end."""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from trioq.processes.child import Child

Log = structlog.typing.FilteringBoundLogger

#: A child that hasn't started by then is spoken of.
SLOW_START_S = 30.0

#: What a child gets beyond twice its grace period, to settle, to sign off and to end threads that
#: are left behind, before it is killed.
KILL_AFTER_S = 15.0

#: How long what it said last is waited for, where somebody else has the other end too.
LAST_WORDS_S = 1.0


async def watch(child: Child, grace_s: float, log: Log, became_ready: Callable[[], None]) -> int:
    """Hear what it says until it has ended; a child that drains and doesn't end is killed.

    Args:
      grace_s: What its handlers get when it drains.
      became_ready: Called when it says so.

    Returns:
      Its exit code; of one that was killed, the signal's number below 0.
    """

    def is_ready() -> None:
        log.info("child_ready", process=child.number, took_s=round(_age_s(child), 2))
        became_ready()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell_slow_start, child, log)
        nursery.start_soon(_kill_in_time, child, grace_s, log)
        async with trio.open_nursery() as hearing:
            hearing.start_soon(child.listen, is_ready)
            code = await child.process.wait()
            hearing.cancel_scope.deadline = trio.current_time() + LAST_WORDS_S
        nursery.cancel_scope.cancel()
    await child.close()
    return code


async def _tell_slow_start(child: Child, log: Log) -> None:
    while True:
        await trio.sleep(SLOW_START_S)
        if child.phase != "starting":
            return
        log.warning("child_starts_slowly", process=child.number, for_s=round(_age_s(child)))


async def _kill_in_time(child: Child, grace_s: float, log: Log) -> None:
    """It has its grace period, for jobs and for threads, and some more."""
    await child.drains.wait()
    await trio.sleep(2 * grace_s + KILL_AFTER_S)
    log.error("child_killed", process=child.number)
    child.kill()


def _age_s(child: Child) -> float:
    return trio.current_time() - child.started_at
