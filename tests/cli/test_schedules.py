"""``trioq schedules``: what makes jobs by the clock."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Cli, lines, only_error, run
from tests.scene import Scene
from tests.support import new_job
from trioq.core.duration import exactly
from trioq.core.formats import schedule as rows
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.tick import Mark, Tick
from trioq.core.schedules.when import Cron, Every
from trioq.store import inspect

#: In the year 2096: it doesn't come while the test runs.
TICK_MS = 4_000_000_000_000
NIGHTLY = Schedule("nightly", Cron("0 3 * * *"), "convert", "high", b'{"path":"a"}')


@pytest.fixture
def scheduled(scene: Scene) -> Scene:
    """One has a tick behind it, another none."""
    put = scene.store.put_schedule
    put(*scene.sender.next(), "nightly", rows.encode(NIGHTLY), TICK_MS)
    put(*scene.sender.next(), "often", rows.encode(Schedule("often", Every(900_000), "x", "low")),
        TICK_MS)  # fmt: skip
    job = new_job("high", "convert")
    mark = Mark(TICK_MS, "fired", 1500, job.uid)
    row = rows.encode(NIGHTLY)
    move = Tick("nightly", row, TICK_MS, TICK_MS + 86_400_000, (mark,))
    assert scene.store.tick(*scene.sender.next(), move, job).word == "ok"
    return scene


def test_without_schedules_that_is_said(trioq: Cli, scene: Scene) -> None:
    assert lines(trioq("schedules").stdout) == ["there are no schedules"]
    assert trioq.json("schedules") == []


def test_schedules_are_listed_in_plain_words(trioq: Cli, scheduled: Scene) -> None:
    told = lines(trioq("schedules").stdout)
    assert [line.split()[0] for line in told] == ["schedule", "nightly", "often"]
    assert "at 03:00 every day, UTC" in told[1]
    assert "fired, 1.5 s late" in told[1]
    assert "client" in told[1]
    assert "every 15 min" in told[2]
    nightly, often = trioq.json("schedules")
    assert (nightly["next_ms"], nightly["cron"], nightly["state"]) == (
        TICK_MS + 86_400_000, "0 3 * * *", "live",
    )  # fmt: skip
    assert (often["every_ms"], often["ticks"]) == (900_000, [])


def test_one_is_shown_with_what_became_of_its_ticks(trioq: Cli, scheduled: Scene) -> None:
    told = trioq("schedules show", "nightly").stdout
    assert 'convert in high, given {"path": "a"}' in told
    assert lines(told)[-1].split()[3:] == ["fired", "1.5", "s", *trioq.json("schedules")[0]["runs"]]
    (tick,) = trioq.json("schedules show", "nightly")["ticks"]
    assert (tick["at_ms"], tick["outcome"], tick["late_ms"]) == (TICK_MS, "fired", 1500)


def test_what_is_late_is_told_where_it_is_looked_for(trioq: Cli, scheduled: Scene) -> None:
    row = rows.encode(Schedule("late", Cron("0 0 1 * mon"), "x", "low", jitter_ms=30_000))
    scheduled.store.put_schedule(*scheduled.sender.next(), "late", row, 1000)
    for told in (trioq("schedules"), trioq("schedules show", "late")):
        assert "late is late: its tick came" in told.stdout
        assert "on the first day of month or on Monday, UTC" in told.stdout
    assert "up to 30 s" in told.stdout


@pytest.mark.parametrize(
    ("ms", "said"),
    [(1000, "1 s"), (1500, "1.5 s"), (90_000, "90 s"), (5_400_000, "90 min"), (7_200_000, "2 h"),
     (604_800_000, "7 d"), (0, "0 s"), (1, "0.001 s"), (100_000, "100 s")],
)  # fmt: skip
def test_a_time_that_was_set_is_told_exactly(ms: int, said: str) -> None:
    assert exactly(ms) == said


def test_what_is_asked_may_follow_the_configuration(trioq: Cli, scheduled: Scene) -> None:
    asked = ("schedules", trioq.config, "next", "often")
    told = lines(run(*asked, "-n", 2).stdout)
    assert told == ["Tue 2096-10-02 07:06:40 UTC", "Tue 2096-10-02 07:15:00 UTC"]
    assert json.loads(run(*asked, "--json").stdout)[0] == TICK_MS


def test_one_is_run_now_and_its_ticks_come_as_before(trioq: Cli, scheduled: Scene) -> None:
    told = trioq.json("schedules run", "nightly")
    found = inspect.find(scheduled.store, told["uid"])
    assert found is not None
    assert found.record is not None
    assert (found.record.name, found.record.queue, found.record.payload) == (
        "convert", "high", b'{"path":"a"}',
    )  # fmt: skip
    assert trioq.json("schedules")[0]["next_ms"] == TICK_MS + 86_400_000


def test_one_is_paused_and_resumed(trioq: Cli, scheduled: Scene) -> None:
    assert lines(trioq("schedules pause", "often", "--note", "why").stdout) == ["often is paused"]
    assert lines(trioq("schedules pause", "often").stdout) == ["often is paused, as it was"]
    told = trioq("schedules").stdout
    assert "often is paused" in told
    assert "until trioq schedules CONFIG resume often" in told
    assert trioq.json("schedules")[1]["state"] == "paused"
    (paused,) = trioq.json("pause")
    assert (paused["schedule"], paused["queue"]) == ("often", None)
    assert trioq.json("stats")["pauses"] == [paused]
    assert "the schedule often is paused" in trioq("stats").stdout
    assert lines(trioq("schedules resume", "often").stdout) == ["often is resumed"]
    assert trioq.json("schedules")[1]["paused"] is None


def test_what_no_deployment_lists_any_more_is_told(trioq: Cli, scene: Scene) -> None:
    row = rows.encode(Schedule("gone", Every(1000), "x", "low", owner="app"))
    for digest, name in ("1", "gone"), ("2", "here"):
        said = SaidList("jobs:app", digest, (Listed(name, row, TICK_MS),))
        scene.store.list_schedules(scene.driver.engine, said)
    assert (
        "gone: the newest deployment doesn't list it; it is retired in" in trioq("schedules").stdout
    )
    gone, here = trioq.json("schedules")
    assert (gone["state"], here["state"], gone["app"]) == ("unlisted", "live", "jobs:app")


def test_what_is_late_or_ends_is_told_by_whoever_is_asked_how_all_stand(
    trioq: Cli, scene: Scene
) -> None:
    now_ms = scene.store.next_ticks(1).now_ms
    put = scene.store.put_schedule
    put(*scene.sender.next(), "late", b"{}", now_ms - 120_000)
    put(*scene.sender.next(), "comes", b"{}", now_ms + 7_200_500)
    for digest, listed in ("1", (Listed("left_out", b"{}", None),)), ("2", ()):
        scene.store.list_schedules(scene.driver.engine, SaidList("app", digest, listed))
    told = lines(trioq("stats").stdout)
    assert "3 schedules" in told
    late = "late is late: its tick came 2 min ago, and no engine has made it"
    assert late in told
    found = json.loads(trioq("doctor", "--json").stdout)["findings"]
    said = [f["said"] for f in found if (f["check"], f["verdict"]) == ("schedules", "warning")]
    ends = "left_out: the newest deployment doesn't list it; it is retired in 60 min"
    assert said == [late, ends]
    assert trioq.json("stats")["schedules"] == {
        "count": 3, "next_ms": now_ms - 120_000, "late": 1, "unlisted": 1, "retired": 0,
    }  # fmt: skip
    put(*scene.sender.next(), "late", b"", None)
    assert "2 schedules, comes in 2 h" in lines(trioq("stats").stdout)


@pytest.mark.parametrize("words", [("shwo", "CONFIG", "a"), ("CONFIG", "shwo", "a")])
def test_a_word_that_is_none_is_told_what_is_near(trioq: Cli, words: tuple[str, ...]) -> None:
    said = [trioq.config if word == "CONFIG" else word for word in words]
    assert "No such command 'shwo'; did you mean \"show\"?" in run("schedules", *said).stderr


def test_who_asks_for_another_is_told_what_there_is(trioq: Cli, scheduled: Scene) -> None:
    for word in ("show", "next", "run", "pause", "resume"):
        error = only_error(trioq(f"schedules {word}", "nightyl"), 2)
        assert error == "no schedule 'nightyl'; did you mean \"nightly\"?"
