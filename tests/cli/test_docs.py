"""The pages that tell of the command line say what is so."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.conftest import Cli, run
from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import new_job
from trioq.cli import COMMANDS, cli
from trioq.core.formats.schedule import encode as encode_schedule
from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.tick import Mark, Tick
from trioq.core.schedules.when import Cron
from trioq.core.settlements import Park
from trioq.store.inspect import tell

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text()

#: Objects whose keys are names of somebody's queues, or of engines.
BY_NAME = {"queues", "waiting", "purged", "breakers"}


def said_commands(page: str) -> Iterator[list[str]]:
    """The words of each line that somebody is told to type."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in re.findall(r"^\$ trioq (.*)$", block, re.MULTILINE):
            yield shlex.split(re.sub(r"[\[\]|]", " ", line), comments=True)


@pytest.mark.parametrize("page", ["docs/cli.md", "docs/operations.md", "README.md"])
def test_every_command_and_option_that_a_page_tells_of_is_there(page: str) -> None:
    """The predecessor's README and runbook had options that its program didn't."""
    told = list(said_commands((ROOT / page).read_text()))
    assert told
    for words in told:
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group):
            name = rest.pop(0)
            with click.Context(command) as context:
                found = command.get_command(context, name)
            assert found is not None, words
            command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if re.match("--?[a-z]", word)} <= known, words


def test_every_command_has_its_section() -> None:
    headings = ", ".join(re.findall(r"^## (.*)$", PAGE, re.MULTILINE)).split(", ")
    assert set(headings) == set(COMMANDS)


def shapes() -> list[Any]:
    """The JSON of the page, in its order."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def differences(documented: Any, real: Any, where: str = "") -> Iterator[str]:
    """What is there or of a type in one of them only."""
    if isinstance(documented, dict) and isinstance(real, dict):
        if where.rpartition(".")[2] in BY_NAME:
            yield from differences(next(iter(documented.values())), next(iter(real.values())))
            return
        yield from (f"{where}.{key}" for key in documented.keys() ^ real.keys())
        for key in documented.keys() & real.keys():
            yield from differences(documented[key], real[key], f"{where}.{key}")
    elif isinstance(documented, list) and isinstance(real, list):
        assert documented or where.rpartition(".")[2] in ("faults", "unfit")
        if documented and real:
            yield from differences(documented[0], real[0], where)
    elif None not in (documented, real) and type(documented) is not type(real):
        yield f"{where}: {documented!r} {real!r}"


#: With a warning, and engines that are watched for a short time.
MORE = "[producer]\nscan_dir = 'nowhere'\n[worker]\nheartbeat_interval = '100ms'\n"


def test_json_has_the_documented_shapes(trioq: Cli, scene: Scene, tmp_path: Path) -> None:
    engine = json.dumps({
        "name": "e", "pid": 1, "started_ms": 1, "queues": ["low"], "names": ["noop"],
        "workers": 1, "http": "",
    })  # fmt: skip
    scene.dead(new_job(payload=b'{"path":"a"}', id="dead"))
    scene.store.sign_off(scene.driver.engine)
    scene.store.register("e.2", engine.encode())
    scene.store.set_limits({"all": LimitSettings(10_000, 1, 1)}, 1)
    scene.enqueue(new_job(takes=("all",)))
    scene.store.pause(*scene.sender.next(), '=all:"evil"', True)
    driver = Driver(scene.store)
    driver.step(1)
    scene.enqueue(new_job(id="parked", payload=b'{"path":"e"}'))
    driver.step(0, Park(driver.claim().uid, driver.n, "low", "noop"))
    scene.enqueue(new_job(id="a"), new_job("high"), new_job(name="nooop", id="misspelt"))
    scene.enqueue(new_job("high", id="due later", delay_ms=60_000))
    shut = (Shut("noop", ("noop",), "open", 1, 2, 14, 20),)
    for engine_id in ("e.2", driver.engine):
        of_all = shut if engine_id == "e.2" else ()
        shown = Snapshot(breakers={"noop": "open"}, reopens_ms={"noop": 2}, shut=of_all)
        tell(scene.store, engine_id, shown)
    nightly = Schedule("nightly", Cron("0 3 * * *"), "noop", "low", b'{"kind":"daily"}')
    listed = Listed("nightly", encode_schedule(nightly), 1000)
    scene.store.list_schedules(driver.engine, SaidList("app", "1", (listed,)))
    ticked = new_job()
    mark = Mark(1000, "fired", 1, ticked.uid)
    tick = Tick("nightly", listed.row, 1000, 4_000_000_000_000, (mark,))
    scene.store.tick(*scene.sender.next(), tick, ticked)
    file = tmp_path / "in.jsonl"
    file.write_text("{}\n")
    trioq.config.write_text(trioq.config.read_text() + MORE)
    real = [
        trioq.json("enqueue", "convert", "--id", "a"),
        trioq.json("enqueue", "convert", "--from", file),
        trioq.json("stats"),
        trioq.json("stats", "--keys"),
        trioq.json("drain", "e.2"),
        trioq.json("job", "dead"),
        trioq.json("jobs", "--state", "parked"),
        trioq.json("explain", "misspelt"),
        json.loads(trioq("result", "dead", "--json").stdout),
        trioq.json("cancel", "a")[0],
        trioq.json("hasten", "due later"),
        trioq.json("dead groups"),
        json.loads(trioq("dead revive", "dead", "nobody", "--json").stdout),
        trioq.json("pause", "low"),
        trioq.json("breakers"),
        trioq.json("purge", "low", "--yes"),
        json.loads(trioq("doctor", "--json").stdout),
        trioq.json("acl"),
        json.loads(run("config", "check", trioq.config, "--json").stdout),
        trioq.json("limits"),
        json.loads(run("limits", "set", trioq.config, "all", "--rate", 9, "--json").stdout),
        trioq.json("schedules"),
    ]
    documented = shapes()
    assert len(documented) == len(real)
    for wanted, found in zip(documented, real, strict=True):
        assert list(differences(wanted, found)) == [], wanted


def test_the_test_of_shapes_sees_a_difference() -> None:
    assert list(differences({"a": 1}, {"a": "1"})) == [".a: 1 '1'"]
    assert list(differences({"a": [{"b": 1}]}, {"a": [{"c": 1}]})) in (
        [".a.b", ".a.c"], [".a.c", ".a.b"],
    )  # fmt: skip
    assert list(differences({"queues": {"x": {"a": 1}}}, {"queues": {"y": {"b": 1}}}))
