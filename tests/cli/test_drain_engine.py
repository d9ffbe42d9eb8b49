"""``trioq drain``: an engine by its id or its name."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Cli, only_error
from tests.scene import Scene


@pytest.fixture
def engine(scene: Scene) -> str:
    """The name of one that lives."""
    scene.store.register("e.77", json.dumps({"name": "vm-1", "pid": 1}).encode())
    return "vm-1"


@pytest.mark.parametrize("named", ["vm-1", "e.77"])
def test_an_engine_is_asked_with_who_and_why(
    trioq: Cli, scene: Scene, engine: str, named: str
) -> None:
    ended = trioq("drain", named, "--reason", "new kernel")
    assert (ended.exit_code, ended.stdout) == (0, f"{named} was asked to drain\n")
    store = scene.store
    said = json.loads(store.lane.call("GET", store.keys.of("drain", "e.77")))
    assert said["reason"] == "new kernel"
    assert "@" in said["by"]
    assert trioq.json("drain", named) == {"engine": named, "asked": True}


def test_one_that_does_not_live_is_told_with_those_that_do(trioq: Cli, engine: str) -> None:
    assert "no engine 'vm1' lives; did you mean" in only_error(trioq("drain", "vm1"), 2)
