"""What is told of breakers, and that one is closed by hand."""

from __future__ import annotations

from tests.cli.conftest import Cli, only_error
from tests.scene import Scene
from tests.store.drive import Driver
from trioq.core.calls import BreakerNews
from trioq.core.formats.engine_info import EngineInfo, encode
from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.store.inspect import tell

OPEN = Shut("noop", ("noop",), "open", 1_900_000_000_000, 1_900_000_030_000, 12, 20)
UID = "0" * 32


def shared(scene: Scene, *, opens: bool) -> Driver:
    """An engine that has said of the breaker that all share that it is failing, or isn't."""
    found = {"bad": 3} if opens else {"good": 3}
    news = BreakerNews("api", 0.5, 60_000, 30_000, min_samples=3, **found)  # type: ignore[arg-type]
    scene.store.breakers(scene.driver.engine, [news])
    return scene.driver


def test_where_none_is_known_all_are_closed(trioq: Cli, scene: Scene) -> None:
    assert trioq("breakers").stdout == "all breakers are closed\n"
    assert trioq.json("breakers") == []
    assert trioq.json("stats")["breakers"] == []


def test_an_engines_own_is_told_with_what_opened_it_and_its_probe(trioq: Cli, scene: Scene) -> None:
    half = Shut("mail", ("mail", "news"), "half_open", 1_900_000_000_000, probes=(UID,))
    tell(scene.store, scene.driver.engine, Snapshot(shut=(OPEN, half)))
    mail, noop = trioq.json("breakers")
    assert noop == {
        "name": "noop", "engine": "e", "shared": False, "state": "open", "jobs": ["noop"],
        "since_ms": 1_900_000_000_000, "until_ms": 1_900_000_030_000,
        "failures": 12, "runs": 20, "probes": {},
    }  # fmt: skip
    assert (mail["jobs"], mail["until_ms"], mail["probes"]) == (["mail", "news"], None, {UID: "e"})
    _, first, second = trioq("breakers").stdout.splitlines()
    assert first.split()[:3] == ["mail", "e", "half-open"]
    assert first.endswith(f"{UID} on e")
    assert second.split()[:3] == ["noop", "e", "open"]
    assert "noop     e" in trioq("stats").stdout


def test_whose_breaker_has_another_name_is_told_so(trioq: Cli, scene: Scene) -> None:
    of_noop = Shut("mail", ("noop",), "open", 1_900_000_000_000)
    tell(scene.store, scene.driver.engine, Snapshot(shut=(of_noop,)))
    said = only_error(trioq("breakers", "reset", "noop"), 2)
    assert "noop is behind the breaker mail: reset that" in said
    assert trioq("breakers", "reset", "mail").stdout.startswith("mail is closed")


def test_one_that_all_engines_share_is_told_once(trioq: Cli, scene: Scene) -> None:
    driver = shared(scene, opens=True)
    tell(scene.store, driver.engine, Snapshot(shut=(
        Shut("api", ("noop",), "open", 1, shared=True),
    )))  # fmt: skip
    (told,) = trioq.json("breakers")
    assert (told["name"], told["engine"], told["shared"]) == ("api", None, True)
    assert (told["state"], told["failures"], told["runs"]) == ("open", 3, 3)
    assert told["until_ms"] - told["since_ms"] == 30_000
    assert told["jobs"] == ["noop"]
    assert "api      all engines  open" in trioq("breakers").stdout


def test_of_a_shared_one_that_is_tried_no_time_is_told_at_which_it_was_to_be(
    trioq: Cli, scene: Scene
) -> None:
    kept_as = "half_open 2 1900000000000 1900000030000 0 1 3\n"
    scene.store.lane.call("HSET", scene.store.keys.fixed("breakers"), "api", kept_as)
    (told,) = trioq.json("breakers")
    assert (told["state"], told["until_ms"]) == ("half_open", None)


def test_a_shared_one_that_is_closed_is_listed_but_no_news_for_stats(
    trioq: Cli, scene: Scene
) -> None:
    shared(scene, opens=False)
    (told,) = trioq.json("breakers")
    assert (told["state"], told["since_ms"]) == ("closed", None)
    assert "api" not in trioq("stats").stdout


def test_it_is_closed_by_hand(trioq: Cli, scene: Scene) -> None:
    driver = shared(scene, opens=True)
    result = trioq("breakers", "reset", "api")
    assert result.stdout == "api is closed, in all engines within 1 s\n"
    (seen,) = scene.store.breakers(driver.engine, [BreakerNews("api")])
    assert (seen.state, seen.resets) == ("closed", 1)
    assert trioq.json("breakers", "reset", "noop") == {"name": "noop", "were": []}
    (seen,) = scene.store.breakers(driver.engine, [BreakerNews("noop")])
    assert seen.resets == 1
    assert trioq("breakers").stdout == "all breakers are closed\n"


def test_of_one_that_is_closed_nothing_is_told_when_it_is_reset(trioq: Cli, scene: Scene) -> None:
    shared(scene, opens=False)
    assert trioq.json("breakers", "reset", "api") == {"name": "api", "were": []}


def test_a_name_that_nobody_knows_is_not_reset(trioq: Cli, scene: Scene) -> None:
    assert only_error(trioq("breakers", "reset", "nop"), 2) == (
        "no breaker 'nop'; did you mean \"noop\"?"
    )
    assert scene.store.lane.call("EXISTS", scene.store.keys.fixed("breakers")) == 0
    assert trioq("breakers", "reset").exit_code == 2


def test_only_what_has_a_breaker_of_its_own_is_reset_or_offered(trioq: Cli, scene: Scene) -> None:
    store, behind = scene.store, {"fail": "stripe", "plain": ""}
    info = EngineInfo(name="e", names=("fail", "noop", "plain"), behind=behind)
    assert store.register("e.1", encode(info))
    for name, said in (
        ("plain", "plain has no breaker: its handler says breaker=None"),
        ("fail", "fail is behind the breaker stripe: reset that"),
        ("xyz", "no breaker 'xyz'; there are noop, stripe"),
    ):
        assert only_error(trioq("breakers", "reset", name), 2) == said
    assert store.lane.call("EXISTS", store.keys.fixed("breakers")) == 0
    assert trioq("breakers", "reset", "stripe").exit_code == 0
