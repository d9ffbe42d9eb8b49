"""From a configuration to a connection, on real servers of each kind."""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.store.dialling import configured, connection_of
from tests.support import Server, wait_until
from trioq.core.config import Config, Secret
from trioq.errors import StoreRefused, StoreUnreachable
from trioq.store import embedded
from trioq.store.checks import explain
from trioq.store.connect import KEEPALIVE, open_store
from trioq.store.connector import Connector

PASSWORD = "S3CRET-canary"


# -- Unix sockets and TCP ----------------------------------------------------------------------


def test_a_unix_socket_is_reached_by_its_url(server: Server) -> None:
    with open_store(configured(server.url)) as connector:
        assert connector.description == server.url
        assert connector.store("x").lane.call("PING") == b"PONG"


def test_user_password_and_database_of_a_url_are_used(tcp: tuple[Server, int]) -> None:
    server, port = tcp
    server.call("ACL", "SETUSER", "worker", "on", f">{PASSWORD}", "~*", "+@all")
    url = f"redis://worker:{PASSWORD}@127.0.0.1:{port}/3"
    with open_store(configured(url)) as connector:
        lane = connector.lane("x")
        assert lane.call("ACL", "WHOAMI") == b"worker"
        assert b" db=3 " in lane.call("CLIENT", "INFO")
        assert connector.description == f"redis://127.0.0.1:{port}/3"


def test_a_password_alone_is_that_of_the_default_user(own_server: Server) -> None:
    with open_store(configured(own_server.url, password=Secret(PASSWORD))) as connector:
        own_server.call("CONFIG", "SET", "requirepass", PASSWORD)
        assert connector.lane("x").call("ACL", "WHOAMI") == b"default"


def test_connections_are_named_by_purpose_and_connector(server: Server) -> None:
    with open_store(configured(server.url)) as one, open_store(configured(server.url)) as two:
        names = [c.lane(p).call("CLIENT", "GETNAME").decode() for c in (one, two) for p in "ab"]
    assert [name.rpartition(":")[0] for name in names] == ["trioq:a", "trioq:b"] * 2
    tokens = [name.rpartition(":")[2] for name in names]
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3]
    assert all(len(token) == 8 for token in tokens)


def test_nothing_is_sent_to_make_a_connection_but_what_is_needed(server: Server) -> None:
    before = server.call("INFO", "commandstats")
    with open_store(configured(server.url)) as connector:
        connector.lane("x").call("PING")
    after = server.call("INFO", "commandstats")

    def counts(info: bytes) -> dict[bytes, int]:
        lines = [line for line in info.splitlines() if line.startswith(b"cmdstat_")]
        return {
            line.split(b":")[0][8:]: int(line.split(b"calls=")[1].split(b",")[0]) for line in lines
        }

    seen = {
        name
        for name, count in counts(after).items()
        if count > counts(before).get(name, 0) and name not in (b"info",)
    }
    assert seen == {b"client|setname", b"ping"}


def test_redis_py_neither_resends_nor_pings_nor_listens_for_maintenance(server: Server) -> None:
    with open_store(configured(server.url)) as connector:
        connection = connection_of(connector)
        assert connection.retry.get_retries() == 0
        assert connection.retry_on_error == []
        assert connection.health_check_interval == 0
        assert connection.protocol == 2
        assert connection.maint_notifications_config is None
        assert connection.encoder.decode_responses is False


def test_timeouts_are_the_configured_ones_and_a_lane_may_have_shorter_ones(server: Server) -> None:
    made = configured(server.url, connect_timeout_s=7.0, read_timeout_s=2.5)
    with open_store(made) as connector:
        assert connector.lane("x")._dial("x").socket_timeout == 2.5
        assert connector.lane("x")._dial("x").socket_connect_timeout == 7.0
        hasty = connector.lane("x", at_most_s=0.5)._dial("x")
        assert hasty.socket_timeout == hasty.socket_connect_timeout == 0.5
        calm = connector.lane("x", at_most_s=60.0)._dial("x")
        assert (calm.socket_timeout, calm.socket_connect_timeout) == (2.5, 7.0)


def test_a_silent_peer_is_noticed_by_the_kernel(tcp: tuple[Server, int]) -> None:
    with open_store(configured(f"redis://127.0.0.1:{tcp[1]}")) as connector:
        sock = connection_of(connector)._get_socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for option, value in KEEPALIVE.items():
            assert sock.getsockopt(socket.IPPROTO_TCP, option) == value


def test_an_address_of_version_6_is_shown_as_it_is_written() -> None:
    with open_store(configured("redis://[::1]:7000/2")) as connector:
        assert connector.description == "redis://[::1]:7000/2"


def test_what_the_scripts_are_told_comes_from_the_configuration(server: Server) -> None:
    made = attrs.evolve(configured(server.url), namespace="other")
    with open_store(made) as connector:
        assert connector.keys.fixed("jobs") == "{other}:jobs"
        assert connector.options.keep_done == made.worker.keep_done
        assert connector.options.id_retention_ms == made.worker.id_retention_s * 1000


def test_closing_closes_every_lane(server: Server) -> None:
    connector = open_store(configured(server.url))
    lanes = [connector.lane("a"), connector.lane("b")]
    for lane in lanes:
        lane.call("PING")
    connector.close()
    connector.close()
    assert not any(lane.connected for lane in lanes)
    wait_until(lambda: b"name=trioq:" not in server.call("CLIENT", "LIST"))


def test_the_password_is_nowhere_but_on_the_wire(own_server: Server) -> None:
    own_server.call("CONFIG", "SET", "requirepass", "another")
    with open_store(configured(own_server.url, username="default", password=Secret(PASSWORD))) as c:
        lane = c.lane("x")
        connection = lane._dial("x")
        with pytest.raises(StoreRefused) as caught:
            lane.call("PING")
        rendered = "".join(
            traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        )
        shown = [c, connection, vars(connection), lane, vars(lane), c.redis, c.description]
        assert PASSWORD not in rendered
        assert PASSWORD not in repr(shown)
        assert PASSWORD not in explain(caught.value, c.description)


# -- the embedded server -----------------------------------------------------------------------


@pytest.fixture
def embedding(tmp_path: Path) -> Iterator[Config]:
    yield configured("embedded:data", tmp_path)
    # Its last user is gone: the keeper shuts the server down.
    wait_until(lambda: not running(tmp_path / "data"))


def running(directory: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(directory / "server.sock"))
        except OSError:
            return False
        return True


def server_pid(connector: Connector) -> int:
    info: bytes = connector.lane("pid").call("INFO", "server")
    return int(info.split(b"process_id:")[1].split()[0])


def test_an_embedded_server_is_started_shared_and_ended(embedding: Config) -> None:
    with open_store(embedding) as one:
        assert one.description == "embedded:data"
        one.lane("x").call("SET", "k", "v")
        with open_store(embedding) as two:
            assert server_pid(one) == server_pid(two)
            assert two.lane("x").call("GET", "k") == b"v"
        assert one.lane("x").call("GET", "k") == b"v"


def test_an_embedded_server_that_was_killed_comes_back_with_its_data(embedding: Config) -> None:
    with open_store(embedding) as connector:
        lane = connector.lane("x")
        lane.call("CONFIG", "SET", "appendfsync", "always")
        lane.call("SET", "k", "v")
        first = server_pid(connector)
        os.kill(first, signal.SIGKILL)

        def asked() -> bytes | None:
            try:
                answer: bytes | None = lane.call("GET", "k")
            except StoreUnreachable:
                return None
            return answer

        assert wait_until(asked) == b"v"
        assert server_pid(connector) != first


def test_an_embedded_server_that_is_stopped_is_not_started_again(embedding: Config) -> None:
    made = attrs.evolve(embedding, redis=attrs.evolve(embedding.redis, read_timeout_s=0.2))
    with open_store(made) as connector:
        pid = server_pid(connector)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnreachable):
                connector.lane("x").call("PING")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert server_pid(connector) == pid


def test_reading_where_there_is_no_data_starts_nothing(tmp_path: Path) -> None:
    made = configured("embedded:data", tmp_path)
    with pytest.raises(StoreRefused, match="no data there yet; `trioq serve` makes it"):
        open_store(made, read_only=True)
    assert not (tmp_path / "data").exists()


def test_reading_where_there_is_data_is_like_any_use(embedding: Config) -> None:
    with open_store(embedding) as connector:
        connector.lane("x").call("SET", "k", "v")
    assert embedded.exists(embedding.resolve("data"))
    with open_store(embedding, read_only=True) as connector:
        assert connector.lane("x").call("GET", "k") == b"v"


def test_an_embedded_server_that_cannot_be_started_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreRefused, match="data"):
        open_store(configured("embedded:data", tmp_path))
