"""What becomes of files: where they are looked for, which, how often, how fast."""

from __future__ import annotations

import trio

from tests.settings.observed.place import Place, row
from trioq.core.events import FilesEnqueued, FilesForgotten, LimiterWaited, ScanFinished

ALL = ("a.txt", "b.tmp", "c.PDF", "d.log")


def files(place: Place, *names: str, directory: str = "data") -> None:
    (place.directory / directory).mkdir(exist_ok=True)
    for name in names:
        (place.directory / directory / name).write_text("x")


async def scanned(place: Place, count: int) -> dict[str, tuple[str, str]]:
    """Scan until so many files are enqueued: file → queue and handler."""
    async with place.running(role="producer"):
        await place.until(lambda: sum(e.count for e in place.of(FilesEnqueued)) >= count)
    return found(place)


def found(place: Place) -> dict[str, tuple[str, str]]:
    with place.admin() as admin:
        views = [view for queue in admin.queue_names() for view in admin.peek(queue, 50)]
    return {
        view.payload["path"].rpartition("/")[2]: (view.record.queue, view.record.name)
        for view in views
        if view.record is not None
    }


@row("producer.scan_dir", "incoming")
async def scan_dir(place: Place) -> None:
    place.configure()
    files(place, "here", directory="incoming")
    assert (await scanned(place, 1)).keys() == {"here"}


@row("producer.include_globs", ["*.txt", "*.log"])
async def include_globs(place: Place) -> None:
    place.configure()
    files(place, *ALL)
    assert (await scanned(place, 2)).keys() == {"a.txt", "d.log"}


@row("producer.exclude_globs", ["*.txt"])
async def exclude_globs(place: Place) -> None:
    place.configure()
    files(place, *ALL)
    assert (await scanned(place, 3)).keys() == {"b.tmp", "c.PDF", "d.log"}


@row("producer.job", "mine")
async def job(place: Place) -> None:
    place.configure()
    files(place, "a.txt")
    assert await scanned(place, 1) == {"a.txt": ("low", "mine")}


@row("producer.default_queue", "high")
async def default_queue(place: Place) -> None:
    place.configure(producer__queues_by_extension={"low": [".pdf"]})
    files(place, "a.txt", "c.PDF")
    assert await scanned(place, 2) == {
        "a.txt": ("high", "fingerprint"),
        "c.PDF": ("low", "fingerprint"),
    }


@row("producer.queues_by_extension", {"high": [".pdf"]})
async def queues_by_extension(place: Place) -> None:
    place.configure()
    files(place, "a.txt", "c.PDF")
    assert await scanned(place, 2) == {
        "a.txt": ("low", "fingerprint"),
        "c.PDF": ("high", "fingerprint"),
    }


@row("producer.scan_interval", "50ms")
async def scan_interval(place: Place) -> None:
    place.configure()
    async with place.running(role="producer"):
        files(place)
        await place.reported(ScanFinished, 5)


@row("producer.watch", False)
async def watch(place: Place) -> None:
    place.configure(producer__scan_interval="20ms")
    files(place, "a.txt")
    assert (await scanned(place, 1)).keys() == {"a.txt"}
    async with place.running(role="producer"):
        await place.reported(ScanFinished, 2)
        await trio.sleep(0.3)
    assert len(place.of(ScanFinished)) == 2, "one in each of two engines"


@row("producer.forget_after", "50ms")
async def forget_after(place: Place) -> None:
    place.configure(producer__scan_interval="20ms")
    files(place, "a.txt", "b.txt")
    await scanned(place, 2)
    (place.directory / "data/a.txt").unlink()
    async with place.running(role="producer"):
        await place.reported(FilesForgotten)


@row("producer.ignore_ctime", True)
async def ignore_ctime(place: Place) -> None:
    place.configure(producer__scan_interval="20ms")
    files(place, "a.txt")
    await scanned(place, 1)
    (place.directory / "data/a.txt").chmod(0o600)
    before = len(place.of(ScanFinished))
    async with place.running(role="producer"):
        await place.until(lambda: any(e.found for e in place.of(ScanFinished)[before:]))
    assert sum(e.count for e in place.of(FilesEnqueued)) == 1


@row("limiter.rate", 0.01)
async def rate(place: Place) -> None:
    place.configure(limiter__burst=3, producer__scan_dir="data")
    files(place, *(f"{n}.txt" for n in range(5)))
    async with place.running(role="producer"):
        (waited, *_) = await place.reported(LimiterWaited)
        assert waited.for_s > 50, "a permit in 100 s"
        assert len(found(place)) == 3


@row("limiter.burst", 3)
async def burst(place: Place) -> None:
    place.configure(limiter__rate=0.01, producer__scan_dir="data")
    files(place, *(f"{n}.txt" for n in range(5)))
    async with place.running(role="producer"):
        await place.reported(LimiterWaited)
        assert len(found(place)) == 3
