"""What tests share: a real server to hurt, stores on it, and the command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
from redis.connection import AbstractConnection, Connection, UnixDomainSocketConnection

from tests.faults.network import NETWORK, ResendingLane, between
from tests.faults.proxy import Proxy
from trioq.core.calls import CancelWord, IdKeep, NewJob, Unwanted
from trioq.core.fair import FairKey
from trioq.core.formats.record import encode
from trioq.core.formats.summary import encode_cancelled
from trioq.core.job import Options, Record, new_uid
from trioq.store.embedded import find_server
from trioq.store.keys import Keys
from trioq.store.lane import Lane, no_retries
from trioq.store.protocol import Store, StoreOptions
from trioq.store.redis import RedisStore

T = TypeVar("T")

#: What anything here may take before a test fails: far more than it takes, also where the machine
#: does several other things at a time.
PATIENCE_S = 90.0


def wait_until(what: Callable[[], T], timeout_s: float = PATIENCE_S) -> T:
    """The first true answer; looks again every few milliseconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.005)


@attrs.define
class Server:
    """A server process of the test's own, on a Unix socket."""

    directory: Path = attrs.field(
        factory=lambda: Path(tempfile.mkdtemp(prefix="trioq-test-", dir="/tmp"))
    )
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """More for the environment of its process."""
    process: subprocess.Popen[bytes] | None = None
    network: Proxy | None = None

    @property
    def direct(self) -> str:
        """The server's own socket."""
        return str(self.directory / "s.sock")

    @property
    def socket(self) -> str:
        """What tests connect to: the network that ``TRIOQ_TEST_NETWORK`` names lies behind it."""
        return self.direct if NETWORK == "direct" else str(self.directory / "p.sock")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> Server:
        """Start it on its directory, and wait until it answers."""
        argv = [
            str(find_server().path), "--port", "0", "--unixsocket", self.direct, "--dir", ".",
            "--save", "", "--logfile", "server.log", "--enable-debug-command", "yes", *self.options,
        ]  # fmt: skip
        # Signals as they are here: a write beyond a limit on a file's size is an error, no end.
        self.process = subprocess.Popen(
            argv, cwd=self.directory, start_new_session=True, restore_signals=False,
            env={**os.environ, **self.env},
        )  # fmt: skip
        wait_until(self._answers)
        if self.network is None:
            self.network = between(self.direct, self.socket)
        return self

    def _answers(self) -> bool:
        try:
            return bool(self.call("PING") == b"PONG")
        except Exception:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and forget its data."""
        if self.network is not None:
            self.network.close()
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def dial(self, name: str, **options: Any) -> AbstractConnection:
        """A connection that isn't connected yet."""
        options = {"socket_timeout": 5.0, "path": self.socket, **options}
        return UnixDomainSocketConnection(  # type: ignore[abstract]
            protocol=2, retry=no_retries(), client_name=name, driver_info=None, **options
        )

    def lane(self, name: str = "test") -> Lane:
        return (Lane if NETWORK == "direct" else ResendingLane)(self.dial, name)

    def store(self, namespace: str = "t", options: StoreOptions | None = None) -> RedisStore:
        return RedisStore(Keys(namespace), self.lane(), options)

    def call(self, *command: Any) -> Any:
        """One command on a connection of its own, whatever the network does."""
        lane = Lane(lambda name: self.dial(name, path=self.direct), "once")
        try:
            return lane.call(*command)
        finally:
            lane.close()


@attrs.define
class ServerElsewhere(Server):
    """A server that somebody else has started, for tests that don't hurt it."""

    address: str = attrs.field(kw_only=True)
    """``redis://host:port``."""

    @property
    def url(self) -> str:
        return self.address

    def start(self) -> Server:
        wait_until(self._answers)
        return self

    def close(self) -> None:
        """It isn't ours."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def dial(self, name: str, **options: Any) -> AbstractConnection:
        options.pop("path", None)
        parts = urlsplit(self.address)
        return Connection(
            host=parts.hostname, port=parts.port, protocol=2, retry=no_retries(),
            client_name=name, driver_info=None, **{"socket_timeout": 5.0, **options},
        )  # fmt: skip


def shared() -> Server:
    """The server for tests that don't hurt it: one of our own, or what ``TRIOQ_TEST_URL`` names."""
    address = os.environ.get("TRIOQ_TEST_URL")
    return (ServerElsewhere(address=address) if address else Server()).start()


def cancelled_by(store: Store, sender: str, number: int, *job: str) -> CancelWord:
    """What became of the wish to cancel one job: uid, queue, name."""
    (word,) = store.cancel(sender, number, [Unwanted(*job)])
    return word


def unwanted(uid: str, queue: str = "low", name: str = "noop", *, why: str = "no") -> Unwanted:
    """What a client sends of a job that it doesn't want any more."""
    summary = encode_cancelled(uid=uid, name=name, queue=queue, reason=why, by="test", at_ms=1)
    return Unwanted(uid, queue, name, summary)


def new_job(
    queue: str = "low",
    name: str = "noop",
    payload: bytes = b"{}",
    *,
    delay_ms: int = 0,
    at_ms: int = 0,
    id: str | None = None,
    seen: tuple[str, str] | None = None,
    options: Options | None = None,
    takes: tuple[str, ...] = (),
    fair: FairKey | None = None,
    keep: IdKeep | None = None,
    uid: str = "",
) -> NewJob:
    """A job to be enqueued through a store."""
    uid = uid or new_uid()
    now_ms = time.time_ns() // 1_000_000
    stored, big = encode(Record(uid, name, queue, payload, id, now_ms, options or Options()))
    return NewJob(
        uid, queue, stored, big, delay_ms, id, seen,
        takes=takes, fair=fair, keep=keep, at_ms=at_ms,
    )  # fmt: skip


def job_wanted_since(ms: int, queue: str = "low", name: str = "noop") -> NewJob:
    """One that was enqueued so long ago."""
    now_ms = time.time_ns() // 1_000_000
    record = Record(new_uid(), name, queue, b"{}", enqueued_ms=now_ms - ms)
    stored, big = encode(record)
    return NewJob(record.uid, queue, stored, big)


def trioq(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run the command line and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "trioq", *map(str, arguments)],
        check=False, capture_output=True, text=True, timeout=120, cwd=cwd,
        env={**os.environ, **(env or {})}, **options,
    )  # fmt: skip


def trioq_started(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[str]:  # fmt: skip
    """Run the command line beside the test."""
    return subprocess.Popen(
        [sys.executable, "-m", "trioq", *map(str, arguments)],
        cwd=cwd, env={**os.environ, **(env or {})}, text=True, **options,
    )  # fmt: skip
