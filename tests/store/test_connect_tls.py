"""TLS: who is trusted, who is refused, and that a call can still be woken."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.store.dialling import configured, connection_of
from tests.support import PATIENCE_S, Server, wait_until
from trioq.core.config import Config
from trioq.errors import StoreRefused, StoreUnreachable
from trioq.store.checks import explain
from trioq.store.connect import open_store


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem; server.pem for localhost, other.pem for another name, old.pem expired; client.pem."""
    assert shutil.which("openssl"), "these tests make their certificates with openssl"
    directory = tmp_path_factory.mktemp("tls")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for ca in ("ca", "stranger"):
        openssl(
            directory, "req", "-x509", *key, "-subj", f"/CN={ca}", "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", f"{ca}.key", "-out", f"{ca}.pem",
        )  # fmt: skip
    for name, host, days in (
        ("server", "localhost", "2"),
        ("other", "elsewhere.test", "2"),
        ("old", "localhost", "-1"),
        ("client", "client.test", "2"),
    ):
        (directory / f"{name}.ext").write_text(f"subjectAltName=DNS:{host}\n")
        openssl(
            directory, "req", *key, "-subj", f"/CN={host}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr",
        )  # fmt: skip
        openssl(
            directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-days", days, "-extfile", f"{name}.ext", "-out", f"{name}.pem",
        )  # fmt: skip
    openssl(
        directory, "ec", "-in", "client.key", "-aes256", "-passout", "pass:x", "-out", "locked.key"
    )
    return directory


class TlsFront:
    """Speaks TLS on a port of localhost, and hands what it hears to a server's socket."""

    def __init__(self, behind: str, context: ssl.SSLContext) -> None:
        self._behind, self._context = behind, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        self._sockets.append(plain)
        try:
            front = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        back = socket.socket(socket.AF_UNIX)
        back.connect(self._behind)
        self._sockets += [front, back]
        answers = threading.Thread(target=_copy, args=(back, front), daemon=True)
        answers.start()
        _copy(front, back)
        answers.join(PATIENCE_S)
        front.close()
        back.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


Tls = Any


@pytest.fixture
def tls(server: Server, certificates: Path) -> Iterator[Tls]:
    """Makes TLS fronts of the shared server, and configurations that lead to them."""
    fronts: list[TlsFront] = []

    def make(name: str = "server", *, ca: str | None = "ca.pem", host: str = "localhost",
             client: str | None = None, asks: bool = False,
             oldest: bool = False) -> Config:  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificates / "ca.pem")
            # In 1.3 a client learns of a refusal only when it reads.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if oldest:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        front = TlsFront(server.socket, context)
        fronts.append(front)
        files = {"tls_ca": ca}
        if client is not None:
            files |= {"tls_cert": f"{client}.pem", "tls_key": f"{client}.key"}
        return configured(f"rediss://{host}:{front.port}", certificates, **files)

    yield make
    for front in fronts:
        front.close()


def said(made: Config) -> str:
    """What a person is told when this configuration's server is called."""
    with open_store(made) as connector:
        with pytest.raises(StoreUnreachable) as caught:
            connector.lane("x").call("PING")
        return explain(caught.value, connector.description)


def test_a_verified_server_is_spoken_to_in_tls(tls: Tls) -> None:
    with open_store(tls()) as connector:
        connection = connection_of(connector)
        assert connector._lanes[0].call("PING") == b"PONG"
        sock = connection._get_socket()
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
        assert connector.description.startswith("rediss://localhost:")


def test_an_interrupt_wakes_a_call_under_tls(tls: Tls) -> None:
    made = tls()
    patient = attrs.evolve(made, redis=attrs.evolve(made.redis, read_timeout_s=30.0))
    with open_store(patient) as connector:
        lane = connector.lane("x")
        lane.call("PING")
        failed: list[BaseException] = []

        def wait() -> None:
            try:
                lane.call("BLPOP", "nothing", 0)
            except StoreUnreachable as error:
                failed.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: lane._calling)
        lane.interrupt()
        thread.join(5)
        assert failed
        lane.arm()
        assert lane.call("PING") == b"PONG"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ca": "stranger.pem"}, "isn't accepted"),
        ({"ca": None}, "isn't accepted"),
        ({"name": "other"}, "isn't accepted: Hostname mismatch"),
        ({"name": "old"}, "isn't accepted: certificate has expired"),
        ({"oldest": True}, "TLS"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.OP_NO_.*:DeprecationWarning")
def test_a_server_that_cannot_be_trusted_is_refused(
    tls: Tls, options: dict[str, Any], expected: str
) -> None:
    told = said(tls(**options))
    assert expected in told
    assert "\n" not in told


def test_a_server_that_asks_for_a_certificate_gets_ours(tls: Tls) -> None:
    with open_store(tls(asks=True, client="client")) as connector:
        assert connector.lane("x").call("PING") == b"PONG"
    assert "TLS" in said(tls(asks=True))


def test_a_port_without_tls_is_told_as_such(tcp: tuple[Server, int]) -> None:
    assert "TLS port" in said(configured(f"rediss://localhost:{tcp[1]}", read_timeout_s=0.2))


def test_tls_files_are_tried_before_anything_else(certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")

    def refused(**files: str) -> str:
        made = configured("rediss://localhost:1", certificates, **files)
        with pytest.raises(StoreRefused) as caught:
            open_store(made)
        return str(caught.value)

    assert "missing.pem: can't be read: No such file" in refused(tls_ca="missing.pem")
    assert "empty.pem" in refused(tls_ca=str(tmp_path / "empty.pem"))
    assert "not a certificate and its key" in refused(tls_cert="client.pem", tls_key="server.key")
    assert "without a passphrase" in refused(tls_cert="client.pem", tls_key="locked.key")
