"""Engines that share a machine share a configuration, and find ports of their own."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trioq
from tests.observe.scraped import Told, ask, configured, engine, get
from tests.support import PATIENCE_S, Server, trioq_started, wait_until
from tests.support import trioq as run_trioq
from trioq.core.events import HttpServed
from trioq.store.inspect import stats
from trioq.web.ports import NEXT, Bound, PortError, bind


@pytest.fixture
def port() -> int:
    """A port that is free, and three after it."""
    while True:
        # Below those that the system gives to clients.
        first = random.randrange(10_000, 30_000)
        try:
            for n in range(4):
                bind("127.0.0.1", first + n).close()
        except PortError:
            continue
        return first


@pytest.fixture
def others() -> Iterator[list[Bound]]:
    """Ports of engines in this process."""
    bound: list[Bound] = []
    yield bound
    for one in bound:
        one.close()


def number(bound: Bound) -> int:
    return int(bound.address.rpartition(":")[2])


def test_the_next_free_port_is_used_when_an_engine_has_the_configured_one(
    port: int, others: list[Bound]
) -> None:
    for _ in range(3):
        others.append(bind("127.0.0.1", port))
    taken = [number(one) for one in others]
    assert taken[0] == port
    assert taken == sorted(set(taken))
    assert taken[-1] <= port + NEXT


def test_a_port_of_something_else_is_an_error_that_says_so(port: int) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with pytest.raises(PortError, match=f"isn't a trioq engine has 127.0.0.1:{port}"):
            bind("127.0.0.1", port)


def test_on_the_way_to_the_next_port_anything_is_passed(port: int, others: list[Bound]) -> None:
    others.append(bind("127.0.0.1", port))
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port + 1))
        stranger.listen()
        others.append(bind("127.0.0.1", port))
    assert number(others[1]) == port + 2


def test_an_engine_is_known_by_any_of_its_addresses(port: int, others: list[Bound]) -> None:
    others.append(bind("0.0.0.0", port))
    others.append(bind("127.0.0.1", port))
    assert number(others[1]) > port


def test_after_the_last_port_there_is_an_error_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, port: int, others: list[Bound]
) -> None:
    monkeypatch.setattr("trioq.web.ports.NEXT", 2)
    others.extend(bind("127.0.0.1", port + n) for n in range(3))
    with pytest.raises(PortError, match=r'choose "127\.0\.0\.1:0" for any free port'):
        bind("127.0.0.1", port)


def test_any_free_port_is_really_any(others: list[Bound]) -> None:
    others.extend(bind("127.0.0.1", 0) for _ in range(5))
    assert len({number(one) for one in others}) == 5


def test_a_given_up_port_can_be_taken_at_once(port: int) -> None:
    for _ in range(3):
        bound = bind("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)):
            bound.close()  # the connection lingers
        assert number(bound) == port


def test_a_port_outlives_no_engine_however_it_dies(port: int) -> None:
    program = (
        "import sys, time; from trioq.web.ports import bind;"
        f"bound = bind('127.0.0.1', {port}); print(bound.address, flush=True); time.sleep(60)"
    )
    dying = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert dying.stdout is not None
    assert dying.stdout.readline().strip() == f"127.0.0.1:{port}"
    second = bind("127.0.0.1", port)
    second.close()
    assert number(second) > port
    dying.kill()
    dying.wait()
    dying.stdout.close()
    bound = bind("127.0.0.1", port)
    assert number(bound) == port
    bound.close()


@pytest.mark.parametrize(
    ("host", "told"),
    [("203.0.113.1", "isn't an address of this machine"), ("no-such-host.invalid", "no-such-host")],
)
def test_an_address_that_cannot_be_had_is_an_error_that_says_so(host: str, told: str) -> None:
    with pytest.raises(PortError, match=told):
        bind(host, 9090)


def test_a_version_6_address_is_written_as_in_a_url(others: list[Bound]) -> None:
    if not socket.has_ipv6:
        return
    others.append(bind("::1", 0))
    assert others[0].address.startswith("[::1]:")


# -- whole engines -------------------------------------------------------------------------------


@pytest.mark.trio
async def test_engines_in_one_process_have_a_port_each_and_stats_tells_them(
    server: Server, tmp_path: Path, port: int
) -> None:
    config = configured(server, tmp_path, bind=f"127.0.0.1:{port}")
    told = Told()
    app = trioq.App()
    async with engine(app, config, report=told) as first, engine(app, config) as second:
        assert first.http == f"127.0.0.1:{port}"
        assert told.of(HttpServed) == [HttpServed(first.http)]
        assert second.http != first.http
        for made in (first, second):
            assert (await ask(made.http, "/healthz")).status == 200
        store = server.store()
        listed = {engine.info.http for engine in stats(store).engines}
        store.lane.close()
        assert listed == {first.http, second.http}
    assert first.http == ""


@pytest.mark.trio
async def test_an_empty_bind_serves_nothing(server: Server, tmp_path: Path) -> None:
    told = Told()
    async with engine(trioq.App(), configured(server, tmp_path, bind=""), report=told) as made:
        assert made.http == ""
        assert told.of(HttpServed) == []
        assert made.metrics.registry.get_sample_value("trioq_workers") == 4.0


def test_serve_ends_with_one_line_where_the_port_is_anothers(
    server: Server, tmp_path: Path, port: int
) -> None:
    configured(server, tmp_path, bind=f"127.0.0.1:{port}")
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        ended = run_trioq("serve", tmp_path / "jobqueue.toml")
    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert lines[0].startswith("trioq: observability.bind: something that isn't a trioq engine")


def test_serve_logs_where_and_an_idle_one_is_small(
    server: Server, tmp_path: Path, port: int
) -> None:
    configured(server, tmp_path, bind=f"127.0.0.1:{port}")
    log = tmp_path / "log"
    with log.open("w") as stream:
        serving = trioq_started("serve", tmp_path / "jobqueue.toml", stderr=stream)
    try:
        address = wait_until(lambda: _served(log))
        assert address == f"127.0.0.1:{port}"
        wait_until(lambda: get(address, "/readyz").status == 200)
        wait_until(lambda: "trioq_engines 1.0" in get(address, "/metrics").text)
        resident = Path(f"/proc/{serving.pid}/status").read_text().split("VmRSS:")[1].split()[0]
        assert int(resident) < 80 * 1024, "kB; 80 MB is what an idle engine may have"
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(timeout=PATIENCE_S) == 0
    finally:
        if serving.poll() is None:
            os.kill(serving.pid, signal.SIGKILL)
            serving.wait()


def _served(log: Path) -> str | None:
    for line in log.read_text().splitlines():
        told = json.loads(line)
        if told["event"] == "http_served":
            address: str = told["address"]
            return address
    return None
