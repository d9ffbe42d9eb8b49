"""What runs in processes of an engine."""

from __future__ import annotations

from pathlib import Path

from tests.engine.handlers.programs import pid_in
from tests.engine.handlers.runners import deeds
from tests.settings.observed.place import Place, row
from trioq.core.events import JobFailed, JobSucceeded
from trioq.processes.cores import usable_cores


@row("worker.runners", usable_cores() + 1)
async def runners(place: Place) -> None:
    place.app = deeds.app
    place.configure()
    for _ in range(place.value):
        place.enqueue("meet", {"directory": str(place.directory), "count": place.value})
    async with place.running():
        await place.reported(JobSucceeded, place.value)


@row("worker.runner_jobs", 1)
async def runner_jobs(place: Place) -> None:
    place.app = deeds.app
    place.configure(worker__runners=1)
    notes = [place.directory / name for name in ("a", "b")]
    for note in notes:
        place.enqueue("note_pid", {"told": str(note)})
    async with place.running():
        await place.reported(JobSucceeded, 2)
    assert len({await pid_in(Path(note)) for note in notes}) == 2


@row("worker.runner_memory", "1GiB")
async def runner_memory(place: Place) -> None:
    place.app = deeds.app
    place.configure()
    place.enqueue("take", {"megabytes": 2000})
    async with place.running():
        (failed,) = await place.reported(JobFailed)
    assert failed.error.type == "MemoryError"
