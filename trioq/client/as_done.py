"""Several jobs, in the order in which they end."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar, overload

from trioq.client.ends import JobEnd
from trioq.client.handle import Handle, SyncHandle
from trioq.core.arguments import Seconds
from trioq.core.calls import End
from trioq.core.current import waits_here

R = TypeVar("R")


class AsDone(Generic[R]):
    """What :func:`as_done` gives for handles of an async client: an async iterator."""

    def __init__(self, handles: list[Handle[R]], timeout: Seconds | None) -> None:
        self._handles, self._queues = handles, _queues_of(handles)
        self._client: Any = None
        self._ends: Any = None
        if handles:
            self._client = _client_of(handles)
            self._ends = self._client.ends_of(handles, timeout)

    def __aiter__(self) -> Self:
        return self

    def __iter__(self) -> Iterator[Any]:
        # Of none nobody can tell whose they are.
        if self._handles:
            raise TypeError("these handles are an async client's: async for … in trioq.as_done(…)")
        return iter(())

    async def __anext__(self) -> tuple[Handle[R], JobEnd[R]]:
        if self._ends is None:
            raise StopAsyncIteration
        with waits_here(self._queues):
            place, end = await anext(self._ends)
        handle = self._handles[place]
        return handle, await self._client.told(handle, end)


@overload
def as_done(handles: Iterable[Handle[R]], timeout: Seconds | None = None) -> AsDone[R]: ...
@overload
def as_done(
    handles: Iterable[SyncHandle[R]], timeout: Seconds | None = None
) -> Iterator[tuple[SyncHandle[R], JobEnd[R]]]: ...
def as_done(handles: Iterable[Any], timeout: Seconds | None = None) -> Any:
    """Each job with its end, as they end: what ``asyncio.as_completed`` is for tasks.

    ``async for handle, end in trioq.as_done(handles)`` for handles of an async client, and ``for``
    for those of a sync one. However many they are, one connection listens.

    Args:
      handles: Of one client. One that is there twice is told twice.
      timeout: Seconds, for all of them, or a timedelta. Default: as long as it takes.

    Raises:
      WaitTimeout: Some haven't ended in this time; from the iterator.
      StoreClosed, StoreRefused: Nobody can be told; likewise.
      TypeError: They are no handles.
      ValueError: They are of several clients.

    Cancellation: at once, and nothing is left behind.
    """
    handles = _checked(handles)
    if handles and isinstance(handles[0], SyncHandle):
        client = _client_of(handles)
        ends = client.ends_of(handles, timeout)
        return _sync_as_done(client, handles, ends)
    return AsDone(handles, timeout)


def _sync_as_done(
    client: Any, handles: list[Any], ends: Iterator[tuple[int, End]]
) -> Iterator[Any]:
    queues = _queues_of(handles)
    while True:
        with waits_here(queues):
            told = next(ends, None)
        if told is None:
            return
        place, end = told
        yield handles[place], client.told(handles[place], end)


def _checked(handles: Any) -> list[Any]:
    if not isinstance(handles, Iterable):
        raise TypeError(f"as_done takes handles, [handle, …], not {_shown(handles)}")
    listed = list(handles)
    for each in listed:
        if not isinstance(each, Handle | SyncHandle):
            raise TypeError(f"as_done takes handles, [handle, …], and this is {_shown(each)}")
    return listed


def _shown(what: Any) -> str:
    if isinstance(what, Handle | SyncHandle):
        return "a single one"
    if inspect.iscoroutine(what):
        return f"the coroutine {what.__qualname__}(): await it first"
    return f"an object of type {type(what).__name__}"


def _queues_of(handles: list[Any]) -> frozenset[str]:
    return frozenset(handle.queue for handle in handles)


def _client_of(handles: list[Any]) -> Any:
    clients = {id(handle._client): handle._client for handle in handles}
    if len(clients) > 1:
        raise ValueError(f"as_done: these handles are of {len(clients)} clients; wait for each's")
    return handles[0]._client
