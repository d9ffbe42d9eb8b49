"""``trioq limits``: what is limited, and changing it."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Cli, lines, only_error, run
from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import new_job
from trioq import connect_admin
from trioq.core.limits import LimitSettings
from trioq.store.inspect import limits


@pytest.fixture
def limited(scene: Scene) -> Scene:
    each = LimitSettings(concurrency=1, keyed=True)
    settings = {"all": LimitSettings(10_000, 2, 5), "each": each}
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


def test_of_a_job_that_waits_for_a_limit_all_say_the_same(trioq: Cli, limited: Scene) -> None:
    uids = set(limited.enqueue(*(new_job(takes=("all", 'each:"a"')) for _ in range(2))))
    (claim,) = limited.driver.step(2)
    (uid,) = uids - {claim.uid}
    (listed,) = trioq.json("jobs", "--state", "limited")["jobs"]
    told = trioq.json("job", uid)
    assert (told["state"], told["take"]) == (listed["state"], listed["take"])
    assert told["take"] == 'each:"a"'
    explained = trioq.json("explain", uid)
    assert explained["state"] == "limited"
    assert lines(trioq("explain", uid).stdout)[0].endswith("is limited")
    shown = lines(trioq("job", uid).stdout)
    facts = {line[:10].rstrip(): line[11:] for line in shown[: shown.index("")]}
    assert (facts["state"], facts["waits for"]) == ("limited", 'each:"a"')
    assert facts["because"] == explained["reasons"][0]["says"]
    assert "take" not in trioq.json("job", claim.uid)


def test_a_limit_of_trioqs_own_is_told_while_it_is_in_use_and_nobody_sets_it(
    trioq: Cli, scene: Scene
) -> None:
    scene.store.put_schedule(*scene.sender.next(), "nightly", b"{}", None)
    assert lines(trioq("limits").stdout) == ["nothing is limited"]
    scene.enqueue(*(new_job(takes=('@schedule:"nightly"',)) for _ in range(2)))
    (claim,) = scene.driver.step(2)
    of_all, of_one = lines(trioq("limits").stdout)[1:]
    assert "1 running, of trioq's own" in of_all
    assert of_all.startswith("a schedule's runs ")
    said = "1 job of it waits for a limit: a schedule's runs"
    assert said in trioq("explain", "--queue", "low").stdout
    assert '"nightly"' in of_one
    assert claim.uid in of_one
    result = run("limits", "set", trioq.config, "@schedule", "--concurrency", 2)
    assert "the limit '@schedule' is trioq's own: nobody sets it" in only_error(result, 2)
    with connect_admin(trioq.config) as admin, pytest.raises(ValueError, match="trioq's own"):
        admin.set_limit("@schedule", LimitSettings(concurrency=2))


def test_what_is_set_holds_and_the_rest_stays(trioq: Cli, limited: Scene) -> None:
    assert lines(run("limits", "set", trioq.config, "all", "--rate", "5/m").stdout) == [
        "all: 5/m started, 2 at once and 5 running"
    ]
    assert of(limited, "all") == LimitSettings(12_000_000, 2, 5)
    run("limits", "set", trioq.config, "all", "--concurrency", "none", "--burst", 1)
    assert of(limited, "all") == LimitSettings(12_000_000, 1, 0)
    told = json.loads(run("limits", "set", trioq.config, "all", "--rate", "none", "--json").stdout)
    assert told == {"name": "all", "key": None, "rate": None, "burst": 1, "concurrency": None}


def test_what_is_set_holds_until_the_next_deployment(trioq: Cli, scene: Scene) -> None:
    two, set_to_7 = LimitSettings(concurrency=2), LimitSettings(concurrency=7)
    scene.store.declare_limits(scene.driver.engine, {"each": two})
    run("limits", "set", trioq.config, "each", "--concurrency", 7)
    again = Driver(scene.store)
    scene.store.declare_limits(again.engine, {"each": two})
    assert of(scene, "each") == set_to_7, "that is no deployment"
    row = lines(trioq("limits").stdout)[1]
    assert "7 running, by hand, until the next deployment" in row
    (told,) = trioq.json("limits")
    assert (told["concurrency"], told["by_hand"]) == (7, True)
    assert told["deployed"]["allows"] == "2 running"
    scene.store.declare_limits(again.engine, {"each": LimitSettings(concurrency=1)})
    assert of(scene, "each") == LimitSettings(concurrency=1)
    said = trioq("limits").stdout
    assert "by hand" not in said
    assert "each: engines of an older deployment live, which say 2 running" in said
    run("limits", "set", trioq.config, "each", "--concurrency", 3)
    assert of(scene, "each") == LimitSettings(concurrency=3)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("all",), 2, "Say what to change: --rate, --burst or --concurrency."),
        (("each", "--burst", 5), 2, "--burst: only used with a rate: say --rate, too"),
        (("all", "--burst", 5, "--rate", "none"), 2, "--burst: only used with a rate"),
        (("al", "--rate", 1), 2, "no limit 'al'; did you mean \"all\"?"),
        (("nowhere", "--rate", 1), 2, "no limit 'nowhere'; there are all, each"),
        (("all", "--rate", "5/x"), 2, "expected a rate from 0.0001"),
        (("all", "--rate", 0), 2, "expected a rate from 0.0001"),
        (("all", "--burst", "none"), 2, "expected a whole number from 1"),
        (("all", "--concurrency", "-1"), 2, "expected a whole number from 1"),
        (("all", "--key", "acme", "--rate", 1), 2, "there is no key of the limit 'all'"),
        (("each", "--key", "acme"), 2, "Say what to change: --rate, --burst or --concurrency."),
        (("eac", "--key", "acme", "--rate", 1), 2, "no limit 'eac'; did you mean \"each\"?"),
        (("each", "--key", "null", "--rate", 1), 2, "has null there isn't bound"),
        (("each", "--key", "1e999", "--rate", 1), 2, "1e999: "),
    ],
)
def test_what_can_not_be_set_is_said(
    trioq: Cli, limited: Scene, arguments: tuple[object, ...], code: int, said: str
) -> None:
    ended = run("limits", "set", trioq.config, *arguments)
    assert ended.exit_code == code
    assert said in ended.stderr
    assert of(limited, "all") == LimitSettings(10_000, 2, 5)


def test_one_value_of_a_key_is_set_and_the_rest_stays(trioq: Cli, limited: Scene) -> None:
    said = run("limits", "set", trioq.config, "each", "--key", "acme", "--concurrency", 3).stdout
    assert lines(said) == ['each for "acme": 3 running']
    told = run("limits", "set", trioq.config, "each", "--key", "acme", "--rate", 5, "--json").stdout
    assert json.loads(told) == {
        "name": "each", "key": "acme", "rate": "5/s", "burst": 1, "concurrency": 3,
    }  # fmt: skip
    _, each = trioq.json("limits")
    assert each["concurrency"] == 1
    (taken,) = each["takes"]
    assert (taken["key"], taken["running"]) == ("acme", 0)
    assert taken["own"] == {"rate": "5/s", "burst": 1, "concurrency": 3}
    row = next(row for row in lines(trioq("limits").stdout) if '"acme"' in row)
    assert "5/s started and 3 running, by hand, until the next deployment" in row


@pytest.mark.parametrize(
    ("text", "key"),
    [("7", 7), ('"7"', "7"), ("acme corp", "acme corp"), ("true", True), ("NaN", "NaN"),
     ('{"b": 1, "a": 2}', '{"a":2,"b":1}'), ("", "")],
)  # fmt: skip
def test_a_value_is_json_or_a_text(trioq: Cli, limited: Scene, text: str, key: object) -> None:
    run("limits", "set", trioq.config, "each", "--key", text, "--concurrency", 3)
    (taken,) = trioq.json("limits")[1]["takes"]
    assert (taken["key"], type(taken["key"])) == (key, type(key))


def test_what_is_set_for_a_value_outlives_what_is_set_for_all(trioq: Cli, limited: Scene) -> None:
    deployed = LimitSettings(concurrency=1, keyed=True)
    limited.store.set_limits({"each": deployed}, 10**13)  # by a clock that is ahead
    for n in (3, 4):
        run("limits", "set", trioq.config, "each", "--key", "acme", "--concurrency", n)
        for all_of_it in (n, 2 * n):
            run("limits", "set", trioq.config, "each", "--concurrency", all_of_it)
    assert trioq.json("limits")[1]["concurrency"] == 8
    (taken,) = trioq.json("limits")[1]["takes"]
    assert taken["own"]["concurrency"] == 4
    limited.store.declare_limits(limited.driver.engine, {"each": deployed})
    assert trioq.json("limits")[1]["takes"] == []


def test_a_limit_that_no_engine_has_told_of_stays_one_of_a_key(trioq: Cli, limited: Scene) -> None:
    limited.enqueue(new_job(takes=('gone:"a"',)))
    limited.driver.step(1)
    ended = run("limits", "set", trioq.config, "gone", "--key", "a", "--concurrency", 1)
    assert "no engine has told of the limit 'gone'" in only_error(ended, 2)
    run("limits", "set", trioq.config, "gone", "--concurrency", 1)
    said = run("limits", "set", trioq.config, "gone", "--key", "a", "--concurrency", 2).stdout
    assert lines(said) == ['gone for "a": 2 running']


def test_a_limit_of_nothing_can_not_be_set(trioq: Cli, scene: Scene) -> None:
    ended = run("limits", "set", trioq.config, "all", "--rate", 1)
    assert "no limit 'all': nothing is limited" in only_error(ended, 2)
