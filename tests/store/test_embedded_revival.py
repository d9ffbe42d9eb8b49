"""An embedded server that was killed comes back, once, for whoever still uses it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import attrs
import pytest
import trio

import trioq
from tests.store.embedding import (
    aof,
    ask,
    but_loading,
    is_alive,
    is_locked,
    pid_of,
    pids_with_open,
    wait_at_rest,
)
from tests.support import PATIENCE_S, wait_until
from trioq.core.config import Config
from trioq.settings import parse
from trioq.store.embedded import Embedded, find_server, start
from trioq.store.embedded.log import ServerLog


def kill_server(use: Embedded) -> None:
    os.kill(pid_of(use), signal.SIGKILL)
    wait_until(lambda: not is_locked(use.directory / "server.lock"))


def configured(directory: Path) -> Config:
    return parse(
        f"""
        redis = {{ url = "embedded:{directory}" }}
        worker = {{ count = 4 }}
        queues = [{{ name = "low" }}]
        observability = {{ bind = "" }}
        """,
        name="test",
        directory=directory.parent,
    )


def test_a_revived_server_tells_what_it_had_to_mend(directory: Path) -> None:
    told: list[str] = []
    with start(directory, log=told.append) as use:
        for n in range(50):
            ask(use.socket_path, "SET", f"key-{n}", "x" * 50)
        kill_server(use)
        os.truncate(aof(directory), aof(directory).stat().st_size - 20)
        assert use.revive()
        assert ask(use.socket_path, "DBSIZE") == 49
        (revived, torn) = but_loading(told)
        assert "was started again" in revived
        assert "torn and has been cut off" in torn


def test_a_server_that_was_killed_is_told_of_when_it_is_there_again(directory: Path) -> None:
    told: list[str] = []
    with start(directory, log=told.append) as use:
        kill_server(use)
        assert use.revive()
    (line,) = but_loading(told)
    assert "the server was killed by SIGKILL, and was started again" in line


def test_a_server_that_cannot_be_revived_says_why_once(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioq.store.embedded.server.REVIVE_EVERY_S", 0.0)
    told: list[str] = []
    binary = find_server()
    link = tmp_path / "server"
    link.symlink_to(binary.path)
    with start(directory, log=told.append, binary=attrs.evolve(binary, path=link)) as use:
        kill_server(use)
        link.unlink()
        assert not use.revive()
        assert not use.revive()
        (line,) = but_loading(told)
        assert str(link) in line
        assert use.why_gone == line
        link.symlink_to(binary.path)
        assert use.revive()
        assert not use.why_gone


def without_its_data(use: Embedded) -> str:
    """Kill its server, and make it one that nobody can start."""
    kill_server(use)
    aof(use.directory, "base").unlink()
    return "appendonly.aof.1.base.rdb: missing"


def test_whose_data_is_unusable_is_told_so_by_a_call(directory: Path) -> None:
    with start(directory) as use, trioq.connect_sync(configured(directory)) as client:
        why = without_its_data(use)
        with pytest.raises(trioq.StoreRefused, match=why):
            client.enqueue("work", {"n": 1})


@pytest.mark.trio
async def test_an_engine_whose_data_is_unusable_ends_and_says_so(directory: Path) -> None:
    engine = trioq.Engine(trioq.App(), configured(directory), report=lambda event: None)
    errors: list[BaseException] = []

    async def run(task_status: trio.TaskStatus[trioq.Engine]) -> None:
        try:
            await engine.run(task_status=task_status)
        except trioq.StoreRefused as error:
            errors.append(error)

    with start(directory) as use, trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            why = without_its_data(use)
    (error,) = errors
    assert why in str(error)


def test_a_keeper_that_was_killed_is_replaced_and_told_of(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioq.store.embedded.server.GUARD_EVERY_S", 0.01)
    told: list[str] = []
    with start(directory, log=told.append) as use:
        killed = keeper_of(use)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: is_locked(directory / "keeper.lock") and but_loading(told))
        assert keeper_of(use) != killed
        assert not Path(f"/proc/{killed}").exists(), "no zombie either"
        (line,) = but_loading(told)
        assert "keeper was killed by SIGKILL, and was started again" in line
    wait_at_rest(directory)


def test_a_server_that_was_killed_is_no_zombie_also_where_nobody_calls_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioq.store.embedded.server.GUARD_EVERY_S", 0.01)
    with start(directory) as use:
        killed = pid_of(use)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{killed}").exists())
    wait_at_rest(directory)


def keeper_of(use: Embedded) -> int:
    (keeper,) = set(pids_with_open(use.directory / "keeper.lock")) - {pid_of(use)}
    return keeper


def test_a_use_that_was_given_up_revives_nothing(directory: Path) -> None:
    with start(directory) as use:
        kill_server(use)
    assert not use.revive()
    wait_at_rest(directory)
    assert (directory / "server.log").read_text().count("Server initialized") == 1


def test_a_use_given_up_during_a_revival_leaves_no_server(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper waits for the revival; else it could be gone before the server is there."""
    use = start(directory)
    kill_server(use)
    (keeper,) = pids_with_open(directory / "keeper.lock")
    try_to_start = Embedded._try_to_start

    def given_up_before(self: Embedded, log: ServerLog) -> subprocess.Popen[bytes] | None:
        self.close()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not is_alive(keeper), timeout_s=0.3)
        return try_to_start(self, log)

    monkeypatch.setattr(Embedded, "_try_to_start", given_up_before)
    assert not use.revive()
    wait_at_rest(directory)


@pytest.mark.trio
async def test_a_running_engine_goes_on_after_its_server_was_killed(directory: Path) -> None:
    config = configured(directory)
    app, ran = trioq.App(), set[int]()

    @app.job("work")
    async def work(n: int) -> None:
        await trio.sleep(0.01)
        ran.add(n)

    async def runs(count: int) -> None:
        await trio.to_thread.run_sync(wait_until, lambda: len(ran) >= count)

    with start(directory) as use:
        ask(use.socket_path, "CONFIG", "SET", "appendfsync", "always")
        async with trioq.connect(config) as client:
            await client.enqueue_many([work.call(n) for n in range(600)])
        async with trio.open_nursery() as nursery:
            engine = await nursery.start(trioq.Engine(app, config, report=lambda event: None).run)
            for reached in (50, 300):
                await runs(reached)
                server = pid_of(use)
                os.kill(server, signal.SIGKILL)
                wait_until(lambda server=server: not is_alive(server))  # type: ignore[misc]
            await runs(600)
            engine.drain()
        assert pid_of(use) != server
        assert int(ask(use.socket_path, "HGET", "{jobqueue}:stats", "done")) == 600
        assert ask(use.socket_path, "HLEN", "{jobqueue}:jobs") == 0
