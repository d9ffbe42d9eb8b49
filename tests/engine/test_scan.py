"""The directory scan, against real trees."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trioq.engine import scan as scanning
from trioq.engine.beneath import LeavesRoot, Root
from trioq.engine.globs import Globs, faults_of
from trioq.engine.scan import Found, ScanError, ScanRules, Skipped, look_again, scan
from trioq.errors import ConfigError

HOUR_NS = 3_600_000_000_000


def an_hour_later() -> int:
    """A clock by which everything that the test wrote has settled."""
    return time.time_ns() + HOUR_NS


def rules(root: Path, **changed: Any) -> ScanRules:
    defaults: dict[str, Any] = {
        "include": ("**/*",),
        "exclude": ("**/*.tmp", "**/.*"),
        "queue_of_extension": {".pdf": "high"},
        "default_queue": "low",
    }
    return ScanRules(root, **(defaults | changed))


def results(root: Path, **changed: Any) -> list[Found | Skipped]:
    return list(scan(rules(root, **changed), now_ns=an_hour_later))


def found(root: Path, **changed: Any) -> list[str]:
    return [one.path for one in results(root, **changed) if isinstance(one, Found)]


def skipped(root: Path, **changed: Any) -> dict[str, str]:
    return {one.path: one.reason for one in results(root, **changed) if isinstance(one, Skipped)}


def write(root: Path, *paths: str, text: str = "x") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def open_fds() -> set[str]:
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}


# Patterns


def test_every_file_at_every_depth_is_found_once_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "a/z", "a/b/c/d.txt", "a.txt")
    (tmp_path / "empty").mkdir()

    assert found(tmp_path) == ["a/b/c/d.txt", "a/z", "a.txt", "b.txt"]
    assert skipped(tmp_path) == {}


def test_hidden_directories_are_not_entered(tmp_path: Path) -> None:
    write(tmp_path, "a", ".hidden", ".git/config", "sub/.cache/deep/file", "sub/b.tmp", "sub/b")
    entered = []
    real_open = os.open

    def spy(path: Any, *rest: Any, **options: Any) -> int:
        entered.append(os.fspath(path))
        return real_open(path, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning.os, "open", spy)
        assert found(tmp_path) == ["a", "sub/b"]

    assert "sub" in entered
    assert not {".git", ".cache", "deep"}.intersection(entered)


def test_hidden_files_are_found_where_nothing_excludes_them(tmp_path: Path) -> None:
    write(tmp_path, ".a", ".git/config")

    assert found(tmp_path, exclude=()) == [".a", ".git/config"]


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("**/*.pdf", ["a.pdf", "x/a.pdf", "x/y/a.pdf"], ["a.txt", "pdf", "a.pdf.x", "a.PDF"]),
        ("*.pdf", ["a.pdf"], ["x/a.pdf"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xx/a", "a/x/a"]),
        ("x/**/a", ["x/a", "x/y/z/a"], ["a", "xa"]),
        ("{x,y}/*.{a,b}", ["x/1.a", "y/2.b"], ["z/1.a", "x/1.c", "{x,y}/1.a"]),
        ("[ab]?", ["a1", "b\n"], ["c1", "a", "a/"]),
        ("[!a]", ["b", "*"], ["a", "/"]),
        (r"\*", ["*"], ["a", r"\*"]),
        ("**", ["a", "x/y"], []),
        ("a+(b)|c", ["a+(b)|c"], ["ab", "c"]),
        ("!a", ["!a"], ["b"]),
        ("~", ["~"], ["a"]),
    ],
)
def test_patterns_mean_what_they_mean_in_a_shell(
    pattern: str, taken: list[str], left: list[str]
) -> None:
    globs = Globs((pattern,))

    assert [path for path in taken + left if globs.takes(path)] == taken


def test_a_trailing_slash_excludes_directories_only(tmp_path: Path) -> None:
    write(tmp_path, "a/build/x", "b/build")

    assert found(tmp_path, exclude=("**/build/",)) == ["b/build"]
    assert found(tmp_path, exclude=("**/build",)) == []


@pytest.mark.parametrize("name", [".\n", "..\n", "\n", "a\n", ".\n\n", "\n."])
def test_names_with_newlines_are_matched(name: str) -> None:
    assert Globs(("**/*",)).takes(name)
    assert Globs(("**/?*",)).takes(f"d/{name}")
    assert not Globs(("**/*",), ("**/?*",)).takes(name)
    assert Globs((name,)).takes(name)
    assert Globs(("*",)).prunes(name) is False
    assert Globs(("*",), ("?*",)).prunes(name)


def test_all_faulty_patterns_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Globs(("", "/etc/*", "a/", "ok", "{1..9999}"), ("../**", "./a", "a\0", "b\\"))

    assert len(caught.value.faults) == 8
    assert caught.value.faults[1].startswith("'/etc/*': patterns are relative")


def test_good_patterns_have_no_faults() -> None:
    assert faults_of(["**/*", "a\\\\", "...", "a..b/c", "[", "**/.*"], includes=True) == []
    assert faults_of(["build/"]) == []


# Queues


@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("a.pdf", "high"),
        ("A.PDF", "high"),
        ("a.b.pdf", "high"),
        ("a.tar.gz", "archives"),
        ("a.x.tar.gz", "archives"),
        ("a.gz", "gz"),
        ("a.tar", "low"),
        ("pdf", "low"),
        (".pdf", "low"),
        ("..pdf", "low"),
        (".a.pdf", "high"),
        ("a.", "low"),
        ("a.pdf.", "low"),
        ("." * 255, "low"),
    ],
)
def test_the_longest_extension_that_has_a_queue_decides(name: str, queue: str) -> None:
    extensions = {".pdf": "high", ".gz": "gz", ".tar.gz": "archives"}

    assert rules(Path("/"), queue_of_extension=extensions).queue_of(name) == queue


def test_a_directory_with_an_extension_does_not_decide(tmp_path: Path) -> None:
    write(tmp_path, "a.pdf/b.txt", "c.pdf")

    queues = {one.path: one.queue for one in results(tmp_path) if isinstance(one, Found)}
    assert queues == {"a.pdf/b.txt": "low", "c.pdf": "high"}


# What is found


def test_found_carries_what_the_handler_and_the_seen_hash_need(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.pdf", text="12345")
    os.utime(tmp_path / "sub/a.pdf", ns=(1, 1_700_000_000_123_456_789))

    (one,) = results(tmp_path)

    assert isinstance(one, Found)
    assert one.mark == "5:1700000000123456789"
    assert one.payload() == {
        "path": str(tmp_path / "sub/a.pdf"),
        "size": 5,
        "mtime": pytest.approx(1_700_000_000.123456789),
    }


def test_a_relative_root_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "data/a")
    monkeypatch.chdir(tmp_path)

    (one,) = results(Path("data"))

    assert isinstance(one, Found)
    assert one.payload()["path"] == str(tmp_path / "data/a")


def test_the_mark_changes_with_size_and_time_and_with_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.utime(tmp_path / "a", ns=(5, 5))
    (first,) = results(tmp_path)
    (tmp_path / "a").chmod(0o600)
    (same,) = results(tmp_path)
    os.utime(tmp_path / "a", ns=(5, 6))
    (later,) = results(tmp_path)

    assert first == same != later


def test_every_byte_that_a_name_can_have_survives_the_payload(tmp_path: Path) -> None:
    names = {bytes([byte, 120]) for byte in range(1, 256) if byte != ord("/")}
    names |= {b"x" * 255, b"-rf", b"*", b"[", b"a[b]*?", b"\\", b"\xff\xfe", b"caf\xc3\xa9"}
    names |= {b".\n", b"..\n", b"...", b" ", b"\n", "\N{RIGHT-TO-LEFT OVERRIDE}x".encode()}
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(name)

    all_found = [one for one in results(tmp_path, exclude=()) if isinstance(one, Found)]

    assert len(all_found) == len(names)
    for one in all_found:
        wire = json.dumps(one.payload(), ensure_ascii=True).encode("ascii")
        path = os.fsencode(json.loads(wire)["path"])
        with open(path, "rb") as file:
            assert file.read() == os.fsencode(one.path)
        assert os.path.basename(path) in names


def test_a_hard_link_is_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "b")

    assert found(tmp_path) == ["a", "b"]


def test_a_directory_larger_than_a_piece_is_found_once_and_whole(tmp_path: Path) -> None:
    names = [f"{n:04d}" for n in range(scanning.PIECE * 2 + 3)]
    write(tmp_path, *names)

    all_found = found(tmp_path)

    assert sorted(all_found) == names
    for start in range(0, len(names), scanning.PIECE):
        piece = all_found[start : start + scanning.PIECE]
        assert piece == sorted(piece)


# The root


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


# Links


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    write(tmp_path, "outside/secret", text="secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "outside"


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


# What isn't a file


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


# Limits


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


# Files that are still being written


MINUTE_NS = HOUR_NS // 60


def look_twice(root: Path, *, wait_ns: int, between: Any = lambda: None) -> Any:
    """A one-shot scan: the young ones are looked at again, later by a clock of ours."""
    # A minute, so that a test on a busy machine isn't slower than that.
    the_rules = rules(root, settle_s=60)
    now_ns = time.time_ns()
    first = list(scan(the_rules, now_ns=lambda: now_ns))
    between()
    young = [one for one in first if isinstance(one, Skipped) and one.reason == "still_written"]
    return first, list(look_again(the_rules, young, now_ns=lambda: now_ns + wait_ns))


def test_a_file_that_just_changed_is_left_and_found_at_the_second_look(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.pdf")

    first, second = look_twice(tmp_path, wait_ns=2 * MINUTE_NS)

    assert [(one.path, one.reason) for one in first] == [("sub/a.pdf", "still_written")]
    assert second == results(tmp_path)
    assert second[0].queue == "high"


def test_bare_paths_are_judged_by_the_clock(tmp_path: Path) -> None:
    write(tmp_path, "a")
    the_rules = rules(tmp_path, settle_s=60)

    (young,) = look_again(the_rules, ["a"], now_ns=time.time_ns)
    (settled,) = look_again(the_rules, ["a"], now_ns=an_hour_later)

    assert isinstance(young, Skipped)
    assert isinstance(settled, Found)


def test_a_backdated_file_is_as_young_as_its_last_write(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.utime(tmp_path / "a", (0, 0))

    first, _ = look_twice(tmp_path, wait_ns=0)

    assert [one.reason for one in first] == ["still_written"]


def test_a_time_in_the_future_is_settled_by_two_looks(tmp_path: Path) -> None:
    write(tmp_path, "a")
    behind = time.time_ns() - HOUR_NS
    the_rules = rules(tmp_path)

    first = list(scan(the_rules, now_ns=lambda: behind))
    too_soon = list(look_again(the_rules, first, now_ns=lambda: behind + 999_999_999))
    second = list(look_again(the_rules, first, now_ns=lambda: behind + 1_000_000_000))

    assert [one.reason for one in first] == ["still_written"]
    assert [one.reason for one in too_soon] == ["still_written"]
    assert [type(one) for one in second] == [Found]


def test_a_file_that_grows_between_two_looks_is_left_again(tmp_path: Path) -> None:
    write(tmp_path, "a")
    behind = time.time_ns() - HOUR_NS
    the_rules = rules(tmp_path)

    first = list(scan(the_rules, now_ns=lambda: behind))
    write(tmp_path, "a", text="longer")
    second = list(look_again(the_rules, first, now_ns=lambda: behind + HOUR_NS // 2))
    third = list(look_again(the_rules, second, now_ns=lambda: behind + HOUR_NS * 3 // 4))

    assert [one.reason for one in second] == ["still_written"]
    assert [(type(one), one.size) for one in third] == [(Found, 6)]


def test_an_mtime_in_the_future_delays_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.utime(tmp_path / "a", (4e9, 4e9))

    assert found(tmp_path) == ["a"]


def test_settling_can_be_switched_off(tmp_path: Path) -> None:
    write(tmp_path, "a")

    (one,) = scan(rules(tmp_path, settle_s=0), now_ns=lambda: 0)

    assert isinstance(one, Found)


def test_a_second_look_reports_what_went_away(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    write(root, "a", "b", "c")

    def between() -> None:
        (root / "a").unlink()
        (root / "b").unlink()
        (root / "b").symlink_to(outside / "secret")
        (root / "c").unlink()
        os.mkfifo(root / "c")

    _, second = look_twice(root, wait_ns=HOUR_NS, between=between)

    assert [(one.path, one.reason) for one in second] == [
        ("a", "vanished"),
        ("b", "symlink_outside"),
        ("c", "special"),
    ]


# The generator


def test_closing_the_scan_early_closes_every_descriptor(tmp_path: Path) -> None:
    write(tmp_path, *(f"d/{n:04d}" for n in range(scanning.PIECE + 1)), "d/0/a/b/c")
    before = open_fds()
    walk = scan(rules(tmp_path), now_ns=an_hour_later)
    next(walk)
    during = open_fds()

    walk.close()

    assert len(during) > len(before)
    assert open_fds() == before


def test_a_finished_scan_has_closed_every_descriptor(tmp_path: Path) -> None:
    write(tmp_path, "a/b/c", "d")
    (tmp_path / "link").symlink_to("a/b/c")
    before = open_fds()

    results(tmp_path)
    look_twice(tmp_path, wait_ns=0)

    assert open_fds() == before


def test_a_scan_can_be_stopped_where_it_finds_nothing(tmp_path: Path) -> None:
    write(tmp_path, *(f"{n}.tmp" for n in range(scanning.PIECE)))
    before = open_fds()

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list(scan(rules(tmp_path), now_ns=an_hour_later, check=stop))
    assert open_fds() == before
