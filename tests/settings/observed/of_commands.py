"""Handlers without Python."""

from __future__ import annotations

from tests.settings.observed.place import Place, row
from trioq.core.events import JobDied, JobFailed, JobSucceeded


async def done(place: Place, payload: dict[str, object] | None = None) -> JobSucceeded:
    uid = place.enqueue("told", payload)
    async with place.running():
        (succeeded,) = await place.reported(JobSucceeded, uid=uid)
    return succeeded


@row("commands.NAME.argv", ["sh", "-c", 'echo "$0" > told', "{text}"])
async def argv(place: Place) -> None:
    place.configure()
    await done(place, {"text": "two words"})
    assert (place.directory / "told").read_text() == "two words\n"


@row("commands.NAME.timeout", "100ms")
async def timeout(place: Place) -> None:
    place.configure(commands__told__argv=["sleep", "60"])
    place.enqueue("told")
    async with place.running():
        (failed,) = await place.reported(JobFailed)
    assert "0.1 s" in failed.error.message


@row("commands.NAME.queue", "high")
async def queue(place: Place) -> None:
    place.configure()
    assert (await done(place)).queue == "high"


@row("commands.NAME.permanent_exit_codes", [3])
async def permanent_exit_codes(place: Place) -> None:
    place.configure(commands__told__argv=["sh", "-c", "exit 3"])
    place.enqueue("told")
    async with place.running():
        (died,) = await place.reported(JobDied)
    assert (died.attempt, died.reason) == (1, "gave_up")


@row("commands.NAME.cwd", "below")
async def cwd(place: Place) -> None:
    (place.directory / "below").mkdir()
    place.configure(commands__told__argv=["touch", "here"])
    await done(place)
    assert (place.directory / "below" / "here").exists()


@row("commands.NAME.env", {"GREETING": "hello"})
async def env(place: Place) -> None:
    place.configure(commands__told__argv=["sh", "-c", "echo $GREETING > told"])
    await done(place)
    assert (place.directory / "told").read_text() == "hello\n"


@row("commands.NAME.max_attempts", 2)
async def max_attempts(place: Place) -> None:
    place.configure(
        commands__told__argv=["false"], worker__backoff={"base": "10ms", "cap": "10ms", "jitter": 0}
    )
    place.enqueue("told")
    async with place.running():
        (died,) = await place.reported(JobDied)
    assert died.attempt == 2
    assert [f.again_in_s for f in place.of(JobFailed)] == [0.01], "as [worker.backoff] says"
