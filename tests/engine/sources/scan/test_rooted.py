"""A scan stays beneath its root, wherever links lead and whoever swaps them."""

from __future__ import annotations

import threading
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
from trioq.engine.sources.scan.rooted import LeavesRoot, Root
from trioq.engine.sources.scan.walk import Found, ScanError, Skipped, scan

# -- the root ----------------------------------------------------------------------------------


def test_a_root_that_cannot_be_scanned_is_named(tmp_path: Path) -> None:
    write(tmp_path, "file")

    with pytest.raises(ScanError, match=r"missing.*No such file"):
        results(tmp_path / "missing")
    with pytest.raises(ScanError, match=r"file.*Not a directory"):
        results(tmp_path / "file")


def test_a_root_that_is_a_link_is_followed_and_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path, "real/a")
    (tmp_path / "link").symlink_to("real")

    (one,) = results(tmp_path / "link")

    assert isinstance(one, Found)
    assert one.payload()["path"] == str(tmp_path / "link/a")


def test_a_root_swapped_during_the_scan_does_not_lead_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "root/a", "root/b", "other/c")
    walk = scan(rules(tmp_path / "root"), now_ns=an_hour_later)
    first = next(walk)
    (tmp_path / "root").rename(tmp_path / "moved")
    (tmp_path / "root").symlink_to("other")

    assert [first.path, *(one.path for one in walk)] == ["a", "b"]


# -- links -------------------------------------------------------------------------------------


def test_links_that_leave_the_root_are_refused(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    (root / "file").symlink_to(outside / "secret")
    (root / "relative").symlink_to("../outside/secret")
    (root / "directory").symlink_to(outside)
    (root / "slash").symlink_to("/")
    (root / "up").symlink_to("..")
    (root / "and_back").symlink_to("../root/and_back_target")
    (root / "sly").symlink_to(f"{root}/../outside/secret")
    (root / "sibling").symlink_to(f"{root}side/x")
    (root / "two_steps").symlink_to("file")

    assert found(root) == []
    assert set(skipped(root).values()) == {"symlink_outside"}
    assert len(skipped(root)) == 9


def test_a_refused_link_says_where_it_leads(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "root/a").symlink_to("../outside/secret")

    (one,) = results(tmp_path / "root")

    assert one == Skipped("a", "symlink_outside", "leads to ../outside/secret")


def test_links_to_files_in_the_root_are_files(tmp_path: Path) -> None:
    write(tmp_path, "sub/real.txt", text="1234")
    (tmp_path / "a.pdf").symlink_to("sub/real.txt")
    (tmp_path / "b").symlink_to(tmp_path / "sub/real.txt")
    (tmp_path / "sub/c").symlink_to("../sub/./../sub//real.txt")
    (tmp_path / "sub/e").symlink_to(tmp_path / "sub/real.txt")
    (tmp_path / "d").symlink_to("a.pdf")
    (tmp_path / "through").symlink_to("dir_link/real.txt")
    (tmp_path / "dir_link").symlink_to("sub")

    all_found = {one.path: one for one in results(tmp_path) if isinstance(one, Found)}

    assert set(all_found) == {
        "a.pdf",
        "b",
        "d",
        "sub/c",
        "sub/e",
        "sub/real.txt",
        "through",
    }
    assert {one.size for one in all_found.values()} == {4}
    assert all_found["a.pdf"].queue == "high"
    assert skipped(tmp_path) == {"dir_link": "symlink_directory"}


def test_an_absolute_link_may_spell_the_root_as_configured(tmp_path: Path) -> None:
    write(tmp_path, "real/a")
    (tmp_path / "alias").symlink_to("real")
    (tmp_path / "real/b").symlink_to(tmp_path / "alias/a")
    (tmp_path / "real/c").symlink_to(tmp_path / "real/a")

    assert found(tmp_path / "alias") == ["a", "b", "c"]


def test_loops_and_dangling_links_are_reported(tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(".")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "ping").symlink_to("pong")
    (tmp_path / "pong").symlink_to("ping")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "under_a_file").symlink_to("file/x")
    write(tmp_path, "file")

    assert found(tmp_path) == ["file"]
    assert skipped(tmp_path) == {
        "here": "symlink_directory",
        "self": "symlink_broken",
        "ping": "symlink_broken",
        "pong": "symlink_broken",
        "nowhere": "symlink_broken",
        "under_a_file": "symlink_broken",
    }


def test_links_that_are_not_wanted_are_not_mentioned(tmp_path: Path) -> None:
    (tmp_path / "a.tmp").symlink_to("/etc/passwd")

    assert results(tmp_path) == []


def test_a_link_with_endless_directories_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/d").symlink_to("../d")
    (tmp_path / "far").symlink_to("/".join(["d"] * 300))
    before = open_fds()

    assert skipped(tmp_path)["far"] == "symlink_broken"
    assert open_fds() == before


def test_nobody_can_swap_a_link_in(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, "root/sub/secret", "root/file", text="ours")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "sub").rename(root / ".away")
            (root / "sub").symlink_to(outside)
            (tmp_path / "link").symlink_to(outside / "secret")
            (tmp_path / "link").rename(root / "file")
            (root / "sub").unlink()
            (root / ".away").rename(root / "sub")
            write(tmp_path, "plain", text="ours")
            (tmp_path / "plain").rename(root / "file")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        all_found = [one for _ in range(1000) for one in results(root) if isinstance(one, Found)]
    finally:
        stop.set()
        thread.join()

    assert all_found
    assert {one.size for one in all_found} <= {0, len("ours")}


def test_a_path_is_looked_up_beneath_the_root_only(tmp_path: Path, outside: Path) -> None:
    write(tmp_path, "root/sub/a", text="123")
    root = Root.open(tmp_path / "root")
    try:
        assert root.stat("sub/a").st_size == 3
        assert root.stat("sub/../sub/./a").st_size == 3
        for path in ("../outside/secret", "sub/../../outside/secret"):
            with pytest.raises(LeavesRoot):
                root.stat(path)
        for path in ("missing", "sub/a/b"):
            with pytest.raises((FileNotFoundError, NotADirectoryError)):
                root.stat(path)
    finally:
        root.close()
