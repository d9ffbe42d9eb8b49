"""An embedded server writes into nobody else's directory, and through no link."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.embedding import ask, but_loading, refusal, with_data
from trioq.store.embedded import start

OURS = ["users.lock", "server.lock", "keeper.lock", "server.log", "server.json", "server.sock"]

#: Nobody's, on any machine.
STRANGER = 54321

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize("name", [*OURS, "server.new", "appendonlydir"])
def test_a_link_in_the_place_of_a_file_is_refused_and_what_it_leads_to_stays(
    directory: Path, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine\n" * 500_000)  # more than a log keeps
    directory.mkdir()
    (directory / name).symlink_to(precious)
    line = refusal(directory)
    assert line.startswith(f"{directory / name}: is a link, not a ")
    assert precious.read_text() == "mine\n" * 500_000


def test_a_link_among_the_pieces_of_the_data_is_refused(directory: Path, tmp_path: Path) -> None:
    with_data(directory)
    (piece,) = (directory / "appendonlydir").glob("*.incr.aof")
    moved = piece.rename(tmp_path / "moved")
    piece.symlink_to(moved)
    assert refusal(directory).startswith(f"{piece}: is a link")


def test_something_else_in_the_place_of_a_file_is_refused(directory: Path) -> None:
    (directory / "server.log").mkdir(parents=True)
    assert refusal(directory).endswith("is something else, not a file of ours: take it away")


def test_a_link_to_a_directory_of_ones_own_is_as_good_as_the_directory(
    directory: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    directory.mkdir()
    link.symlink_to(directory)
    with start(link) as use:
        assert ask(use.socket_path, "PING") == b"PONG"


@as_root
@pytest.mark.parametrize("what", [".", *OURS, "appendonlydir"])
def test_what_belongs_to_somebody_else_is_refused(directory: Path, what: str) -> None:
    with_data(directory)
    path = directory / what
    if what == "server.sock" and not path.exists():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    shown = directory if what == "." else path
    assert refusal(directory) == (
        f"{shown}: belongs to user {STRANGER}, and this is root: run as its owner, or use another"
        " directory"
    )


@as_root
def test_a_link_that_somebody_else_made_is_refused_wherever_it_leads(
    directory: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    directory.mkdir()
    link.symlink_to(directory)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    assert refusal(link).startswith(f"{link}: belongs to user {STRANGER}")
    assert list(directory.iterdir()) == []


def test_a_directory_that_everybody_may_write_to_is_refused(directory: Path) -> None:
    directory.mkdir()
    (directory / "other").touch()
    directory.chmod(0o777)
    assert refusal(directory).startswith(f"{directory}: everybody may write there")


def test_a_directory_that_a_group_may_write_to_is_used_and_told(directory: Path) -> None:
    directory.mkdir()
    (directory / "other").touch()
    directory.chmod(0o770)
    told: list[str] = []
    with start(directory, log=told.append):
        assert but_loading(told) == [
            f"{directory}: its group may write there, and so read and change all jobs"
        ]


def test_no_descriptors_are_told_as_what_they_are(directory: Path) -> None:
    use = """
import resource, sys
from pathlib import Path
from trioq.store.embedded import start, find_server
binary = find_server()
resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
try:
    start(Path(sys.argv[1]), binary=binary)
except Exception as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", use, directory], check=True, capture_output=True, text=True
    ).stdout
    assert said == (
        f"{directory}: this process has no file descriptors left (see ulimit -n):"
        " Too many open files\n"
    )
