"""A server of one's own: one for all users, gone with the last, its data complete."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from pathlib import Path

import attrs
import pytest

from tests.store.embedding import (
    User,
    aof,
    ask,
    is_alive,
    is_at_rest,
    is_locked,
    pid_of,
    pids_with_open,
    refusal,
    wait_at_rest,
    with_data,
)
from tests.support import wait_until
from trioq.store.embedded import children, find_server, start
from trioq.store.embedded.children import ALLOCATION
from trioq.store.embedded.log import LOG_BYTES

# -- one server for all its users, for as long as there is one ---------------------------------


def test_who_comes_at_the_same_time_shares_one_server(directory: Path) -> None:
    users = [User(directory) for _ in range(4)]
    told = [user.told() for user in users]
    assert len({each["server"] for each in told}) == 1
    assert [each["started_here"] for each in told].count(True) == 1
    for user in users:
        user.close()


def test_the_server_outlives_who_started_it_and_who_was_killed(directory: Path) -> None:
    first = User(directory, "write100")
    server = first.told()["server"]
    with start(directory) as use:
        first.kill()
        assert pid_of(use) == server
        assert ask(use.socket_path, "LLEN", "written") == 100


def test_who_has_started_it_may_end_before_it_without_a_warning(directory: Path) -> None:
    with start(directory):
        # As at the end of a process.
        children._RUNNING.clear()
        children._LAST.clear()
        gc.collect()
    wait_at_rest(directory)


def test_ctrl_c_ends_who_got_it_and_not_the_server(directory: Path) -> None:
    first = User(directory, "write100")
    server = first.told()["server"]
    with start(directory) as use:
        os.killpg(first.process.pid, signal.SIGINT)  # what a terminal does
        first.close()
        assert first.process.returncode == 0
        assert pid_of(use) == server
        assert ask(use.socket_path, "LLEN", "written") == 100
        assert is_locked(directory / "keeper.lock"), "nor the keeper"


@pytest.mark.parametrize("way", ["close", "kill"])
def test_the_last_user_gone_the_server_goes_with_its_data_complete(
    directory: Path, way: str
) -> None:
    user = User(directory, "write5000")
    server = user.told()["server"]
    getattr(user, way)()
    wait_until(lambda: not is_alive(server))
    wait_at_rest(directory)
    assert "ready to exit" in (directory / "server.log").read_text(), "it was asked, not killed"
    with start(directory) as use:
        assert ask(use.socket_path, "LLEN", "written") == 5000


def test_a_forked_child_is_no_user(directory: Path) -> None:
    user = User(directory, "fork")
    server = user.told()["server"]
    user.process.kill()
    wait_until(lambda: not is_alive(server))
    os.killpg(user.process.pid, signal.SIGKILL)  # fails if the child weren't there any more
    user.process.communicate()


def test_a_keeper_that_was_killed_is_replaced_by_the_next_user(directory: Path) -> None:
    with start(directory) as use:
        (keeper,) = pids_with_open(directory / "keeper.lock")
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not is_locked(directory / "keeper.lock"))
        with start(directory) as other:
            assert pid_of(use) == pid_of(other)
            assert is_locked(directory / "keeper.lock")


def test_a_server_that_stands_still_is_waited_for_when_it_should_go(directory: Path) -> None:
    use = start(directory)
    server = pid_of(use)
    ask(use.socket_path, "SET", "k", "v")
    os.kill(server, signal.SIGSTOP)
    use.close()
    wait_until(lambda: is_locked(directory / "users.lock"))
    assert "still shutting down" in refusal(directory, timeout_s=0.2)
    os.kill(server, signal.SIGCONT)
    with start(directory) as again:
        assert pid_of(again) != server
        assert ask(again.socket_path, "GET", "k") == b"v"


def test_a_server_that_cannot_be_asked_is_ended_all_the_same(directory: Path) -> None:
    use = start(directory)
    server = pid_of(use)
    ask(use.socket_path, "SET", "k", "v")
    ask(use.socket_path, "CONFIG", "SET", "requirepass", "somebody's")
    use.close()
    wait_until(lambda: not is_alive(server))
    wait_at_rest(directory)
    with start(directory) as again:
        assert ask(again.socket_path, "GET", "k") == b"v"


def test_a_directory_that_was_deleted_takes_its_server_along(directory: Path) -> None:
    use = start(directory)
    server = pid_of(use)
    (keeper,) = pids_with_open(directory / "keeper.lock")
    wait_until(lambda: keeper in pids_with_open(directory / "users.lock"))
    shutil.rmtree(directory)
    use.close()
    wait_until(lambda: not is_alive(server) and not is_alive(keeper))


# -- where it lies -----------------------------------------------------------------------------


def test_a_path_longer_than_a_socket_may_have(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 200)
    with start(directory) as one, start(directory) as two:
        assert pid_of(one) == pid_of(two)
    wait_at_rest(directory)


def test_the_program_may_change_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with start(Path("data")) as use:
        ask(use.socket_path, "CONFIG", "SET", "appendfsync", "always")
        ask(use.socket_path, "SET", "k", "v")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        os.kill(pid_of(use), signal.SIGKILL)
        wait_until(lambda: not is_locked(tmp_path / "data" / "server.lock"))
        assert use.revive()
        assert ask(use.socket_path, "GET", "k") == b"v"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    wait_at_rest(tmp_path / "data")


def test_payloads_are_nobody_elses_to_read(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    with start(tmp_path / "mine" / "data") as use:
        ask(use.socket_path, "SET", "k", "v")
        assert (tmp_path / "mine" / "data").stat().st_mode & 0o077 == 0
        assert aof(tmp_path / "mine" / "data").stat().st_mode & 0o077 == 0
        assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755
    wait_at_rest(tmp_path / "mine" / "data")


def test_a_directory_with_other_things_in_it_stays_open_to_others(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared" / "somebody's").write_text("file")
    with start(tmp_path / "shared"):
        assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o755
        assert aof(tmp_path / "shared").stat().st_mode & 0o077 == 0
    wait_at_rest(tmp_path / "shared")


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    assert refusal(tmp_path / "file") == f"{tmp_path}/file: can't be written: File exists"
    binary, root = find_server(), os.geteuid() == 0
    (tmp_path / "closed").mkdir(mode=0o500)
    if root:  # whom no mode keeps out
        os.seteuid(65534)
    try:
        line = refusal(tmp_path / "closed" / "data", binary=binary)
    finally:
        if root:
            os.seteuid(0)
    assert line == f"{tmp_path}/closed/data: can't be written: Permission denied"


# -- a server that was killed ------------------------------------------------------------------


def test_a_log_that_has_grown_long_is_cut(directory: Path) -> None:
    with_data(directory, keys=1)
    with (directory / "server.log").open("ab") as log:
        log.write(b"an old line\n" * (2 * LOG_BYTES // 12))
    with start(directory):
        assert (directory / "server.log").stat().st_size < LOG_BYTES
        assert "Ready to accept connections" in (directory / "server.log").read_text()


def test_what_an_engine_holds_is_no_list_that_is_searched_from_its_beginning(
    directory: Path,
) -> None:
    with start(directory) as use:
        fields = [text for n in range(100) for text in (f"uid-{n}", "1:1::low")]
        ask(use.socket_path, "HSET", "running", *fields)
        assert ask(use.socket_path, "OBJECT", "ENCODING", "running") == b"hashtable"
    wait_at_rest(directory)


def test_what_a_step_frees_is_kept_for_the_next_unless_the_environment_says_otherwise(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=9")
    server = find_server()
    telling, told = tmp_path / "telling", tmp_path / "told"
    telling.write_text(f'#!/bin/sh\nprintenv GLIBC_TUNABLES > {told}\nexec {server.path} "$@"\n')
    telling.chmod(0o755)
    with start(directory, binary=attrs.evolve(server, path=telling)):
        pass
    assert told.read_text() == f"{ALLOCATION}:glibc.malloc.tcache_count=9\n"


def test_a_server_with_no_user_left_is_at_rest(directory: Path) -> None:
    with start(directory):
        assert not is_at_rest(directory)
