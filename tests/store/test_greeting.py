"""The first words on a connection: what a server can do without, and what nobody may read."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.connection import AbstractConnection, UnixDomainSocketConnection

from tests.store.conftest import Fake
from tests.store.dialling import configured
from tests.support import Server, trioq
from trioq import connect_sync
from trioq.core.config import Secret
from trioq.errors import StoreBusy, StoreError, StoreRefused, StoreUnreachable
from trioq.store.checks import check_server, explain
from trioq.store.connect import open_store
from trioq.store.lane import no_retries

PASSWORD = "S3CRET-canary"

#: Each way to repeat a request that a server, or a proxy, doesn't know.
ECHOES = [
    f"-ERR unknown command 'AUTH', with args beginning with: 'worker' '{PASSWORD}' ",
    f"-ERR unknown command `AUTH`, with args beginning with: `worker`, `{PASSWORD[:6]}",
    f"-WRONGPASS {PASSWORD}",
    f"-ERR bad request: AUTH worker {PASSWORD}",
    f"-upstream failure for AUTH worker {PASSWORD}",
    f"+{PASSWORD}",
    f"HTTP/1.1 400 {PASSWORD}",
]


class WithoutNames(Server):
    """Its connections don't say what they are called."""

    def dial(self, name: str, **options: object) -> AbstractConnection:
        return UnixDomainSocketConnection(  # type: ignore[abstract]
            path=self.direct, protocol=2, retry=no_retries(), driver_info=None, socket_timeout=5.0
        )


@pytest.fixture
def bare() -> Iterator[Server]:
    """A server without CLIENT, INFO and CONFIG, as some that others run."""
    hidden = [
        word for name in ("CLIENT", "INFO", "CONFIG") for word in ("--rename-command", name, "")
    ]
    server = WithoutNames(options=("--appendonly", "yes", *hidden)).start()
    yield server
    server.close()


@pytest.mark.direct
def test_a_server_without_client_info_and_config_is_good_enough(bare: Server) -> None:
    with open_store(configured(bare.url)) as connector:
        facts = check_server(connector.store("check"))
    assert (facts.kind, facts.version) == ("", ())
    assert facts.durability == "unknown, like the server's version: the server has no INFO"


@pytest.mark.direct
def test_jobs_are_enqueued_and_run_and_doctor_tells_what_it_could_not_look_at(
    bare: Server, tmp_path: Path
) -> None:
    config = tmp_path / "jobqueue.toml"
    config.write_text(
        f'[redis]\nurl = "{bare.url}"\n[commands.hello]\nargv = ["true"]\n'
        '[observability]\nbind = ""\n'
    )
    with connect_sync(config) as client:
        client.enqueue("hello")
    ran = trioq("serve", config, "--drain")
    assert ran.returncode == 0, ran.stderr
    assert int(bare.call("HGET", "{jobqueue}:stats", "done")) == 1
    told = trioq("doctor", config)
    assert "fault" not in told.stdout, told.stdout
    assert "not looked at: " in told.stdout
    assert "the server has no INFO" in told.stdout


@pytest.mark.direct
def test_a_server_without_what_scripts_need_is_refused_in_plain_words() -> None:
    server = WithoutNames(options=("--rename-command", "TIME", "")).start()
    try:
        with open_store(configured(server.url)) as connector, pytest.raises(StoreRefused) as caught:
            check_server(connector.store("check"))
    finally:
        server.close()
    assert str(caught.value).startswith("the server has no TIME, which trioq needs: ")


def test_a_user_who_may_not_give_a_name_is_let_in(server: Server) -> None:
    server.call("ACL", "SETUSER", "nameless", "on", ">pw", "~*", "+@all", "-client")
    made = configured(server.url, username="nameless", password=Secret("pw"))
    with open_store(made) as connector:
        assert connector.lane("x").call("PING") == b"PONG"


@pytest.mark.parametrize("echo", ECHOES)
def test_an_error_never_shows_the_password(fake: Fake, echo: str) -> None:
    peer = fake([f"{echo}\r\n".encode()])
    made = configured(f"unix://{peer.path}", username="worker", password=Secret(PASSWORD))
    with open_store(made) as connector:
        with pytest.raises(StoreError) as caught:
            connector.lane("x").call("PING")
        shown = [
            str(caught.value), repr(caught.value), explain(caught.value, connector.description),
            "".join(traceback.format_exception(caught.value)), repr(connector), repr(made),
            repr(connector.lane("x")),
        ]  # fmt: skip
    assert PASSWORD.encode() in peer.received[0]
    assert [text for text in shown if PASSWORD[:6] in text] == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b":1\r\n", StoreUnreachable),
        (b"*0\r\n", StoreUnreachable),
        (b"+HELLO\r\n", StoreUnreachable),
        (b"-LOADING Redis is loading the dataset in memory\r\n", StoreBusy),
        (b"-ERR max number of clients reached\r\n", StoreBusy),
        (b"-NOAUTH HELLO must be called with the client already authenticated\r\n", StoreRefused),
        (b"-WRONGPASS invalid username-password pair\r\n", StoreRefused),
        (b"$70000\r\n" + b"x" * 70_000 + b"\r\n", StoreUnreachable),
        (None, StoreUnreachable),
    ],
)
def test_what_comes_instead_of_a_welcome_is_told_as_what_it_is(
    fake: Fake, answer: bytes | None, expected: type[StoreError]
) -> None:
    peer = fake([answer])
    made = configured(f"unix://{peer.path}", password=Secret(PASSWORD))
    with open_store(made) as connector, pytest.raises(expected) as caught:
        connector.lane("x").call("SET", "k", "v")
    assert len(peer.received) == 1, "the request itself wasn't sent"
    assert getattr(caught.value, "sent", False) is False


def test_a_program_without_descriptors_is_told_so_and_not_that_the_server_is_away(
    server: Server,
) -> None:
    use = """
import resource, sys
from tests.store.dialling import configured
from trioq.errors import StoreUnreachable
from trioq.store.checks import explain
from trioq.store.connect import open_store

with open_store(configured(sys.argv[1])) as connector:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    try:
        connector.lane("x").call("PING")
    except StoreUnreachable as error:
        assert not error.sent
        print(explain(error, connector.description))
"""
    said = subprocess.run(
        [sys.executable, "-c", use, server.url], check=True, capture_output=True, text=True
    ).stdout
    assert said == (
        f"{server.url}: this process has no file descriptors left (see ulimit -n):"
        " Too many open files\n"
    )
