"""What handlers see of their engine's clients: those can't be closed by one job for all others."""

from __future__ import annotations

from typing import Never

from trioq.client.client import Client
from trioq.client.sync import SyncClient
from trioq.engine.handlers.returned import BadHandler

NOT_YOURS = (
    "{} is the engine's, which closes it at its end: all jobs share it, so use it as it is, without"
    " a with statement and without close()"
)


class HandlersClient(Client):
    """``job.client``."""

    async def close(self) -> Never:
        """
        Raises:
          BadHandler: Always.
        """
        raise BadHandler(NOT_YOURS.format("job.client"))

    async def __aenter__(self) -> Never:
        await self.close()

    async def __aexit__(self, *error: object) -> None: ...


class HandlersSyncClient(SyncClient):
    """``job.sync_client``."""

    def close(self) -> Never:
        """
        Raises:
          BadHandler: Always.
        """
        raise BadHandler(NOT_YOURS.format("job.sync_client"))

    def __enter__(self) -> Never:
        self.close()
