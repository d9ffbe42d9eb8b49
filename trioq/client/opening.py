"""What a client is opened with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import NoReturn, ParamSpec, TypeVar

from trioq.core import arguments, valid
from trioq.core.arguments import Seconds
from trioq.core.config import Config, check
from trioq.errors import PayloadRejected
from trioq.settings import from_url, load


def configured(
    config: Config | str | Path | None, url: str | None, namespace: str | None
) -> tuple[Config, bool]:
    """The configuration, and whether it says which queues there are."""
    if (config is None) == (url is None):
        got = "neither" if url is None else "both"
        raise TypeError(
            f"connect takes a configuration or a url, and got {got}: a file, as"
            ' "jobqueue.toml", or url="redis://…" with namespace="…"'
        )
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


def patience_of(patience: Seconds | None) -> float | None:
    """For how long a client's calls try to get an answer; None: as long as any.

    Raises:
      TypeError, ValueError: With what it may be.
    """
    if patience is None:
        return None
    try:
        return arguments.seconds("patience", patience, valid.TIMEOUT_S)
    except PayloadRejected as error:
        raise ValueError(str(error)) from None


class TrioOpening(AbstractAsyncContextManager[C]):
    """A client in trio, once it is opened."""

    def __init__(self, opens: AbstractAsyncContextManager[C]) -> None:
        self._opens = opens

    async def __aenter__(self) -> C:
        import trio

        if not trio.lowlevel.in_trio_task():
            raise RuntimeError(
                "trioq.connect is for trio, and nothing of trio runs here (asyncio does, perhaps):"
                " trio.run(main); in asyncio it is trioq.aio.connect"
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


def trio_opening(function: Callable[P, AsyncIterator[C]]) -> Callable[P, TrioOpening[C]]:
    """``asynccontextmanager``, and whoever leaves out the ``async with`` is told, or is somewhere
    else than in trio."""
    made = asynccontextmanager(function)

    @wraps(function)
    def open_it(*args: P.args, **kwargs: P.kwargs) -> TrioOpening[C]:
        return TrioOpening(made(*args, **kwargs))

    return open_it
