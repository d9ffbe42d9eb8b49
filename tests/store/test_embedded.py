"""A server of one's own: one for all users, gone with the last, its data complete."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import trio

import trioq
from tests.store.embedding import (
    User,
    ask,
    is_alive,
    is_at_rest,
    is_locked,
    pids_with_open,
    wait_at_rest,
)
from tests.support import wait_until
from trioq.errors import StoreBusy
from trioq.settings import parse
from trioq.store.embedded import Embedded, EmbeddedError, ServerBinary, find_server, start
from trioq.store.embedded.log import LOG_BYTES, ServerLog


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory whose server the test leaves to the keeper."""
    path = tmp_path / "data"
    yield path
    wait_at_rest(path)


def pid_of(use: Embedded) -> int:
    info: bytes = ask(use.socket_path, "INFO", "server")
    return int(info.split(b"process_id:")[1].split()[0])


def aof(directory: Path, kind: str = "incr") -> Path:
    (piece,) = (directory / "appendonlydir").glob(f"*.{kind}.*")
    return piece


def with_data(directory: Path, keys: int = 50) -> None:
    """Make a directory with so many keys, and leave it."""
    with start(directory) as use:
        for n in range(keys):
            ask(use.socket_path, "SET", f"key-{n}", "x" * 50)
    wait_at_rest(directory)


def _but_loading(told: list[str]) -> list[str]:
    """The lines that aren't of a server that took a moment to load."""
    return [line for line in told if not line.endswith("is loading its data")]


def refusal(directory: Path, **options: object) -> str:
    with pytest.raises(EmbeddedError) as caught:
        start(directory, **options)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    return line


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


# -- damaged data ------------------------------------------------------------------------------


def test_a_torn_last_write_is_cut_off_and_told(directory: Path) -> None:
    with_data(directory)
    os.truncate(aof(directory), aof(directory).stat().st_size - 20)
    told: list[str] = []
    with start(directory, log=told.append) as use:
        assert ask(use.socket_path, "DBSIZE") == 49
    wait_at_rest(directory)
    with start(directory, log=told.append):
        pass
    assert _but_loading(told) == [
        f"{directory}: the last write to the append-only file was torn and has been cut off;"
        " everything before it is there"
    ], "told at the first start and not at the second"


def test_damage_in_the_middle_names_the_file_and_a_way_out_that_works(directory: Path) -> None:
    with_data(directory)
    data = aof(directory).read_bytes()
    middle = data.index(b"*3\r\n", len(data) // 2)
    aof(directory).write_bytes(data[:middle] + b"?" * 20 + data[middle + 20 :])
    line = refusal(directory)
    assert line.startswith(f"{aof(directory)}: damaged in the middle")
    assert "copy the directory" in line
    command = re.search(r"lost\): (.*); or move the directory away", line)
    assert command is not None
    fixed = subprocess.run(
        shlex.split(command[1]), check=True, input="y\n", capture_output=True, text=True
    )
    assert "Successfully truncated" in fixed.stdout
    with start(directory) as use:
        assert 0 < ask(use.socket_path, "DBSIZE") < 50
        assert ask(use.socket_path, "GET", "key-0") == b"x" * 50


def _overwritten(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(b"?" * 30 + data[30:])


@pytest.mark.parametrize(
    ("piece", "damage", "line"),
    [
        ("base", _overwritten, "appendonly.aof.1.base.rdb: damaged"),
        ("base", lambda path: os.truncate(path, 40), "appendonly.aof.1.base.rdb: damaged"),
        ("base", os.unlink, "appendonly.aof.1.base.rdb: missing"),
        ("manifest", _overwritten, "appendonly.aof.manifest: damaged"),
        ("manifest", lambda path: os.truncate(path, 0), "appendonly.aof.manifest: damaged"),
        ("manifest", os.unlink, "appendonly.aof.manifest: missing, and appendonly.aof.1.incr.aof"),
    ],
)
def test_other_damage_names_the_file_and_changes_nothing(
    directory: Path, piece: str, damage: Callable[[Path], None], line: str
) -> None:
    with_data(directory)
    names = {"base": "appendonly.aof.1.base.rdb", "manifest": "appendonly.aof.manifest"}
    damage(directory / "appendonlydir" / names[piece])
    jobs = aof(directory).read_bytes()
    told = refusal(directory)
    assert told.startswith(f"{directory}/appendonlydir/{line}")
    assert "move the directory away to begin with no jobs" in told
    assert aof(directory).read_bytes() == jobs


def test_a_first_start_that_was_killed_before_it_had_a_manifest_is_no_damage(
    directory: Path,
) -> None:
    (directory / "appendonlydir").mkdir(parents=True)
    (directory / "appendonlydir" / "appendonly.aof.1.incr.aof").touch()
    with start(directory) as use:
        assert ask(use.socket_path, "DBSIZE") == 0


# -- who wrote it ------------------------------------------------------------------------------


def _noted(directory: Path, note: str) -> str:
    directory.mkdir()
    (directory / "server.json").write_text(note)
    return refusal(directory)


def test_data_of_another_kind_of_server_is_refused(directory: Path) -> None:
    line = _noted(directory, '{"kind": "redis", "version": [7, 0, 0]}')
    assert f"the data was written by redis 7.0.0, this is {find_server()}" in line
    assert "use that server or a newer one, or another directory" in line
    assert not (directory / "server.log").exists(), "no server was started"


def test_data_of_a_newer_server_is_refused(directory: Path) -> None:
    kind, (major, minor, patch) = find_server().kind, find_server().version
    newer = f'{{"kind": "{kind}", "version": [{major}, {minor}, {patch + 1}]}}'
    assert f"written by {kind} {major}.{minor}.{patch + 1}" in _noted(directory, newer)
    (directory / "server.json").write_text(newer.replace(f"[{major}, ", f"[{major - 1}, "))
    with start(directory):
        text = (directory / "server.json").read_text()
        assert f"[{major}, {minor}, {patch}]" in text, "an older one's is taken over"


@pytest.mark.parametrize("note", ["", "{", "[]", '{"kind": "valkey", "version": ["x"]}', '"text"'])
def test_a_note_that_cannot_be_read_is_not_guessed_at(directory: Path, note: str) -> None:
    line = _noted(directory, note)
    assert line.startswith(f"{directory}/server.json: can't be read")
    assert f"if that was {find_server()}, delete the file" in line


# -- a full disk -------------------------------------------------------------------------------


@pytest.fixture
def patient_server(tmp_path: Path) -> ServerBinary:
    """A server that gets an error where a write passes its limit, as on a full disk."""
    binary = find_server()
    script = tmp_path / "server"
    script.write_text(f'#!/bin/sh\ntrap "" XFSZ\nexec {binary.path} "$@"\n')
    script.chmod(0o700)
    return attrs.evolve(binary, path=script)


def limit(pid: int, size: int) -> None:
    """No file of this process may grow beyond this many bytes."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fill(use: Embedded) -> int:
    """Write until the server has no room; how many writes it has answered well."""
    limit(pid_of(use), 20_000)
    answered = 0
    while True:
        try:
            ask(use.socket_path, "SET", f"key-{answered}", "x" * 1000)
        except StoreBusy:
            return answered
        answered += 1


def test_what_was_answered_on_a_full_disk_is_kept_until_there_is_room(
    directory: Path, patient_server: ServerBinary
) -> None:
    use = start(directory, binary=patient_server)
    server = pid_of(use)
    answered = fill(use)
    with start(directory, timeout_s=5.0) as other:
        assert pid_of(other) == server, "who joins gets its answer from the server itself"
    use.close()
    wait_until(lambda: is_locked(directory / "users.lock"))  # the keeper has looked
    wait_until(lambda: not is_locked(directory / "users.lock"))
    assert is_alive(server), "shut down now, it would forget what it has answered"
    with start(directory, timeout_s=5.0) as other:
        assert pid_of(other) == server
    limit(server, resource.RLIM_INFINITY)
    wait_until(lambda: not is_alive(server))
    wait_at_rest(directory)
    with start(directory) as again:
        assert ask(again.socket_path, "DBSIZE") == answered


def test_a_disk_that_is_full_from_the_start_is_one_clear_line_and_does_no_harm(
    directory: Path,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        line = refusal(directory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert line == f"{directory}: can't be written: File too large"
    with start(directory) as use:
        assert ask(use.socket_path, "PING") == b"PONG"


def test_a_disk_with_no_room_for_the_servers_files_is_one_clear_line(directory: Path) -> None:
    (directory / "appendonlydir").mkdir(parents=True)
    manifest = directory / "appendonlydir" / "temp-appendonly.aof.manifest"
    manifest.symlink_to("/dev/full")
    assert refusal(directory) == f"{directory}: no space left on the disk: make room"


def test_a_server_that_cannot_even_say_why_is_one_line_with_a_guess(directory: Path) -> None:
    (directory / "server.log").mkdir(parents=True)
    assert refusal(directory).endswith("without a word in its log; is the disk full?")


# -- a server that was killed ------------------------------------------------------------------


def kill_server(use: Embedded) -> None:
    os.kill(pid_of(use), signal.SIGKILL)
    wait_until(lambda: not is_locked(use.directory / "server.lock"))


def test_a_revived_server_tells_what_it_had_to_mend(directory: Path) -> None:
    told: list[str] = []
    with start(directory, log=told.append) as use:
        for n in range(50):
            ask(use.socket_path, "SET", f"key-{n}", "x" * 50)
        kill_server(use)
        os.truncate(aof(directory), aof(directory).stat().st_size - 20)
        assert use.revive()
        assert ask(use.socket_path, "DBSIZE") == 49
        (line,) = _but_loading(told)
        assert "torn and has been cut off" in line


def test_a_server_that_cannot_be_revived_says_why_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioq.store.embedded.server.REVIVE_EVERY_S", 0.0)
    told: list[str] = []
    with start(directory, log=told.append) as use:
        kill_server(use)
        aof(directory, "base").unlink()
        assert not use.revive()
        assert not use.revive()
        (line,) = _but_loading(told)
        assert "appendonly.aof.1.base.rdb: missing" in line


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
    config = parse(
        f"""
        redis = {{ url = "embedded:{directory}" }}
        worker = {{ count = 4 }}
        queues = [{{ name = "low" }}]
        observability = {{ bind = "" }}
        """,
        name="test",
        directory=directory.parent,
    )
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


def test_a_log_that_has_grown_long_is_cut(directory: Path) -> None:
    with_data(directory, keys=1)
    with (directory / "server.log").open("ab") as log:
        log.write(b"an old line\n" * (2 * LOG_BYTES // 12))
    with start(directory):
        assert (directory / "server.log").stat().st_size < LOG_BYTES
        assert "Ready to accept connections" in (directory / "server.log").read_text()


def test_a_server_with_no_user_left_is_at_rest(directory: Path) -> None:
    with start(directory):
        assert not is_at_rest(directory)
