"""Jobs that are parked, and queues and names that a client has invented: told, and bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_config
from tests.scene import Scene
from tests.support import Server, new_job
from trioq.core.calls import Rate
from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.core.limiter import interval_us
from trioq.core.settlements import Park
from trioq.store.inspect import tell

MANY = 3000
BOUNDED = 8000  # characters


def park(scene: Scene, name: str, count: int, **more: str) -> list[str]:
    """Jobs of this name behind their door in ``low``."""
    jobs = [new_job("low", name, id=f"{name}-{n}", **more) for n in range(count)]
    uids = scene.enqueue(*jobs)
    claims = scene.driver.step(count)
    parks = [Park(claim.uid, scene.driver.n, "low", name) for claim in claims]
    scene.driver.step(0, *parks)
    return uids


@pytest.fixture
def broken(scene: Scene) -> Scene:
    """Two names are parked: one for its breaker, one as nobody knows it."""
    park(scene, "noop", 7)
    park(scene, "unheard", 2)
    open_ = Snapshot(breakers={"noop": "open"}, reopens_ms={"noop": 1_900_000_000_000})
    tell(scene.store, scene.driver.engine, open_)
    return scene


def test_stats_say_what_is_parked_behind_which_door_and_why(trioq: Cli, broken: Scene) -> None:
    shown = trioq("stats").stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["low", "noop", "7"] in [row[:3] for row in rows]
    assert "the breaker is open on e" in shown
    assert "no engine that serves low knows unheard" in shown
    told = trioq.json("stats")
    door, unknown = told["doors"]
    assert {key: door[key] for key in ("queue", "name", "parked", "why", "breakers")} == {
        "queue": "low", "name": "noop", "parked": 7, "why": ["breaker"], "breakers": {"e": "open"},
    }  # fmt: skip
    assert door["since_ms"] > 0
    assert (unknown["name"], unknown["why"]) == ("unheard", ["unknown_name"])
    assert told["doors_left_out"] == 0


def test_the_doctor_names_the_breaker_and_the_name_that_nobody_knows(
    trioq: Cli, broken: Scene
) -> None:
    broken.store.pause(*broken.sender.next(), "low", True)
    findings = json.loads(trioq("doctor --json").stdout)["findings"]
    said = {(f["check"], f["verdict"]): f["said"] for f in findings}
    assert said["breakers", "warning"].startswith(
        "noop in low: low is paused, the breaker is open on e, and 7 job(s) are parked"
    )
    assert said["handlers", "warning"].startswith("2 unheard job(s) wait for an engine")
    assert said["queues", "warning"] == "low: paused with 9 job(s), until trioq resume low"


def test_peek_says_why_nothing_comes(trioq: Cli, broken: Scene) -> None:
    ended = trioq("peek", "low")
    assert ended.stdout == "nothing is ready in low\n"
    assert "7 × noop are parked: the breaker is open on e" in ended.stderr
    assert "2 × unheard are parked: no engine that serves low knows unheard" in ended.stderr
    broken.store.pause(*broken.sender.next(), "low", True)
    ended = trioq("peek", "low", "--json")
    assert json.loads(ended.stdout) == []
    assert "low is paused" in ended.stderr


@pytest.mark.parametrize(
    ("id", "because", "until"),
    [
        ("noop-3", "the breaker is open on e", "succeeds: the next at 2030-03-17"),
        ("unheard-0", "no engine that serves low knows unheard", "or dead after 1 h to twice that"),
    ],
)
def test_a_parked_job_tells_why_since_when_and_until_when(
    trioq: Cli, broken: Scene, id: str, because: str, until: str
) -> None:
    shown = trioq("job", id).stdout
    facts = {line[:10].strip(): line[11:] for line in shown.splitlines()}
    assert facts["state"] == "parked"
    assert "none let through since 20" in facts["parked"]
    assert facts["because"] == because
    assert until in facts["until"]
    told = trioq.json("job", id)
    assert told["state"] == "parked"
    assert told["door"]["since_ms"] > 0
    assert told["door"]["why"]


def test_a_parked_job_names_the_breaker_that_all_engines_share(trioq: Cli, scene: Scene) -> None:
    park(scene, "noop", 1)
    shut = Shut("stripe", ("noop",), "half_open", 1, shared=True)
    tell(scene.store, scene.driver.engine, Snapshot(breakers={"noop": "half_open"}, shut=(shut,)))
    shown = trioq("job", "noop-0").stdout
    assert "because    the breaker stripe, which all engines share, is half-open\n" in shown
    assert "until      those that are tried succeed\n" in shown
    door = trioq.json("job", "noop-0")["door"]
    assert (door["breaker"], door["shared"], door["until_ms"]) == ("stripe", True, None)
    assert "the breaker stripe, which all engines share, is half-open" in trioq("stats").stdout


def test_a_job_that_is_not_parked_has_no_door(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="a"))
    assert "door" not in trioq.json("job", "a")


@pytest.fixture
def invented(scene: Scene) -> Scene:
    """What a client of a URL may have made up: names, and queues, by the thousand."""
    keys, lane = scene.store.keys, scene.store.lane
    record = new_job("low", "x").stored
    for start in range(0, MANY, 500):
        numbers = range(start, start + 500)
        uids = [f"{n:032x}" for n in range(2 * start, 2 * start + 1000)]
        lane.pipeline([
            ("HSET", keys.fixed("jobs"), *(part for uid in uids for part in (uid, record))),
            ("SADD", keys.fixed("queues"), *(f"queue-{n}" for n in numbers)),
            ("HSET", keys.fixed("parked"), *(p for n in numbers for p in (f"low:name-{n}", "1:1"))),
            *(("LPUSH", keys.of("parked", "low", f"name-{n}"), uids[n - start]) for n in numbers),
            *(("LPUSH", keys.of("ready", f"queue-{n}"), uids[500 + n - start]) for n in numbers),
        ])  # fmt: skip
    return scene


def test_thousands_of_invented_queues_and_names_are_summed_up(trioq: Cli, invented: Scene) -> None:
    shown = trioq("stats").stdout
    assert len(shown) < BOUNDED
    assert f"and {MANY - 30:,} more queues, with {MANY - 30:,} job(s)" in shown
    assert f"and {MANY - 20:,} more names, with {MANY - 20:,} parked job(s)" in shown
    told = trioq.json("stats")
    assert len(told["doors"]) == 1000
    assert told["doors_left_out"] == MANY - 1000

    keys = trioq("stats", "--keys").stdout
    assert len(keys) < 2 * BOUNDED
    assert "smaller ones" in keys

    doctor = trioq("doctor")
    assert len(doctor.stdout) < BOUNDED
    assert f"and {MANY - 10:,} more, with {MANY - 10:,} job(s) in queues that" in doctor.stdout
    assert f"and {MANY - 10:,} more, with {MANY - 10:,} job(s) of names that no" in doctor.stdout

    peek = trioq("peek", "low")
    assert len(peek.stderr) < BOUNDED
    assert f"{MANY - 5:,} more are parked, of {MANY - 5:,} other names" in peek.stderr


def test_thousands_of_invented_queues_are_purged_in_few_words(trioq: Cli, scene: Scene) -> None:
    for start in range(0, MANY, 500):
        scene.enqueue(*(new_job(f"queue-{n}") for n in range(start, start + 500)))
    refused = trioq("pause", "nowhere")
    assert refused.exit_code == 2
    assert len(refused.stderr) < BOUNDED
    assert "more" in refused.stderr
    dry = trioq("purge", "--all", "--dry-run").stdout
    assert len(dry) < BOUNDED
    assert dry.splitlines()[-1] == f"and {MANY - 48:,} more queues: {MANY - 48:,} would be purged"
    assert trioq("purge", "--all", "--yes").exit_code == 0
    assert set(trioq.json("stats")["queues"]) == {"high", "low"}


def test_an_invented_queue_is_forgotten_by_lists_when_it_is_purged(
    trioq: Cli, scene: Scene
) -> None:
    scene.enqueue(new_job("invented"))
    assert "invented" in trioq.json("stats")["queues"]
    trioq("purge", "invented", "--yes")
    assert "invented" not in trioq.json("stats")["queues"]
    doctor = trioq("doctor").stdout
    assert "invented" not in doctor
    assert "nothing is left over" in doctor


@pytest.mark.direct  # a repeated answer has no time to wait
def test_a_limiter_that_holds_producers_up_is_named(
    server: Server, scene: Scene, tmp_path: Path
) -> None:
    cli = Cli(write_config(tmp_path, server, "[limiter]\nrate = 0.02\nburst = 2\n"))
    rate = Rate("producer", interval_us(0.02), 2)
    for taken in range(2):
        assert "producers wait" not in cli("stats").stdout
        scene.store.enqueue("producer", taken + 1, [new_job()], rate=rate)
    said = "limiter allows 0.02/s, and its permits are taken"
    assert said in cli("stats").stdout
    (finding,) = (
        finding
        for finding in json.loads(cli("doctor --json").stdout)["findings"]
        if finding["check"] == "limiter"
    )
    assert finding["said"] == "producers wait: it allows 0.02/s, and all 2 permits are taken"
