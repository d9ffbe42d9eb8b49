"""What a client is opened with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import NoReturn, ParamSpec, TypeVar

from trioq.core.config import Config, check
from trioq.settings import from_url, load


def configured(
    config: Config | str | Path | None, url: str | None, namespace: str | None
) -> tuple[Config, bool]:
    """The configuration, and whether it says which queues there are."""
    if (config is None) == (url is None):
        raise TypeError("connect takes a configuration or a url")
    if url is not None:
        made = from_url(url, namespace=namespace)
        return made, bool(made.queues)
    if isinstance(config, Config):
        check(config)
    else:
        assert config is not None
        config = load(config)  # tells who means a URL where that goes
    if namespace is not None:
        raise TypeError("the namespace is in the configuration")
    return config, True


P = ParamSpec("P")
C = TypeVar("C")


class Opening(AbstractContextManager[C]):
    """A client, once it is opened."""

    def __init__(self, opens: AbstractContextManager[C]) -> None:
        self._opens = opens

    def __enter__(self) -> C:
        return self._opens.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._opens.__exit__(kind, error, traceback)

    def __getattr__(self, name: str) -> NoReturn:
        told = f"nothing is open yet: with trioq.connect_sync(…) as client: client.{name}"
        raise AttributeError(told, name=name, obj=self)


class TrioOpening(AbstractAsyncContextManager[C]):
    """The same from trio."""

    def __init__(self, opens: AbstractAsyncContextManager[C]) -> None:
        self._opens = opens

    async def __aenter__(self) -> C:
        import trio

        if not trio.lowlevel.in_trio_task():
            raise RuntimeError(
                "trioq.connect is for trio, and nothing of trio runs here (asyncio does, perhaps):"
                " trio.run(main); or else trioq.connect_sync, in a thread"
            )
        return await self._opens.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._opens.__aexit__(kind, error, traceback)

    def __getattr__(self, name: str) -> NoReturn:
        told = f"nothing is open yet: async with trioq.connect(…) as client: client.{name}"
        raise AttributeError(told, name=name, obj=self)


def opening(function: Callable[P, Iterator[C]]) -> Callable[P, Opening[C]]:
    """``contextmanager``, and whoever leaves out the ``with`` is told."""
    made = contextmanager(function)

    @wraps(function)
    def open_it(*args: P.args, **kwargs: P.kwargs) -> Opening[C]:
        return Opening(made(*args, **kwargs))

    return open_it


def trio_opening(function: Callable[P, AsyncIterator[C]]) -> Callable[P, TrioOpening[C]]:
    """The same for ``async with``; and so is whoever is somewhere else than in trio."""
    made = asynccontextmanager(function)

    @wraps(function)
    def open_it(*args: P.args, **kwargs: P.kwargs) -> TrioOpening[C]:
        return TrioOpening(made(*args, **kwargs))

    return open_it
