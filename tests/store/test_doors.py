"""What jobs are parked behind, since when, and why; and queues that are nobody's any more."""

from __future__ import annotations

import attrs
import pytest

from tests.scene import Scene
from tests.support import new_job
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.core.job import Record
from trioq.core.settlements import Ack, Park
from trioq.store.inspect import QueueStats, Stats, doors, snapshots, stats, tell
from trioq.store.inspect.counts import EngineStats
from trioq.store.inspect.doors import Why, explained
from trioq.store.inspect.reasons import of_job
from trioq.store.inspect.sizes import known_keys
from trioq.store.inspect.views import JobView


def engine(id: str, queues: tuple[str, ...], names: tuple[str, ...]) -> EngineStats:
    return EngineStats(f"{id}.boot", EngineInfo(name=id, queues=queues, names=names), 0)


def of(*engines: EngineStats, paused: bool = False) -> Stats:
    queue = QueueStats(0, 0, 3, 0, 0, paused, bool(engines))
    return Stats("t", {"low": queue}, {}, 0, 0, engines, parked={("low", "greet"): 3})


KNOWS = engine("a", ("low",), ("greet",))
OTHER = engine("b", ("low",), ("other",))
ELSEWHERE = engine("c", ("high",), ("greet",))
KNOWS_TOO = engine("d", ("low",), ("greet",))
LEAVES = Snapshot(draining=True)
OPEN = {"a.boot": Snapshot(breakers={"greet": "open"})}


def test_an_engine_that_has_begun_anew_is_one_engine() -> None:
    first, second = (
        EngineStats(
            f"a.{boot}",
            EngineInfo(name="a", queues=("low",), names=("greet",), started_ms=1000 + boot),
            0,
        )
        for boot in range(2)
    )
    shut = Snapshot(breakers={"greet": "open"})
    for told in ({"a.1": shut}, {"a.0": shut, "a.1": shut}):
        (door,) = explained(of(first, second), told)
        assert door.why == ("breaker",), "the first boot runs nothing any more"
    (door,) = explained(of(second, first), {"a.0": shut})
    assert door.why == (), "the second one has told nothing yet"
    (door,) = explained(of(first, second, KNOWS_TOO), {"a.1": shut})
    assert door.why == (), "another one knows it"


@pytest.mark.parametrize(
    ("counted", "told", "why", "words"),
    [
        (of(), {}, ("no_engine",), "no engine serves low"),
        (of(ELSEWHERE), {}, ("no_engine",), "no engine serves low"),
        (of(OTHER, ELSEWHERE), {}, ("unknown_name",), "no engine that serves low knows greet"),
        (of(KNOWS, OTHER), OPEN, ("breaker",), "the breaker is open on a"),
        (of(KNOWS), OPEN, ("breaker",), "the breaker is open on a"),
        (of(KNOWS, OTHER), {}, (), "an engine takes them soon"),
        (of(KNOWS), {"a.boot": Snapshot(breakers={"other": "open"})}, (), "an engine takes them"),
        (of(KNOWS, KNOWS_TOO), OPEN, (), "an engine takes them soon"),
        (
            of(KNOWS, KNOWS_TOO),
            {**OPEN, "d.boot": LEAVES},
            ("breaker",),
            "the breaker is open on a",
        ),
        (
            of(KNOWS, KNOWS_TOO),
            {**OPEN, "d.boot": Snapshot(breakers={"greet": "half_open"})},
            ("breaker",),
            "the breaker is open on a, half-open on d",
        ),
        (
            of(KNOWS, OTHER),
            {"a.boot": LEAVES},
            ("draining",),
            "all engines that serve low and know greet are draining",
        ),
        (
            of(OTHER),
            {"b.boot": LEAVES},
            ("unknown_name",),
            "no engine that serves low knows greet",
        ),
        (
            of(KNOWS, paused=True),
            {"a.boot": Snapshot(breakers={"greet": "half_open"})},
            ("paused", "breaker"),
            "low is paused, the breaker is half-open on a",
        ),
    ],
)
def test_a_door_is_closed_for_what_its_engines_say(
    counted: Stats, told: dict[str, Snapshot], why: tuple[Why, ...], words: str
) -> None:
    (door,) = explained(counted, told)
    assert (door.queue, door.name, door.parked, door.why) == ("low", "greet", 3, why)
    assert door.reasons.startswith(words)


@pytest.mark.parametrize("engines", [(KNOWS,), (KNOWS, OTHER), (KNOWS, KNOWS_TOO), (OTHER,), ()])
@pytest.mark.parametrize(
    "told",
    [
        {},
        OPEN,
        {"a.boot": LEAVES},
        {**OPEN, "d.boot": LEAVES},
        dict.fromkeys(("a.boot", "b.boot"), LEAVES),
    ],
)
def test_a_parked_job_is_told_what_its_door_is(
    engines: tuple[EngineStats, ...], told: dict[str, Snapshot]
) -> None:
    counted = of(*engines)
    record = Record("0" * 32, "greet", "low", b"{}")
    view = JobView(record.uid, record, "parked")
    (door,) = explained(counted, told)
    reasons = of_job(view, counted, told, None, 0)
    assert tuple(reason.why for reason in reasons if reason.why != "none") == door.why


def test_of_many_open_breakers_a_few_are_named() -> None:
    many = [engine(f"e{n}", ("low",), ("greet",)) for n in range(9)]
    told = {each.id: Snapshot(breakers={"greet": "open"}) for each in many}
    (door,) = explained(of(*many), told)
    assert len(door.breakers) == 9
    assert door.reasons == "the breaker is open on e0, open on e1, open on e2 and 6 more"


@pytest.mark.parametrize("state", ["open", "half_open"])
def test_of_a_shared_breaker_the_engine_that_has_heard_last_is_believed(state: str) -> None:
    early = Shut("api", ("greet",), "half_open" if state == "open" else "open", 1, 7, shared=True)
    late = attrs.evolve(early, state=state, since_ms=2)
    told = {
        "a.boot": Snapshot(breakers={"greet": early.state}, shut=(early,)),
        "d.boot": Snapshot(breakers={"greet": late.state}, shut=(late,)),
    }
    (door,) = explained(of(KNOWS, KNOWS_TOO), told)
    assert (door.breaker, door.shared) == ("api", True)
    said = state.replace("_", "-")
    assert door.reasons == f"the breaker api, which all engines share, is {said}"


def test_doors_are_read_with_their_times_and_their_breakers(scene: Scene) -> None:
    names = ["noop", "other", "other"]
    scene.enqueue(*(new_job("low", name) for name in names))
    claims = scene.driver.step(3)
    before_ms = 1000 * int(scene.store.lane.call("TIME")[0])
    parks = [
        Park(c.uid, scene.driver.n, "low", name) for c, name in zip(claims, names, strict=True)
    ]
    scene.driver.step(0, *parks)
    tell(scene.store, scene.driver.engine, Snapshot(breakers={"noop": "open"}))
    assert snapshots(scene.store, [scene.driver.engine])
    most, least = doors(scene.store, stats(scene.store))
    assert (most.name, most.parked, most.why) == ("other", 2, ("unknown_name",))
    assert (least.name, least.parked, least.why) == ("noop", 1, ("breaker",))
    assert most.since_ms is not None
    assert most.since_ms >= before_ms


def test_a_queue_that_is_empty_and_nobodys_is_not_listed(scene: Scene) -> None:
    scene.enqueue(new_job("gone"), new_job("paused"), new_job("there"), new_job("running"))
    scene.store.pause(*scene.sender.next(), "paused", True)
    for queue in ("gone", "paused"):
        scene.store.purge(*scene.sender.next(), queue, [], 10)
    scene.driver.queues = ("running",)
    (claim,) = scene.driver.step(1)
    counted = stats(scene.store, ["configured"])
    assert {"configured", "paused", "there", "running"} <= set(counted.queues)
    assert "gone" not in counted.queues
    assert counted.unused == ("gone",)
    assert counted.records == counted.placed
    # Its bell is still known as one of ours.
    assert "{t}:bell:gone" in known_keys(scene.store, counted)
    scene.driver.step(0, Ack(claim.uid, scene.driver.n))
    assert "running" in stats(scene.store, ["configured"]).unused
    scene.enqueue(new_job("gone"))
    assert stats(scene.store, ["configured"]).queues["gone"].ready == 1
