"""A real server whose clock a test sets, forwards and backwards, while whole engines run.

There are two ways, because only one of them works everywhere.

``set``: the server's process is started with ``clock.c`` before its C library, so that all it
asks for the time of day is moved: ``TIME``, when keys expire, when a blocked command ends. Its
timers and everybody's monotonic clocks go on, as they do when an administrator or NTP sets a
clock. It needs a C compiler.

``told``: a proxy before the server puts the time into each script's ``given_now``, which the
scripts use in place of the server's clock, and a jump moves all expiries of keys the other way.
To the scripts that is the same. Blocked commands don't notice, and a plain ``TIME`` tells the
true time.
"""

from __future__ import annotations

import re
import struct
import subprocess
import time
from functools import cache
from pathlib import Path

import attrs
import pytest

from tests.faults.proxy import Proxy
from tests.support import Server, wait_until
from trioq.store.scripts import load

WAYS = (pytest.param("set", marks=pytest.mark.needs("cc")), "told")

#: What a jump of the clock does to what was to expire at a time of its own.
MOVE_EXPIRIES = """
for _, key in ipairs(redis.call("KEYS", "*")) do
  local left = redis.call("PTTL", key)
  if left >= 0 then
    redis.call("PEXPIRE", key, left - ARGV[1])
  end
end
"""

_PLACE = re.compile(r"^local ([^=]*)\bgiven_now\b[^=]*= unpack\(ARGV, 1", re.MULTILINE)


@attrs.define
class Clocked(Server):
    """A server with a clock of its own; ``jump`` sets it."""

    ahead_s: int = 0

    def jump(self, seconds: int) -> None:
        """Set the clock forward, or back, by so much."""
        raise NotImplementedError


def clocked(way: str, directory: Path) -> Clocked:
    """A server whose clock can be set in this way, not started yet."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    if way == "told":
        return _Told(options=options)
    offset = directory / "clock"
    offset.write_bytes(struct.pack("q", 0))
    env = {"LD_PRELOAD": str(_library(directory)), "TRIOQ_TEST_CLOCK": str(offset)}
    return _Set(options=options, env=env, offset=offset)


@attrs.define(kw_only=True)
class _Set(Clocked):
    offset: Path

    def jump(self, seconds: int) -> None:
        self.ahead_s += seconds
        with self.offset.open("r+b") as file:  # the server sees these very bytes
            file.write(struct.pack("q", self.ahead_s))
        # It asks for the time once in a millisecond, and takes that as long as this lasts.
        wait_until(lambda: abs(int(self.call("TIME")[0]) - time.time() - self.ahead_s) < 60)


def _library(directory: Path) -> Path:
    made = directory / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, source], check=True)
    return made


@attrs.define(kw_only=True)
class _Told(Clocked):
    @property
    def socket(self) -> str:
        return str(self.directory / "told.sock")

    def start(self) -> Server:
        if self.network is None:
            self.network = Proxy(self.direct, self.socket, self._tell).start()
        return super(Clocked, self).start()

    def jump(self, seconds: int) -> None:
        self.ahead_s += seconds
        self.call("EVAL", MOVE_EXPIRIES, 0, seconds * 1000)

    def _tell(self, name: str, words: list[bytes]) -> list[bytes]:
        place = _place(name)
        if place is None or (name == "enqueue" and words[2] == b"6"):
            return words  # one plain job by itself asks for no time
        place += 3 + int(words[2])  # EVALSHA sha numkeys, and the keys
        assert words[place] == b"", "nobody else tells the time"
        now_ms = int((time.time() + self.ahead_s) * 1000)
        return [*words[:place], b"%d" % now_ms, *words[place + 1 :]]


@cache
def _place(name: str) -> int | None:
    """Where in ARGV a script is told the time, from 0; None: it isn't."""
    try:
        body = load(name).body
    except FileNotFoundError:
        return None  # a command
    found = _PLACE.search(body)
    assert found or "given_now" not in body, f"{name} can't be told the time"
    return found[1].count(",") if found else None
