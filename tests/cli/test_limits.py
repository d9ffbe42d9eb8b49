"""``trioq limits``: what is limited, and changing it."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Cli, lines, only_error, run
from tests.scene import Scene
from tests.support import new_job
from trioq.core.limits import LimitSettings
from trioq.store.inspect import limits


@pytest.fixture
def limited(scene: Scene) -> Scene:
    settings = {"all": LimitSettings(10_000, 2, 5), "each": LimitSettings(concurrency=1)}
    scene.store.set_limits(settings, 1)
    return scene


def of(scene: Scene, name: str) -> LimitSettings | None:
    (found,) = [view.settings for view in limits(scene.store) if view.name == name]
    return found


def test_nothing_limited_is_said(trioq: Cli, scene: Scene) -> None:
    assert lines(trioq("limits").stdout) == ["nothing is limited"]
    assert trioq.json("limits") == []


def test_limits_are_listed_with_who_runs_and_who_waits(trioq: Cli, limited: Scene) -> None:
    limited.enqueue(*(new_job(takes=("all", 'each:"a"')) for _ in range(2)))
    (claim,) = limited.driver.step(2)
    told = lines(trioq("limits").stdout)
    assert [line.split()[0] for line in told] == ["limit", "all", "each", '"a"']
    assert "100/s started, 2 at once and 5 running" in told[1]
    assert claim.uid in told[1]
    assert claim.uid in told[3]
    of_all, of_each = trioq.json("limits")
    assert (of_all["name"], of_all["rate"], of_all["burst"], of_all["concurrency"]) == (
        "all", "100/s", 2, 5,
    )  # fmt: skip
    assert (of_each["running"], of_each["waiting"]) == (1, 1)
    (taken,) = of_each["takes"]
    assert (taken["key"], taken["holders"], len(taken["first"])) == ("a", [claim.uid], 1)


def test_what_is_set_holds_and_the_rest_stays(trioq: Cli, limited: Scene) -> None:
    assert lines(run("limits", "set", trioq.config, "all", "--rate", "5/m").stdout) == [
        "all: 5/m started, 2 at once and 5 running"
    ]
    assert of(limited, "all") == LimitSettings(12_000_000, 2, 5)
    run("limits", "set", trioq.config, "all", "--concurrency", "none", "--burst", 1)
    assert of(limited, "all") == LimitSettings(12_000_000, 1, 0)
    told = json.loads(run("limits", "set", trioq.config, "all", "--rate", "none", "--json").stdout)
    assert told == {"name": "all", "rate": None, "burst": 1, "concurrency": None}


def test_what_is_set_holds_until_a_later_deployment(trioq: Cli, limited: Scene) -> None:
    run("limits", "set", trioq.config, "each", "--concurrency", 7)
    limited.store.set_limits({"each": LimitSettings(concurrency=2)}, 1_000_000)
    assert of(limited, "each") == LimitSettings(concurrency=7), "that engine is older"
    limited.store.set_limits({"each": LimitSettings(concurrency=2)}, 10**14)
    assert of(limited, "each") == LimitSettings(concurrency=2)
    run("limits", "set", trioq.config, "each", "--concurrency", 3)
    assert of(limited, "each") == LimitSettings(concurrency=3), "even if a clock is ahead"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("all",), 2, "Say what to change: --rate, --burst or --concurrency."),
        (("al", "--rate", 1), 2, "no limit 'al'; did you mean \"all\"?"),
        (("nowhere", "--rate", 1), 2, "no limit 'nowhere'; there are all, each"),
        (("all", "--rate", "5/x"), 2, "expected a rate from 0.0001"),
        (("all", "--rate", 0), 2, "expected a rate from 0.0001"),
        (("all", "--burst", "none"), 2, "expected a whole number from 1"),
        (("all", "--concurrency", "-1"), 2, "expected a whole number from 1"),
    ],
)
def test_what_can_not_be_set_is_said(
    trioq: Cli, limited: Scene, arguments: tuple[object, ...], code: int, said: str
) -> None:
    ended = run("limits", "set", trioq.config, *arguments)
    assert ended.exit_code == code
    assert said in ended.stderr
    assert of(limited, "all") == LimitSettings(10_000, 2, 5)


def test_a_limit_of_nothing_can_not_be_set(trioq: Cli, scene: Scene) -> None:
    ended = run("limits", "set", trioq.config, "all", "--rate", 1)
    assert "no limit 'all': nothing is limited" in only_error(ended, 2)
