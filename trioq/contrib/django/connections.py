"""Database connections around each job, as Django has them around each request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections, connections, reset_queries

from trioq import Job

_closing: set[asyncio.Task[None]] = set()
"""So that none is collected before it has ended."""


def database(job: Job) -> Iterator[None]:
    """Middleware.

    In a thread, connections that are broken or older than ``CONN_MAX_AGE`` are closed, in there,
    before the job and after it. In asyncio, as a request of ASGI has it, the ORM's calls are made
    in a thread of the job's own, and its connections are closed when it has ended.
    """
    with _in_loop() if _is_in_loop() else in_thread():
        yield


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def in_thread() -> Iterator[None]:
    """Around whatever uses the ORM in this thread."""
    reset_queries()
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


@contextmanager
def _in_loop() -> Iterator[None]:
    threads: Any = ThreadSensitiveContext()
    _at_once(threads.__aenter__())
    try:
        yield
    finally:
        # It is called from that thread, so whoever hasn't used the ORM would start one for it.
        if threads in SyncToAsync.context_to_thread_executor:
            task = asyncio.create_task(_close())
            _closing.add(task)
            task.add_done_callback(_closing.discard)


async def _close() -> None:
    await sync_to_async(connections.close_all)()


def _at_once(coroutine: Any) -> None:
    """Run what awaits nothing. What it sets in context variables stands here.

    asgiref forgets the thread when the context is gone, so that there is nothing to leave.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("asgiref's ThreadSensitiveContext awaits something: this version is too new")
