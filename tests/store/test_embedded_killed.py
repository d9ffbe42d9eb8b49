"""What an embedded server has answered is there after it was killed, however slow the disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.store.embedding import User, ask, pid_of, pids_with_open, wait_at_rest
from tests.support import wait_until
from trioq.errors import StoreError
from trioq.store.embedded import start

SHIM = Path(__file__).parent.parent / "faults" / "fsync.c"

#: A sync takes longer than everything is written in, so that some of it is under way when the
#: server is killed, whenever that is.
SYNC_MS = 1500
WRITES_S = 3.2
WRITERS = 4


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A disk on which a sync takes long; its server is whatever is started from here."""
    if shutil.which("cc") is None:
        pytest.skip("a slow disk needs a C compiler")
    made = tmp_path / "fsync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, SHIM], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(made))
    return monkeypatch


def test_what_was_answered_is_there_when_the_server_is_killed_during_a_slow_sync(
    directory: Path, disk: pytest.MonkeyPatch
) -> None:
    disk.setenv("TRIOQ_TEST_FSYNC_MS", str(SYNC_MS))
    answered: list[str] = []
    use = start(directory)
    killed = threading.Event()

    def write(writer: int) -> None:
        n = 0
        while not killed.is_set():
            key = f"{writer}:{n}"
            try:
                ask(use.socket_path, "SET", key, "x" * 100)
            except StoreError:
                return
            answered.append(key)
            n += 1

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(WRITES_S)
    os.kill(pid_of(use), signal.SIGKILL)
    killed.set()
    for writer in writers:
        writer.join()
    disk.delenv("LD_PRELOAD")
    wait_until(use.revive)
    there = set(ask(use.socket_path, "KEYS", "*"))
    lost = [key for key in answered if key.encode() not in there]
    use.close()
    assert len(answered) > 100
    assert lost == []


def test_the_keeper_syncs_what_the_server_has_written(
    directory: Path, disk: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "syncs"
    disk.setenv("TRIOQ_TEST_FSYNC_LOG", str(log))
    with start(directory) as use:
        ask(use.socket_path, "SET", "key", "value")
        server = pid_of(use)
        (keeper,) = [p for p in pids_with_open(directory / "keeper.lock") if p != server]
        wait_until(lambda: f"{keeper}\n" in log.read_text())
    wait_at_rest(directory)


def test_a_server_started_where_signals_are_ignored_rewrites_its_file_and_ends(
    directory: Path,
) -> None:
    user = User(directory, "deaf")
    server = user.told()["server"]
    with start(directory) as use:
        assert pid_of(use) == server
        ask(use.socket_path, "BGREWRITEAOF")
        wait_until(lambda: b"aof_rewrite_in_progress:0" in ask(use.socket_path, "INFO"))
        assert b"aof_last_bgrewrite_status:ok" in ask(use.socket_path, "INFO")
        wait_until(lambda: len(list((directory / "appendonlydir").glob("*.incr.aof"))) == 1)
    os.kill(server, signal.SIGTERM)
    user.close()
    wait_at_rest(directory)
