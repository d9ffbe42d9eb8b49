"""A peer that is no server: it answers byte for byte what a test wants to hear."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis.connection import AbstractConnection, UnixDomainSocketConnection

from tests.support import PATIENCE_S
from trioq.store.lane import Lane, no_retries
from trioq.store.nudge import NUDGE


def _requests(sock: socket.socket) -> Iterator[bytes]:
    """What comes, piece by piece; but nudges that come together, or with what was before them, are
    pieces of their own."""
    while piece := sock.recv(1 << 16):
        count = 0
        while piece.endswith(NUDGE):
            piece, count = piece.removesuffix(NUDGE), count + 1
        yield from [piece, *[NUDGE] * count] if piece else [NUDGE] * count


class Peer:
    """A peer that answers each connection as it is told, byte for byte."""

    def __init__(self, directory: Path, *answers: list[bytes | None]) -> None:
        """Each connection is answered from the next list, one item for each read; the last list
        serves all further ones. None hangs up."""
        self.path = str(directory / "fake.sock")
        self.received: list[bytes] = []
        self.connections = 0
        self.ended = 0
        """How many of them have: what came by then is received."""
        self._answers = list(answers)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            answers = self._answers[min(self.connections, len(self._answers) - 1)]
            self.connections += 1
            threading.Thread(target=self._talk, args=(sock, answers), daemon=True).start()

    def _talk(self, sock: socket.socket, answers: list[bytes | None]) -> None:
        with contextlib.suppress(OSError):  # they may hang up, or we be closed, at any moment
            for answer, request in zip(answers, _requests(sock), strict=False):
                self.received.append(request)
                if answer is None:
                    sock.close()
                    break
                sock.sendall(answer)
        self.ended += 1

    def lane(self, **options: Any) -> Lane:
        def dial(name: str) -> AbstractConnection:
            return UnixDomainSocketConnection(  # type: ignore[abstract]
                path=self.path, protocol=2, retry=no_retries(), driver_info=None,
                **{"socket_timeout": 5.0, **options},
            )  # fmt: skip

        return Lane(dial, "fake")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            sock.close()
        self._thread.join(PATIENCE_S)
