"""Connections to the embedded server."""

from __future__ import annotations

import errno
import socket
from typing import Any

from redis.connection import UnixDomainSocketConnection

from trioq.store.embedded.server import Embedded


class EmbeddedConnection(UnixDomainSocketConnection):
    """One; the server is started again if it was killed."""

    def __init__(self, server: Embedded, **options: Any) -> None:
        self._server = server
        super().__init__(path=server.socket_path, **options)  # type: ignore[no-untyped-call]

    def _connect(self) -> socket.socket:
        try:
            return self._dialled()
        except (ConnectionRefusedError, FileNotFoundError):
            # Nobody listens. A server that is stopped or loading does, and is waited for.
            if not self._server.revive():
                if why := self._server.why_gone:
                    raise ConnectionRefusedError(errno.ECONNREFUSED, why) from None
                raise
            return self._dialled()

    def _dialled(self) -> socket.socket:
        sock: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        return sock
