"""The directory scan, against real trees: what is found, and what it says of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.engine.sources.scan.trees import (
    an_hour_later,
    found,
    look_twice,
    open_fds,
    results,
    rules,
    write,
)
from trioq.engine.sources.scan import walk as scanning
from trioq.engine.sources.scan.walk import Found, scan

# -- queues ------------------------------------------------------------------------------------


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


# -- what is found -----------------------------------------------------------------------------


def test_found_carries_what_the_handler_and_the_seen_hash_need(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.pdf", text="12345")
    os.utime(tmp_path / "sub/a.pdf", ns=(1, 1_700_000_000_123_456_789))

    (one,) = results(tmp_path)

    assert isinstance(one, Found)
    status = (tmp_path / "sub/a.pdf").stat()
    assert one.mark == f"5:1700000000123456789:{status.st_ctime_ns}"
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


@pytest.mark.parametrize("ignore_ctime", [False, True])
def test_the_mark_changes_with_size_time_and_status_time_and_with_nothing_else(
    tmp_path: Path, ignore_ctime: bool
) -> None:
    def mark() -> str:
        (one,) = results(tmp_path, ignore_ctime=ignore_ctime)
        assert isinstance(one, Found)
        return one.mark

    write(tmp_path, "a")
    os.utime(tmp_path / "a", ns=(5, 5))
    first = mark()
    (tmp_path / "a").read_bytes()
    same = mark()
    (tmp_path / "a").chmod(0o600)
    touched = mark()
    os.utime(tmp_path / "a", ns=(5, 6))
    later = mark()

    assert first == same != later
    assert (touched == first) is ignore_ctime


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


# -- the generator -----------------------------------------------------------------------------


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
