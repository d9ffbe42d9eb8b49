"""Files in, jobs out: each once, whoever scans and whenever it is cut off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.engine.rig import Rig, config_of
from tests.engine.sources.scanner import Scanner, jobs, names, write
from trioq.core.config import Config
from trioq.core.config.sections import LimiterConfig, ProducerConfig
from trioq.core.events import (
    EngineStarted,
    FilesEnqueued,
    FileSkipped,
    JobSucceeded,
    ScanFailed,
    ScanFinished,
)

pytestmark = pytest.mark.trio


async def test_each_file_becomes_a_job_with_path_size_and_time(rig: Rig, tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "b/c.PDF", "b/d.tmp", text="hello")
    os.utime(tmp_path / "a.txt", ns=(0, 1_700_000_000_500_000_000))
    await Scanner(rig, tmp_path).run()
    pdf, text = jobs(rig)
    assert (pdf["path"], pdf["queue"]) == (str(tmp_path / "b/c.PDF"), "high")
    assert text == {
        "path": str(tmp_path / "a.txt"), "size": 5, "mtime": 1_700_000_000.5, "queue": "low",
    }  # fmt: skip
    assert [event.enqueued for event in rig.of(ScanFinished)] == [2]


async def test_a_restart_enqueues_only_what_is_new_or_changed(rig: Rig, tmp_path: Path) -> None:
    write(tmp_path, *(f"f{n}" for n in range(500)))
    await Scanner(rig, tmp_path).run()
    assert len(jobs(rig)) == 500
    await Scanner(rig, tmp_path).run()
    assert len(jobs(rig)) == 500
    write(tmp_path, "new")
    write(tmp_path, "f7", text="longer")
    os.utime(tmp_path / "f9", ns=(1, 1))
    await Scanner(rig, tmp_path).run()
    assert sorted(names(rig)[500:]) == ["f7", "f9", "new"]
    assert [event.enqueued for event in rig.of(ScanFinished)] == [500, 0, 3]


async def test_watching_finds_what_comes_later(rig: Rig, tmp_path: Path) -> None:
    write(tmp_path, "a")
    async with Scanner(rig, tmp_path).watching():
        await rig.reported(FilesEnqueued)
        write(tmp_path, "b")
        await rig.reported(FilesEnqueued, 2)
        finished = len(rig.of(ScanFinished))
        await rig.reported(ScanFinished, finished + 3)
    assert names(rig) == ["a", "b"]


async def test_three_producers_on_one_directory_enqueue_each_file_once(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, *(f"{n % 7}/f{n}" for n in range(1500)))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(Scanner(rig, tmp_path).run)
    assert len(jobs(rig)) == 1500
    assert len(set(names(rig))) == 1500
    assert sum(event.count for event in rig.of(FilesEnqueued)) == 1500


@pytest.mark.parametrize("fate", ["request", "reply"])
async def test_a_producer_that_was_cut_off_leaves_nothing_out_and_nothing_twice(
    rig: Rig, tmp_path: Path, fate: str
) -> None:
    write(tmp_path, *(f"f{n}" for n in range(900)))
    scanner = Scanner(rig, tmp_path)
    scanner.wire.lose = ["", fate, *["request"] * 1000]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scanner.run)
        await rig.until(lambda: len(scanner.wire.lose) < 998)
        nursery.cancel_scope.cancel()
    assert 200 <= len(jobs(rig)) < 900
    await Scanner(rig, tmp_path).run()
    assert sorted(names(rig)) == sorted(f"f{n}" for n in range(900))


async def test_what_cannot_become_a_job_is_told_once_and_passed_over(
    rig: Rig, tmp_path: Path
) -> None:
    write(tmp_path, "a")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    async with Scanner(rig, tmp_path).watching():
        await rig.reported(ScanFinished, 4)
    assert names(rig) == ["a"]
    assert sorted(event.reason for event in rig.of(FileSkipped)) == ["special", "symlink_broken"]


async def test_what_its_owner_takes_away_is_no_news(rig: Rig, tmp_path: Path) -> None:
    rig.config = producing(tmp_path, scan_interval_s=3600.0)
    write(tmp_path, "a", "b")
    async with rig.running(roles=frozenset({"producer"})):
        await rig.reported(ScanFinished)
        (tmp_path / "a").unlink()  # it was too young then, and will be looked at again
        await rig.reported(FilesEnqueued)
    assert names(rig) == ["b"]
    assert rig.of(FileSkipped) == []


async def test_a_directory_that_comes_later_is_waited_for(rig: Rig, tmp_path: Path) -> None:
    root = tmp_path / "later"
    async with Scanner(rig, root).watching():
        await rig.reported(ScanFailed)
        write(root, "a")
        await rig.reported(FilesEnqueued)
    assert names(rig) == ["a"]


async def test_any_name_that_the_file_system_allows_reaches_its_job(
    rig: Rig, tmp_path: Path
) -> None:
    odd = [b"new\nline", b"\xff\xfe", "ümlaut".encode(), b'quo"te', b"{hash}", b"-n", b" "]
    write(tmp_path, *map(os.fsdecode, odd))
    await Scanner(rig, tmp_path).run()
    paths = {os.fsencode(os.path.basename(job["path"])) for job in jobs(rig)}
    assert paths == set(odd)
    await Scanner(rig, tmp_path).run()
    assert len(jobs(rig)) == len(odd), "and is known again"


# --- in an engine -----------------------------------------------------------------------------


def producing(root: Path, **options: Any) -> Config:
    return attrs.evolve(
        config_of(),
        producer=ProducerConfig(
            scan_dir=str(root), job="fingerprint", **{"scan_interval_s": 0.05, **options}
        ),
        limiter=LimiterConfig(rate=0.0),
    )


def fingerprint(rig: Rig) -> list[str]:
    seen: list[str] = []

    @rig.app.job("fingerprint")
    async def handler(path: str, size: int, mtime: float) -> None:
        seen.append(os.path.basename(path))

    return seen


async def test_files_in_finished_jobs_out(rig: Rig, tmp_path: Path) -> None:
    seen = fingerprint(rig)
    write(tmp_path, *(f"f{n}" for n in range(50)))
    rig.config = producing(tmp_path, watch=False)
    async with rig.running() as engine:
        await engine.produced.wait()
        await rig.reported(JobSucceeded, 50)
    assert sorted(seen) == sorted(f"f{n}" for n in range(50))


async def test_a_file_that_is_being_written_is_left_until_it_is_whole(
    rig: Rig, tmp_path: Path
) -> None:
    sizes: list[int] = []

    @rig.app.job("fingerprint")
    async def handler(path: str, size: int, mtime: float) -> None:
        sizes.append(size)

    rig.config = producing(tmp_path)
    path = tmp_path / "growing"
    async with rig.running():
        with path.open("w") as file:
            for _ in range(15):
                file.write("0123456789")
                file.flush()
                await trio.sleep(0.1)
        await rig.reported(JobSucceeded)
        await rig.reported(ScanFinished, len(rig.of(ScanFinished)) + 3)
    assert sizes == [150]


async def test_a_file_that_is_written_for_long_holds_nothing_else_up(
    rig: Rig, tmp_path: Path
) -> None:
    seen = fingerprint(rig)
    rig.config = producing(tmp_path)

    async def grow() -> None:
        with (tmp_path / "growing").open("w") as file:
            while True:
                file.write("0123456789")
                file.flush()
                await trio.sleep(0.05)

    async with rig.running(), trio.open_nursery() as nursery:
        nursery.start_soon(grow)
        await rig.reported(ScanFinished, 3)
        write(tmp_path, "other")
        await rig.reported(JobSucceeded)
        assert seen == ["other"]
        nursery.cancel_scope.cancel()


async def test_a_young_file_is_found_without_another_scan(rig: Rig, tmp_path: Path) -> None:
    seen = fingerprint(rig)
    write(tmp_path, "a")
    rig.config = producing(tmp_path, scan_interval_s=3600.0)
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert (seen, len(rig.of(ScanFinished))) == (["a"], 1)


async def test_roles_apart_do_together_what_one_engine_does(rig: Rig, tmp_path: Path) -> None:
    seen = fingerprint(rig)
    write(tmp_path, *(f"f{n}" for n in range(20)))
    rig.config = producing(tmp_path)
    async with rig.running(roles=frozenset({"producer"})):
        await rig.until(lambda: sum(event.count for event in rig.of(FilesEnqueued)) == 20)
        assert rig.of(EngineStarted) == [], "a producer claims nothing"
        assert seen == []
        assert rig.stats().engines == ()
        async with rig.running(roles=frozenset({"worker"})):
            await rig.reported(JobSucceeded, 20)
    assert len(seen) == 20


async def test_a_producer_ends_at_once_when_it_is_told_to(own_rig: Rig, tmp_path: Path) -> None:
    rig = own_rig
    rig.read_timeout_s = 3600.0
    write(tmp_path, *(f"f{n}" for n in range(100)))
    rig.config = producing(tmp_path)
    async with rig.running(roles=frozenset({"producer"})) as engine:
        await rig.reported(FilesEnqueued)
        rig.server.pause()
        write(tmp_path, "more")
        await trio.sleep(0.2)
        engine.drain()
