"""``trioq jobs``: which jobs are where, and what they wait for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Cli, lines, only_error
from tests.scene import Scene
from tests.store.drive import line
from tests.support import new_job
from trioq.core.fair import fair_key
from trioq.core.formats import summary
from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.core.job import Record
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Park, RetryAt
from trioq.store.inspect import tell
from trioq.store.inspect.listing import PASSED_OVER
from trioq.store.inspect.shelves import PAGE


def ids(trioq: Cli, *arguments: object) -> list[str]:
    return [job["id"] for job in trioq.json("jobs", *arguments)["jobs"]]


def named(count: int, what: str, queue: str = "low", **more: Any) -> list[Any]:
    return [new_job(queue, id=f"{what}{n}", **more) for n in range(count)]


@pytest.fixture
def everywhere(trioq: Cli, scene: Scene) -> Scene:
    """Two jobs in each state, of ``low``; the second of each came later."""
    driver = scene.driver
    scene.dead(*named(2, "dead"))
    scene.enqueue(*named(2, "done"))
    claims = driver.step(2)
    acks = [
        Ack(
            claim.uid, driver.n, summary.encode(
                Record(claim.uid, "noop", "low", b"{}", f"done{n}"),
                attempt=1, took_s=0.012, at_ms=n + 1, engine=driver.engine, trace=None,
            ),
        )
        for n, claim in enumerate(claims)
    ]  # fmt: skip
    driver.step(0, *acks)
    scene.enqueue(*named(2, "parked"))
    claims = driver.step(2)
    driver.step(0, *(Park(claim.uid, driver.n, "low", "noop") for claim in claims))
    scene.store.set_limits({"stripe": LimitSettings(concurrency=1)}, 1)
    scene.enqueue(*named(2, "running"))
    driver.step(2)
    scene.enqueue(
        new_job("high", id="holder", takes=("stripe",)), *named(2, "limited", takes=("stripe",))
    )
    driver.step(3)
    scene.enqueue(*(new_job("low", id=f"later{n}", delay_ms=30_000 + n * 60_000) for n in range(2)))
    scene.enqueue(*named(2, "ready"), *named(2, "cancelled"))
    for n in range(2):
        assert trioq("cancel", f"cancelled{n}").exit_code == 0
    return scene


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("ready", "ready"), ("limited", "limited"), ("scheduled", "later"), ("parked", "parked"),
        ("dead", "dead"), ("done", "done"), ("cancelled", "cancelled"),
    ],
)  # fmt: skip
def test_jobs_in_a_state_are_listed_from_either_end(
    trioq: Cli, everywhere: Scene, state: str, word: str
) -> None:
    both = [f"{word}0", f"{word}1"]
    assert ids(trioq, "--state", state) == both
    assert ids(trioq, "--state", state, "--newest") == both[::-1]
    told = trioq.json("jobs", "--state", state, "-n", 1)
    assert ([job["id"] for job in told["jobs"]], told["more"]) == (both[:1], True)
    assert [job["state"] for job in told["jobs"]] == [state]
    assert trioq.json("jobs", "--state", state, "-n", 2)["more"] is False


def test_all_that_wait_or_run_are_listed_state_after_state(trioq: Cli, everywhere: Scene) -> None:
    assert ids(trioq) == [
        "running0", "running1", "holder", "ready0", "ready1", "limited0", "limited1", "later0",
        "later1", "parked0", "parked1",
    ]  # fmt: skip
    assert ids(trioq, "--queue", "high") == ["holder"]
    assert ids(trioq, "--state", "dead", "--state", "ready") == [
        "dead0", "dead1", "ready0", "ready1",
    ]  # fmt: skip


def test_each_tells_what_it_waits_for(trioq: Cli, everywhere: Scene) -> None:
    shut = Shut("api", ("noop",), "open", 1, 1_900_000_000_000, shared=True)
    until = {"noop": 1_900_000_000_000}
    shown = Snapshot(breakers={"noop": "open"}, reopens_ms=until, shut=(shut,))
    tell(everywhere.store, everywhere.driver.engine, shown)
    states = ("--state", "done", "--state", "dead")
    rows = lines(trioq("jobs").stdout) + lines(trioq("jobs", *states).stdout)
    said = {row.split()[0]: row for row in rows}
    assert said["running0"].endswith("  on e")
    assert said["limited1"].endswith("  waits for stripe")
    assert "  due in " in said["later1"]
    assert "the breaker api, which all engines share, is open, none let" in said["parked0"]
    assert "one is tried in " in said["parked0"]
    assert said["done1"].endswith(" took 12 ms")
    assert said["dead1"].endswith(" failures")
    told = {job["id"]: job for job in trioq.json("jobs")["jobs"]}
    assert told["limited0"]["take"] == "stripe"
    assert told["parked1"]["door"]["breaker"] == "api"
    assert told["running1"]["engine"] == everywhere.driver.engine
    assert told["later0"]["due_ms"] > told["later0"]["enqueued_ms"]
    assert not {"take", "door"} & told["ready0"].keys()


def test_suspects_come_before_the_line_and_fair_keys_behind_it(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(*named(1, "suspect"))
    scene.driver.step(1)
    dying = scene.driver.engine
    scene.store.reap(dying, scene.store.observe()[dying], 3)
    scene.enqueue(*named(2, "plain"))
    scene.enqueue(*(new_job("low", id=f"key{n}", fair=fair_key("ann", 1.0)) for n in range(2)))
    expected = ["suspect0", "plain0", "plain1", "key0", "key1"]
    assert ids(trioq) == expected
    assert ids(trioq, "--newest") == expected[::-1]


@pytest.mark.parametrize("newest", [(), ("--newest",)])
@pytest.mark.parametrize("kind", ["ready", "fair", "scheduled", "running", "parked", "done"])
def test_more_than_a_page_are_listed_each_once(
    trioq: Cli, scene: Scene, kind: str, newest: tuple[str, ...]
) -> None:
    count = 2 * PAGE + 7
    fair = fair_key("ann", 1.0) if kind == "fair" else None
    delay_ms = 30_000 if kind == "scheduled" else 0
    uids = scene.enqueue(*(new_job("low", fair=fair, delay_ms=delay_ms) for _ in range(count)))
    state = "ready" if kind == "fair" else kind
    if kind in ("running", "parked", "done"):
        claims = scene.driver.step(count)
        n = scene.driver.n
        ends: dict[str, Any] = {
            "parked": [Park(claim.uid, n, "low", "noop") for claim in claims],
            "done": [
                Ack(c.uid, n, b'{"uid":"%s","at_ms":1}' % c.uid.encode()) for c in claims
            ],
        }  # fmt: skip
        for start in range(0, count if kind in ends else 0, 100):
            scene.driver.step(0, *ends[kind][start : start + 100])
    found = ids(trioq, "-n", 1000, "--state", state, *newest)
    assert sorted(found) == sorted(uids)
    if kind != "scheduled":
        assert found == (uids[::-1] if newest else uids)


def test_only_those_of_a_name_and_a_queue_are_listed(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(*named(2, "a"), *named(2, "b", name="other"), *named(1, "c", queue="high"))
    assert ids(trioq, "--name", "other") == ["b0", "b1"]
    assert ids(trioq, "--name", "noop", "--queue", "low") == ["a0", "a1"]
    assert trioq("jobs", "--name", "none").stdout == "no job waits or runs\n"
    none = trioq("jobs", "--state", "dead", "--state", "parked").stdout
    assert none == "no job is dead or parked\n"
    said = only_error(trioq("jobs", "--queue", "hgih"), 2)
    assert said == "no queue 'hgih'; did you mean \"high\"?"
    assert ids(trioq, "--queue", "forgotten", "--state", "done") == []


def test_it_is_given_up_where_too_many_others_lie(trioq: Cli, scene: Scene) -> None:
    keys, lane = scene.store.keys, scene.store.lane
    record = new_job("low", "other").stored
    uids = [f"{n:032x}" for n in range(PASSED_OVER + 2 * PAGE)]
    for start in range(0, len(uids), 1000):
        some = uids[start : start + 1000]
        lane.call("HSET", keys.fixed("jobs"), *(part for uid in some for part in (uid, record)))
        lane.call("LPUSH", keys.of("ready", "low"), *some)
    lane.call("SADD", keys.fixed("queues"), "low")
    result = trioq("jobs", "--name", "noop")
    assert result.stdout == "no job waits or runs\n"
    assert f"{PASSED_OVER + PAGE:,} others were looked at; there may be more" in result.stderr
    told = trioq.json("jobs", "--name", "noop")
    assert (told["jobs"], told["more"], told["passed_over"]) == ([], True, PASSED_OVER + PAGE)


def test_who_was_cancelled_and_still_lies_in_a_list_is_not_listed(trioq: Cli, scene: Scene) -> None:
    _, second = scene.enqueue(*named(2, "a"))
    assert trioq("cancel", "a0").exit_code == 0
    assert ids(trioq) == ["a1"]
    (claim,) = [claim for _ in range(2) for claim in scene.driver.step(1)]
    assert claim.uid == second
    scene.driver.step(0, RetryAt(second, scene.driver.n, 30_000, 1, line("no")))
    told = trioq.json("jobs", "--state", "scheduled")["jobs"]
    assert [(job["id"], len(job["attempts"])) for job in told] == [("a1", 1)]
