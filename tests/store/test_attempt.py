"""Connecting, given up at any moment."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from redis.connection import AbstractConnection

from tests.support import Server, wait_until
from trioq.errors import StoreUnreachable
from trioq.store.attempt import Attempt


class CtrlC:
    """Raises KeyboardInterrupt in this thread after so many calls, as a signal may: Python
    handles one when a call of its own begins, or when one of C's has returned."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event in ("call", "c_return"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    @property
    def came(self) -> bool:
        return self.left <= 0


def test_a_ctrl_c_at_any_moment_is_one_and_leaves_no_connection(server: Server) -> None:
    made: list[AbstractConnection] = []

    def connect() -> AbstractConnection:
        connection = server.dial("attempt")
        connection.connect()
        made.append(connection)
        return connection

    after = 0
    while True:
        after += 1
        ctrl_c, attempt = CtrlC(after), Attempt("test")
        sys.setprofile(ctrl_c)
        try:
            connection = attempt.run(connect)
        except KeyboardInterrupt:
            continue
        finally:
            sys.setprofile(None)
        connection.disconnect()
        if not ctrl_c.came:
            break
    assert after > 3
    wait_until(lambda: not any(connection.is_connected for connection in made))


def test_where_there_is_no_thread_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", none_left)
    with pytest.raises(StoreUnreachable, match="no thread to connect: can't start"):
        Attempt("test").run(lambda: pytest.fail("nobody can call it"))
