"""Files that come, go and come back: each is enqueued once, and what is gone is forgotten."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import trio

from tests.engine.rig import Rig
from tests.engine.sources.scanner import Scanner, names, write
from trioq.core.events import (
    FilesEnqueued,
    FilesForgotten,
    ForgettingPaused,
    ScanFailed,
    ScanFinished,
)
from trioq.engine.sources import forgetting

pytestmark = pytest.mark.trio


def remembered(rig: Rig, path: str) -> str | None:
    (known,) = rig.connect().store("look").seen([path])
    return known


def is_gone(rig: Rig, path: str) -> bool:
    """Whether it was noted that it is."""
    return (remembered(rig, path) or "").count(":") == 3


async def looked(rig: Rig, times: int = 2) -> None:
    """So many looks through the directory have begun and ended."""
    await rig.reported(ScanFinished, len(rig.of(ScanFinished)) + times + 1)


async def test_a_path_is_forgotten_when_its_file_has_been_gone_for_its_time(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, "a", "b/c", "stays")
    async with Scanner(rig, tmp_path, forget_after_s=0.05).watching():
        await rig.reported(FilesEnqueued)
        (tmp_path / "a").unlink()
        shutil.rmtree(tmp_path / "b")
        await rig.until(lambda: remembered(rig, "a") is remembered(rig, "b/c") is None)
        assert remembered(rig, "stays") is not None
    assert rig.key("HLEN", "seen") == 2


async def test_a_file_that_is_gone_is_known_until_then(rig: Rig, tmp_path: Path) -> None:
    write(tmp_path, "a", "stays")
    async with Scanner(rig, tmp_path).watching():
        await rig.reported(FilesEnqueued)
        (tmp_path / "a").unlink()
        await rig.until(lambda: is_gone(rig, "a"))
        await looked(rig)
        assert is_gone(rig, "a")
    assert rig.of(FilesForgotten) == []


async def test_who_never_forgets_does_not_look(rig: Rig, tmp_path: Path) -> None:
    write(tmp_path, "a", "stays")
    async with Scanner(rig, tmp_path, forget_after_s=0.0).watching():
        await rig.reported(FilesEnqueued)
        (tmp_path / "a").unlink()
        await looked(rig)
    assert remembered(rig, "a") is not None
    assert not is_gone(rig, "a")


@pytest.mark.parametrize("why", ["missing", "empty"])
async def test_a_directory_that_is_not_mounted_has_nothing_forgotten_and_that_is_told_once(
    rig: Rig, tmp_path: Path, why: str
) -> None:
    root, mounted, bare = tmp_path / "root", tmp_path / "mounted", tmp_path / "bare"

    def point_to(directory: Path) -> None:
        """At once, as a mount is."""
        (tmp_path / "next").symlink_to(directory)
        (tmp_path / "next").replace(root)

    write(mounted, "a")
    point_to(mounted)
    if why == "empty":
        bare.mkdir()
    async with Scanner(rig, root, forget_after_s=0.001).watching():
        await rig.reported(FilesEnqueued)
        before = remembered(rig, "a")
        for times in (1, 2):
            point_to(bare)
            await rig.reported(ForgettingPaused, times)
            kind = ScanFailed if why == "missing" else ScanFinished
            await rig.reported(kind, len(rig.of(kind)) + 3)
            point_to(mounted)
            await looked(rig)
    assert [event.why for event in rig.of(ForgettingPaused)] == [why, why]
    assert remembered(rig, "a") == before
    assert names(rig) == ["a"], "and it isn't new when it is there again"
    assert rig.of(FilesForgotten) == []


async def test_a_directory_that_was_never_there_is_no_news_of_what_is_remembered(
    rig: Rig, tmp_path: Path
) -> None:
    async with Scanner(rig, tmp_path / "later").watching():
        await rig.reported(ScanFailed, 3)
    assert rig.of(ForgettingPaused) == []


@pytest.mark.parametrize("meanwhile", ["was looked at", "wasn't looked at"])
async def test_a_file_that_comes_back_as_it_was_is_a_new_one(
    rig: Rig, tmp_path: Path, meanwhile: str
) -> None:
    root, archive = tmp_path / "root", tmp_path / "archive"
    write(root, "a", "stays")
    await Scanner(rig, root).run()
    shutil.copy2(root / "a", archive)
    (root / "a").unlink()
    if meanwhile == "was looked at":
        await Scanner(rig, root).run()
        assert is_gone(rig, "a")
    shutil.copy2(archive, root / "a")
    await Scanner(rig, root).run()
    await Scanner(rig, root).run()
    assert sorted(names(rig)) == ["a", "a", "stays"]
    assert [event.again for event in rig.of(ScanFinished) if event.enqueued] == [0, 1]


async def test_a_file_is_new_that_is_written_again_with_its_size_and_time_put_back(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, "a")
    os.utime(tmp_path / "a", ns=(5, 5))
    await Scanner(rig, tmp_path).run()
    write(tmp_path, "a", text="y")
    os.utime(tmp_path / "a", ns=(5, 5))
    await Scanner(rig, tmp_path).run()
    await Scanner(rig, tmp_path).run()
    assert names(rig) == ["a", "a"]


async def test_where_the_status_time_is_not_gone_by_what_was_gone_is_new(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, "a", "b")
    scanner = Scanner(rig, tmp_path, ignore_ctime=True)
    await scanner.run()
    (tmp_path / "b").chmod(0o600)
    (tmp_path / "a").rename(tmp_path / "a.tmp")
    await scanner.run()
    (tmp_path / "a.tmp").rename(tmp_path / "a")
    await scanner.run()
    await scanner.run()
    assert sorted(names(rig)) == ["a", "a", "b"]


async def test_what_an_older_version_has_seen_is_seen_and_nothing_it_sees_is_new_to_it(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, "a", "b")
    older = {n: "{0.st_size}:{0.st_mtime_ns}".format((tmp_path / n).stat()) for n in ("a", "b")}
    rig.key("HSET", "seen", "a", older["a"])
    await Scanner(rig, tmp_path).run()
    assert names(rig) == ["b"]
    assert {name: rig.key("HGET", "seen", name).decode() for name in older} == older
    # From now on it is known by all that there is to know.
    times = (tmp_path / "a").stat()
    write(tmp_path, "a", text="y")
    os.utime(tmp_path / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    await Scanner(rig, tmp_path).run()
    assert names(rig) == ["b", "a"]


async def test_one_look_is_bounded_and_the_next_goes_on(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "LOOKS", 1)
    monkeypatch.setattr(forgetting, "PAGE", 50)
    write(tmp_path, *(f"f{n}" for n in range(1000)), "stays")
    await Scanner(rig, tmp_path).run()
    for n in range(1000):
        (tmp_path / f"f{n}").unlink()
    async with Scanner(rig, tmp_path, forget_after_s=0.001).watching():
        await rig.reported(ScanFinished, 5)
        assert rig.key("HLEN", "seen") > 1000, "a few pages of it were looked at"
        await rig.until(lambda: rig.key("HLEN", "seen") == 2)
    assert remembered(rig, "stays") is not None


async def test_several_engines_and_one_that_is_killed_enqueue_and_forget_each_once(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, *(f"f{n}" for n in range(300)), "stays")
    await Scanner(rig, tmp_path).run()
    for n in range(0, 300, 2):
        (tmp_path / f"f{n}").unlink()
    for n in range(0, 300, 3):
        write(tmp_path, f"f{n}", text="again")
    left = {f"f{n}" for n in range(300) if n % 2 or n % 3 == 0} | {"stays"}
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(Scanner(rig, tmp_path, watch=True, forget_after_s=0.05).run)
        await rig.until(lambda: rig.key("HLEN", "seen") == 2 * len(left))
        nursery.cancel_scope.cancel()
    assert sorted(names(rig)) == sorted([*(f"f{n}" for n in range(300)), "stays",
                                         *(f"f{n}" for n in range(0, 300, 3))])  # fmt: skip
