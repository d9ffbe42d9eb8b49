"""A server on a TCP port of this machine, for everybody to be measured on."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import redis

from trioq.store.embedded import find_server

#: As users of the peers have it, who don't change what a server comes with: no append-only file.
PLAIN = ("--appendonly", "no")
#: As trioq's embedded server has it.
OURS = ("--appendonly", "yes", "--appendfsync", "everysec", "--hash-max-listpack-entries", "32")


@attrs.frozen
class Server:
    """A running server."""

    port: int
    client: redis.Redis

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def clear(self) -> None:
        """Forget everything, scripts too."""
        self.client.flushall()
        self.client.script_flush()

    def cpu_s(self) -> float:
        """User and system time that it has used."""
        info = self.client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def commands(self) -> int:
        """How many it has executed, those of scripts included."""
        stats = self.client.info("commandstats")
        return sum(int(command["calls"]) for command in stats.values())


@contextmanager
def server(options: tuple[str, ...]) -> Iterator[Server]:
    """Start one on a free port; its data is gone in the end."""
    with tempfile.TemporaryDirectory(prefix="trioq-peers-") as name:
        directory, port = Path(name), _free_port()
        command = [
            str(find_server().path), "--port", str(port), "--bind", "127.0.0.1", "--dir", name,
            "--save", "", "--logfile", "server.log", *options,
        ]  # fmt: skip
        process = subprocess.Popen(command, start_new_session=True)
        try:
            client = redis.Redis(port=port)
            _wait(client, process, directory)
            yield Server(port, client)
            client.close()
        finally:
            process.terminate()
            process.wait()


def _wait(client: redis.Redis, process: subprocess.Popen[bytes], directory: Path) -> None:
    until = time.monotonic() + 30.0
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            return
        time.sleep(0.02)
    raise SystemExit(f"the server doesn't start: {(directory / 'server.log').read_text()[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
