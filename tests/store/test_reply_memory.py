"""What an answer that goes on and on costs whoever asked: a process of its own is measured."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from tests.store.test_replies import Parrot
from trioq.errors import StoreUnreachable
from trioq.store import replies
from trioq.store.keys import Keys
from trioq.store.lane import Lane
from trioq.store.redis import RedisStore

MIB = 1 << 20
SAID = 400 * MIB

ASKS = r"""
import re, sys
from redis.connection import UnixDomainSocketConnection
from trioq.errors import StoreUnreachable
from trioq.store.keys import Keys
from trioq.store.lane import Lane, no_retries
from trioq.store.redis import RedisStore

def dial(name):
    return UnixDomainSocketConnection(
        path=sys.argv[1], protocol=2, retry=no_retries(), driver_info=None, socket_timeout=5.0
    )

def most():  # of this process alone: what rusage tells begins with its parent's
    return int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024

store, before = RedisStore(Keys("t"), Lane(dial, "asks")), most()
for _ in range(3):
    try:
        store.beat("e.1")
    except StoreUnreachable as error:
        assert "more than 16,777,216 bytes" in str(error), error
    else:
        raise SystemExit("it was answered")
print(most() - before)
"""


@attrs.define
class Flood(Parrot):
    """Says what it says once, and then the same without end."""

    goes_on: bytes = b""

    def _talk(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.recv(1 << 16)
            sock.sendall(self.says)
            for _ in range(SAID // len(self.goes_on)):
                sock.sendall(self.goes_on)


X = b"x" * 1000


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [(b"*1\r\n$%d\r\n" % SAID, X), (b"+", X), (b"*500000\r\n", b"$1000\r\n" + X + b"\r\n")],
    ids=["a text", "a line", "a list"],
)
def test_an_answer_without_end_costs_no_more_memory_than_the_longest_answer(
    tmp_path: Path, begins: bytes, goes_on: bytes
) -> None:
    flood = Flood(str(tmp_path / "flood.sock"), begins, goes_on=goes_on * 100)
    flood.start()
    asked = subprocess.run(
        [sys.executable, "-c", ASKS, flood.path],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    flood.close()
    grown = int(asked.stdout)
    # What is read is held in one buffer, and sometimes in the next one, which is larger.
    assert replies.SCRIPT_BYTES_MAX // 2 < grown < 3 * replies.SCRIPT_BYTES_MAX


@pytest.mark.parametrize("begins", [b"*2000000000\r\n", b"*2\r\n*99999999\r\n"])
def test_a_list_of_more_items_than_can_be_is_no_answer_as_soon_as_it_begins(
    tmp_path: Path, begins: bytes
) -> None:
    parrot = Parrot(str(tmp_path / "parrot.sock"), begins + b":1\r\n").start()
    with pytest.raises(StoreUnreachable, match="more items than can be"):
        RedisStore(Keys("t"), Lane(parrot.dial, "asks")).beat("e.1")
    parrot.close()
