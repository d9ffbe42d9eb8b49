"""Trees with devices, walls and depths in them, and trees that vanish meanwhile."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.sources.scan.trees import (
    an_hour_later,
    found,
    open_fds,
    results,
    rules,
    skipped,
    write,
)
from trioq.engine.sources.scan import walk as scanning
from trioq.engine.sources.scan.walk import Found, ScanError, Skipped, scan

# -- what isn't a file -------------------------------------------------------------------------


def test_special_files_are_skipped_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        # The address is short where the directory's name isn't.
        here = os.open(tmp_path, os.O_RDONLY)
        try:
            sock.bind(f"/proc/self/fd/{here}/socket")
        finally:
            os.close(here)
        (tmp_path / "link").symlink_to("fifo")

        assert found(tmp_path) == []
        assert skipped(tmp_path) == dict.fromkeys(["fifo", "link", "socket"], "special")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_are_skipped(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("devices can't be made here")

    assert results(tmp_path) == [Skipped("zero", "special", "character device")]


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A directory, and not being root while the test runs."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        yield root
        os.seteuid(os.getuid())


def become_ordinary() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_unreadable_directories_are_reported_and_passed_over(ordinary_user: Path) -> None:
    write(ordinary_user, "a/x", "b/x", "c/x")
    (ordinary_user / "b").chmod(0)
    become_ordinary()

    assert found(ordinary_user) == ["a/x", "c/x"]
    assert [one for one in results(ordinary_user) if isinstance(one, Skipped)] == [
        Skipped("b", "unreadable", "Permission denied")
    ]


def test_files_in_a_directory_that_may_only_be_listed_are_reported(ordinary_user: Path) -> None:
    write(ordinary_user, "a/x", "b")
    (ordinary_user / "a").chmod(0o444)
    become_ordinary()

    assert found(ordinary_user) == ["b"]
    assert skipped(ordinary_user) == {"a/x": "unreadable"}


def test_a_root_that_cannot_be_read_is_an_error(ordinary_user: Path) -> None:
    ordinary_user.chmod(0)
    become_ordinary()

    with pytest.raises(ScanError, match="Permission denied"):
        results(ordinary_user)


def test_what_vanishes_during_the_scan_is_no_error(tmp_path: Path) -> None:
    write(tmp_path, "outside", text="secret")
    root = tmp_path / "root"
    write(root, "a", "b", "c/x", "d/x", "e", "f", "g", "z")
    walk = scan(rules(root), now_ns=an_hour_later)
    first = next(walk)
    (root / "b").unlink()
    (root / "c/x").unlink()
    (root / "c").rmdir()
    (root / "d").rename(root / "moved")
    (root / "d").symlink_to("moved")
    (root / "e").unlink()
    (root / "e").mkdir()
    (root / "g").unlink()
    (root / "g").symlink_to(tmp_path / "outside")

    rest = list(walk)

    assert first.path == "a"
    assert [one.path for one in rest if isinstance(one, Found)] == ["f", "z"]
    assert {one.path: one.reason for one in rest if isinstance(one, Skipped)} == dict.fromkeys(
        ["b", "c", "d", "e", "g"], "vanished"
    )


def test_a_tree_removed_during_the_scan_ends_it(tmp_path: Path) -> None:
    write(tmp_path, "root/a/b/1", "root/a/b/2", "root/c")
    walk = scan(rules(tmp_path / "root"), now_ns=an_hour_later)
    next(walk)
    for path in ("root/a/b/1", "root/a/b/2", "root/c"):
        (tmp_path / path).unlink()
    for path in ("root/a/b", "root/a", "root"):
        (tmp_path / path).rmdir()

    assert {type(one) for one in walk} == {Skipped}


# -- limits ------------------------------------------------------------------------------------


def make_deep(root: Path, names: list[str]) -> None:
    """Nested directories with a file in each; the paths may be longer than the system takes."""
    fd = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_a_deep_tree_ends_at_the_limit(tmp_path: Path) -> None:
    make_deep(tmp_path, ["d"] * (scanning.MAX_DEPTH + 3))
    before = len(open_fds())
    most = 0

    all_found, left = [], []
    for one in scan(rules(tmp_path), now_ns=an_hour_later):
        most = max(most, len(open_fds()))
        (all_found if isinstance(one, Found) else left).append(one.path)

    assert len(all_found) == scanning.MAX_DEPTH
    assert left == ["/".join(["d"] * (scanning.MAX_DEPTH + 1))]
    assert most - before <= scanning.MAX_DEPTH + 4


def test_a_link_to_a_file_far_below_costs_a_bounded_number_of_descriptors(tmp_path: Path) -> None:
    make_deep(tmp_path, ["d"] * 140)
    (tmp_path / "near").symlink_to("/".join(["d"] * 100 + ["f"]))
    (tmp_path / "far").symlink_to("/".join(["d"] * 140 + ["f"]))

    results_of = {one.path: one for one in results(tmp_path, include=("*",))}

    assert isinstance(results_of["near"], Found)
    assert results_of["far"] == Skipped("far", "unreadable", "File name too long")


def test_a_path_that_no_program_could_open_is_reported(tmp_path: Path) -> None:
    make_deep(tmp_path, ["d" * 250] * 20)

    everything = results(tmp_path)

    assert {one.reason for one in everything if isinstance(one, Skipped)} == {"path_too_long"}
    for one in everything:
        absolute = os.path.join(tmp_path, one.path)
        if isinstance(one, Found):
            os.stat(absolute)
        else:
            with pytest.raises(OSError, match="File name too long"):
                os.stat(absolute)


def test_the_longest_path_that_can_be_opened_is_found(tmp_path: Path) -> None:
    room = scanning.PATH_MAX - 1 - len(os.fsencode(tmp_path)) - 1
    names = ["d" * 199] * ((room - 100) // 200)
    make_deep(tmp_path, names)
    left = room - 200 * len(names)
    fits, too_long = "x" * left, "y" * (left + 1)
    deepest = os.path.join(tmp_path, *names)
    fd = os.open(deepest, os.O_RDONLY)
    for name in (fits, too_long):
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)

    by_name = {one.path.rpartition("/")[2]: one for one in results(tmp_path)}

    os.stat(os.path.join(deepest, fits))
    assert isinstance(by_name[fits], Found)
    with pytest.raises(OSError, match="File name too long"):
        os.stat(os.path.join(deepest, too_long))
    assert by_name[too_long].reason == "path_too_long"
