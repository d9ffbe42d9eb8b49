"""A directory whose data is torn, damaged or somebody else's: mended, or a line that says so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.embedding import (
    aof,
    ask,
    but_loading,
    refusal,
    wait_at_rest,
    with_data,
)
from trioq.store.embedded import find_server, start

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
    assert but_loading(told) == [
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
