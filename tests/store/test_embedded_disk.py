"""A full disk: what was answered is kept, and what can't be is one clear line."""

from __future__ import annotations

import resource
from pathlib import Path

import attrs
import pytest

from tests.store.embedding import (
    ask,
    is_alive,
    is_locked,
    pid_of,
    refusal,
    wait_at_rest,
)
from tests.support import wait_until
from trioq.errors import StoreBusy
from trioq.store.embedded import Embedded, ServerBinary, find_server, start


def instead(tmp_path: Path, shell: str) -> ServerBinary:
    """A server that does this first."""
    binary = find_server()
    script = tmp_path / "server"
    script.write_text(f'#!/bin/sh\n{shell}\nexec {binary.path} "$@"\n')
    script.chmod(0o700)
    return attrs.evolve(binary, path=script)


@pytest.fixture
def patient_server(tmp_path: Path) -> ServerBinary:
    """A server that gets an error where a write passes its limit, as on a full disk."""
    return instead(tmp_path, 'trap "" XFSZ')


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


def test_a_disk_with_no_room_for_the_servers_files_is_one_clear_line(
    directory: Path, tmp_path: Path
) -> None:
    full = "mkdir appendonlydir; ln -s /dev/full appendonlydir/temp-appendonly.aof.manifest"
    line = refusal(directory, binary=instead(tmp_path, full))
    assert line == f"{directory}: no space left on the disk: make room"


def test_a_server_that_cannot_even_say_why_is_one_line_with_a_guess(
    directory: Path, tmp_path: Path
) -> None:
    line = refusal(directory, binary=instead(tmp_path, "exit 1"))
    assert line.endswith("without a word in its log; is the disk full?")
