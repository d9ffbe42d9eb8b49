"""The page beside an engine: shown by one of a machine, and no burden."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest
import trio

import trioq
from tests.cli.conftest import only_error, run
from tests.observe.scraped import Told, ask, configured, engine, eventually
from tests.support import PATIENCE_S, Server, trioq_started, wait_until
from trioq.core.events import PageElsewhere, PageServed
from trioq.errors import ConfigError
from trioq.web import PortError
from trioq.web.ports import Bound, bind_this

ANY = '[web]\nbind = "127.0.0.1:0"\n'


def at(bound: Bound) -> str:
    return f'[web]\nbind = "{bound.address}"\n'


def address(made: trioq.Engine) -> str:
    return made.page.removeprefix("http://").rstrip("/")


@pytest.mark.trio
async def test_it_is_shown_while_the_engine_runs_and_jobs_run_meanwhile(
    server: Server, tmp_path: Path
) -> None:
    app, ran = trioq.App(), list[int]()

    @app.job("count")
    async def count(n: int) -> None:
        ran.append(n)

    config, told = configured(server, tmp_path, more=ANY), Told()
    async with trioq.connect(config) as client, engine(app, config, report=told) as made:
        where = address(made)
        assert told.of(PageServed) == [PageServed(made.page)]
        async with trio.open_nursery() as nursery:
            for n in range(20):
                nursery.start_soon(client.enqueue, count.call(n))
                nursery.start_soon(_looks, where)

        async def all_ran() -> bool:
            return sorted(ran) == list(range(20))

        await eventually(all_ran)
        listed = (await ask(where, "/api/v1/engines")).json()
        assert len({each["name"] for each in listed}) == 1
    assert made.page == ""
    with pytest.raises(OSError, match="refused"):
        await ask(where, "/queues")


async def _looks(where: str) -> None:
    assert (await ask(where, "/queues")).status == 200


@pytest.mark.trio
async def test_one_engine_of_a_machine_shows_it_and_the_others_go_without(
    server: Server, tmp_path: Path
) -> None:
    free = bind_this("127.0.0.1", 0, "web.bind")
    free.close()
    config = configured(server, tmp_path, more=at(free))
    told = Told()
    async with engine(trioq.App(), config) as first:
        async with engine(trioq.App(), config, report=told) as second:
            assert (first.page, second.page) == (f"http://{free.address}/", "")
            (elsewhere,) = told.of(PageElsewhere)
            assert elsewhere.address == free.address
        assert (await ask(free.address, "/queues")).status == 200


@pytest.mark.trio
async def test_a_port_that_something_else_has_is_an_error(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        config = configured(server, tmp_path, more=f'[web]\nbind = "{where}"\n')
        with pytest.raises(PortError, match=f"web.bind: something has {where}"):
            await trioq.Engine(trioq.App(), config).run()


def test_it_is_not_open_to_strangers(server: Server, tmp_path: Path) -> None:
    config = configured(server, tmp_path, more='[web]\nbind = "0.0.0.0:0"\n')
    with pytest.raises(ConfigError, match="nobody would have to say who they are"):
        trioq.Engine(trioq.App(), config)


# -- as a program ------------------------------------------------------------------------------


def test_serve_tells_where_and_that_several_processes_show_none(
    server: Server, tmp_path: Path
) -> None:
    configured(server, tmp_path, bind="", more=ANY)
    told, _ = _served(tmp_path, "page_served")
    assert told["url"].startswith("http://127.0.0.1:")
    told, log = _served(tmp_path, "page_elsewhere", "--processes", "2")
    assert "trioq web" in told["why"]
    assert "page_served" not in log


def test_serve_is_refused_where_it_would_be_open_to_strangers(
    server: Server, tmp_path: Path
) -> None:
    configured(server, tmp_path, bind="", more='[web]\nbind = "[::]:0"\n')
    told = only_error(run("serve", tmp_path / "jobqueue.toml"), 2)
    assert told.startswith("web.bind: other machines can reach ::")


def _served(directory: Path, event: str, *options: str) -> tuple[dict[str, str], str]:
    """The first such line of the log, and all of it; SIGTERM ends it."""
    log = directory / f"{event}.log"
    with log.open("w") as stream:
        serving = trioq_started("serve", directory / "jobqueue.toml", *options, stderr=stream)
    try:
        told = wait_until(lambda: _told(log, event))
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(PATIENCE_S) == 0
    finally:
        serving.kill()
        serving.wait()
    return told, log.read_text()


def _told(log: Path, event: str) -> dict[str, str]:
    lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
    return next((told for told in map(json.loads, lines) if told["event"] == event), {})
