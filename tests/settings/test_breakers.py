"""``[breakers.NAME]``: what handlers depend on, commands too."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

import trioq
from tests.settings.observed.place import Place
from tests.support import Server
from trioq.core.events import BreakerChanged, JobDied, JobParked
from trioq.counted import counted
from trioq.engine.handlers import Apart
from trioq.engine.handlers.runners import Runners
from trioq.errors import ConfigError
from trioq.settings import load


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


def test_a_class_that_can_not_be_imported_is_a_fault_with_its_place(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "broken_of_breakers.py").write_text("raise RuntimeError('no such thing')\n")
    named = [
        "OSError", "json.JSONDecodeError", "LokupError", "Unheard", "nowhere.Error",
        "json.decoder.Nothing", "int", "json", "broken_of_breakers.Error",
    ]  # fmt: skip
    place = Place(server, tmp_path, "breakers.NAME.on", named)

    @place.app.job("charge")
    async def charge() -> None: ...

    with pytest.raises(ConfigError) as wrong:
        trioq.Engine(place.app, place.configure(breakers__told__jobs=["charge"]))
    told = [fault.splitlines()[0].partition("breakers.told.on")[2] for fault in wrong.value.faults]
    assert [fault[:3] for fault in told] == [f"[{n}]" for n in range(2, len(named))]
    said = [fault[5:] for fault in told]
    assert said[0] == "no built-in class is called 'LokupError'; did you mean \"LookupError\"?"
    assert said[1].endswith("'Unheard'; of others the module comes before the name")
    assert said[2].startswith("can't import 'nowhere' (looked in ")
    assert "has no 'Nothing'; it was named as 'json.decoder:Nothing'" in said[3]
    assert said[4] == "expected a class of exceptions, and 'int' is none"
    assert said[5].startswith("no built-in class is called 'json'")
    assert said[6].endswith("RuntimeError: no such thing")


def test_what_counts_does_so_for_a_handler_in_a_process_too(server: Server, tmp_path: Path) -> None:
    place = Place(server, tmp_path, "breakers.NAME.on", ["OSError", "KeyError"])

    @place.app.job("charge")
    async def charge() -> None: ...

    config = load(place.configure(breakers__told__jobs=["charge"]))
    apart = Apart(place.app.handlers["charge"], cast(Runners, None))
    breaker = counted({"charge": apart}, config)["charge"].errors.breaker
    assert breaker is not None
    assert breaker.on == (OSError, KeyError)


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ([], "expected a list of at least 1, each a class of exceptions as Python imports it"),
        (["jobs:Away"], "got 'jobs:Away'"),
        (["a b"], 'such as "httpx.TransportError" or "OSError", got \'a b\''),
        ("OSError", "got text"),
    ],
)
def test_what_can_not_name_a_class_is_refused(
    server: Server, tmp_path: Path, on: object, said: str
) -> None:
    place = Place(server, tmp_path, "breakers.NAME.on", on)
    with pytest.raises(ConfigError) as wrong:
        load(place.configure(breakers__told__jobs=["fingerprint"]))
    (fault,) = wrong.value.faults
    assert "breakers.told.on" in fault
    assert said in fault
