"""The clients of the engine that runs here, for the handlers that it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

OfAsyncio = Callable[[], "AbstractEventLoop | None"]
"""Where handlers of asyncio run; None: none has run yet."""


class Clients(Protocol):
    """One engine's, or a runner's."""

    @property
    def client(self) -> Any:
        """For the loop that runs here."""

    @property
    def sync_client(self) -> Any:
        """For the thread that runs here, which is no loop's."""

    def there(self, asyncio_loop: OfAsyncio) -> AbstractContextManager[None]:
        """While this lasts handlers find them; then they are closed. In the engine's loop."""


#: Set where an engine begins, so that all that it runs inherits it: no job has to carry it.
engine_clients: ContextVar[Clients] = ContextVar("trioq_clients")


def clients_here(wanted: str) -> Clients:
    """Those of the engine that runs here.

    Args:
      wanted: What is asked for, for the message.

    Raises:
      LookupError: None does, or not as far as this thread knows.
    """
    try:
        return engine_clients.get()
    except LookupError:
        raise LookupError(
            f"{wanted}: no engine runs this, so there is none: it is for handlers, while an engine"
            " runs them. A thread that a handler starts by itself is handed the client by it"
        ) from None
