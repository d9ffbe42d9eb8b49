"""``[breakers.NAME]``: what handlers depend on, commands too."""

from __future__ import annotations

from pathlib import Path

import pytest

import trioq
from tests.settings.observed.place import Place
from tests.support import Server
from trioq.core.events import BreakerChanged, JobDied, JobParked
from trioq.errors import ConfigError


@pytest.mark.trio
async def test_a_command_and_a_handler_share_a_breaker(server: Server, tmp_path: Path) -> None:
    place = Place(server, tmp_path, "breakers.NAME.jobs", ["told", "charge"])
    place.configure(
        commands__told__argv=["false"], commands__told__max_attempts=1,
        circuit_breaker__min_samples=1,
    )  # fmt: skip

    @place.app.job("charge")
    async def charge() -> None: ...

    place.enqueue("told")
    async with place.running():
        await place.reported(JobDied)
        await place.reported(BreakerChanged, name="told", after="open")
        uid = place.enqueue("charge")
        await place.reported(JobParked, uid=uid, why="breaker open")


def test_a_section_that_can_not_be_is_refused_when_the_handlers_are_known(
    server: Server, tmp_path: Path
) -> None:
    place = Place(server, tmp_path, "breakers.NAME.jobs", ["chrage", "nobody"])

    @place.app.job("charge")
    async def charge() -> None: ...

    with pytest.raises(ConfigError) as wrong:
        trioq.Engine(place.app, place.configure())
    told = [line.removeprefix(f"{tmp_path}/jobqueue.toml: ") for line in wrong.value.faults]
    assert told == [
        "breakers.told.jobs[0]: no handler is called 'chrage'; did you mean \"charge\"?",
        'breakers.told.jobs[1]: no handler is called \'nobody\'; there are "fingerprint", "charge"',
    ]
