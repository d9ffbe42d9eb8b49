"""How the server is reached."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trio

from tests.settings.observed.of_jobs import noop
from tests.settings.observed.place import Place, in_thread, row
from tests.store.test_connect_tls import TlsFront, openssl
from trioq.core.events import JobSucceeded
from trioq.errors import StoreUnreachable


@contextmanager
def user(place: Place) -> Iterator[None]:
    """A user ``app`` with a password, while this lasts."""
    place.server.call("ACL", "SETUSER", "app", "reset", "on", ">sesame", "~*", "&*", "+@all")
    try:
        yield
    finally:
        place.server.call("ACL", "DELUSER", "app")


async def is_reached(place: Place, *facts: str) -> None:
    """A job goes through, and the server lists all of trioq's connections with these facts."""
    noop(place)
    uid = place.enqueue("noop")
    async with place.running():
        await place.reported(JobSucceeded, uid=uid)
        ours = await place.until(lambda: c if len(c := connections(place)) > 3 else [])
    assert all(fact in line for line in ours for fact in facts), ours


def connections(place: Place) -> list[str]:
    """What the server says of trioq's connections."""
    listed = place.server.call("CLIENT", "LIST").decode().splitlines()
    return [line for line in listed if "name=trioq:" in line]


@row("redis.url", "unix:")
async def url(place: Place) -> None:
    place.value = place.server.url
    place.configure()
    await is_reached(place)


@row("redis.username", "app")
async def username(place: Place) -> None:
    with user(place):
        place.configure(redis__password="sesame")
        await is_reached(place, "user=app")


@row("redis.password", "sesame")
async def password(place: Place) -> None:
    with user(place):
        place.configure(redis__username="app")
        await is_reached(place, "user=app")


@row("redis.db", 5)
async def db(place: Place) -> None:
    place.configure()
    await is_reached(place, "db=5")


@contextmanager
def tls(place: Place, *, asks: bool) -> Iterator[str]:
    """The server behind TLS, for this URL; it may ask for a client's certificate."""
    here = place.directory
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(here, "req", "-x509", *key, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    (here / "ext").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client"):
        request = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(here, "req", *key[:-2], *request)
        openssl(
            here, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-days", "2", "-extfile", "ext", "-out", f"{name}.pem",
        )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(here / "server.pem", here / "server.key")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(here / "ca.pem")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    front = TlsFront(place.server.socket, context)
    try:
        yield f"rediss://localhost:{front.port}"
    finally:
        front.close()


@row("redis.tls_ca", "ca.pem")
async def tls_ca(place: Place) -> None:
    with tls(place, asks=False) as url:
        place.configure(redis__url=url)
        await is_reached(place)


async def is_known_by_its_certificate(place: Place) -> None:
    files = {"redis__tls_ca": "ca.pem", "redis__tls_cert": "client.pem"}
    with tls(place, asks=True) as url:
        place.configure(redis__url=url, **files, redis__tls_key="client.key")
        await is_reached(place)


row("redis.tls_cert", "client.pem")(is_known_by_its_certificate)
row("redis.tls_key", "client.key")(is_known_by_its_certificate)


@row("redis.connect_timeout", "200ms")
async def connect_timeout(place: Place) -> None:
    # Whoever connects to a full queue of connections waits for ever.
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [stack.enter_context(socket.socket()) for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        place.configure(redis__url=f"redis://127.0.0.1:{listener.getsockname()[1]}")
        started = time.monotonic()
        with place.admin() as admin, pytest.raises(StoreUnreachable):
            await in_thread(admin.stats)
        assert time.monotonic() - started < 5, "the default"
        started = trio.current_time()
        with pytest.raises(StoreUnreachable):
            await place.engine().run()
        assert trio.current_time() - started < 5, "the default"


@row("redis.read_timeout", "200ms")
async def read_timeout(place: Place) -> None:
    # It takes connections, and never says a word.
    path = str(place.directory / "silent.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        place.configure(redis__url=f"unix://{path}")
        started = time.monotonic()
        with place.admin() as admin, pytest.raises(StoreUnreachable):
            await in_thread(admin.stats)
        assert time.monotonic() - started < 3, "the default"
        started = trio.current_time()
        with pytest.raises(StoreUnreachable):
            await place.engine().run()
        assert trio.current_time() - started < 3, "the default"
