"""``trioq pause`` and ``resume``: queues, and jobs of a name."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Cli
from tests.scene import Scene
from tests.support import new_job
from trioq.cli.drain import judge
from trioq.client.cancel import whoami
from trioq.core.formats.pause import NOTE_MAX
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Park
from trioq.settings import load
from trioq.store.inspect import Pauses, outstanding, pauses

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


def test_a_paused_name_is_told_to_engines_until_it_is_resumed(trioq: Cli, scene: Scene) -> None:
    assert trioq("pause", "--job", "noop").stdout == "noop is paused\n"
    assert scene.driver.ask(0).paused == ("noop",)
    assert trioq("pause", "--job", "noop").stdout == "noop is paused, as it was before\n"
    assert trioq.json("resume", "--job", "noop") == {
        "job": "noop",
        "paused": False,
        "changed": True,
    }
    assert scene.driver.ask(0).paused == ()
    assert trioq("resume", "--job", "noop").stdout == "noop is not paused, as it was before\n"


def test_a_name_that_no_engine_knows_can_be_paused_and_is_said_to_be_one(
    trioq: Cli, scene: Scene
) -> None:
    ended = trioq("pause", "--job", "nooop")
    assert ended.exit_code == 0
    assert ended.stderr == "trioq: no engine knows 'nooop' now; did you mean \"noop\"?\n"
    assert pauses(scene.store).names.keys() == {"nooop"}


def test_what_is_paused_is_shown_with_who_and_why_and_until_when(trioq: Cli, scene: Scene) -> None:
    assert trioq("pause").stdout == "nothing is paused\n"
    assert trioq.json("pause") == []
    trioq("pause", "low", "--note", "the disk is full")
    trioq("pause", "--job", "noop", "--for", "1h")
    told = trioq("pause").stdout.splitlines()
    me = re.escape(whoami())
    assert re.fullmatch(
        rf"low is paused by {me} since {MOMENT} \(the disk is full\), until trioq resume low",
        told[0],
    )
    assert re.fullmatch(
        rf"noop is paused by {me} since {MOMENT}, until {MOMENT} or trioq resume --job noop",
        told[1],
    )
    low, noop = trioq.json("pause")
    assert (low["queue"], low["job"], low["note"]) == ("low", None, "the disk is full")
    assert (low["by"], low["until_ms"]) == (whoami(), None)
    assert (noop["queue"], noop["job"]) == (None, "noop")
    assert noop["until_ms"] - noop["since_ms"] == 3_600_000
    assert trioq.json("stats")["pauses"] == [low, noop]
    assert all(line in trioq("stats").stdout for line in told)


def test_what_an_older_version_has_paused_is_shown_too(trioq: Cli, scene: Scene) -> None:
    scene.store.lane.call("SADD", scene.store.keys.fixed("paused"), "low")
    assert trioq("pause").stdout == "low is paused, until trioq resume low\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["low", "--job", "noop"], "Say which: a QUEUE, --job NAME, or --key VALUE."),
        (["--note", "x"], "Say which: a QUEUE, --job NAME, or --key VALUE."),
        (["--for", "1h"], "Say which: a QUEUE, --job NAME, or --key VALUE."),
        (["low", "--for", "0"], "--for 0 is no time: say one above 0."),
        (["low", "--note", "x" * 201], "The note has 201 characters: 200 at most."),
        (["nowhere"], "no queue 'nowhere'"),
        (["--job", ""], "no job has an empty name"),
        (["low", "--key", "a"], "Say which: a QUEUE, --job NAME, or --key VALUE."),
        (["--limit", "each"], "Say which: a QUEUE, --job NAME, or --key VALUE."),
        (["low", "--limit", "each"], "--limit says whose --key is meant: say that too."),
        (["--key", "null"], "a job that has null there isn't bound by the limit."),
    ],
)
def test_what_makes_no_sense_is_refused(
    trioq: Cli, scene: Scene, arguments: list[str], says: str
) -> None:
    ended = trioq("pause", *arguments)
    assert ended.exit_code == 2
    assert says in ended.stderr
    assert pauses(scene.store) == Pauses()


def keyed(scene: Scene, *names: str) -> None:
    limit = LimitSettings(concurrency=1, keyed=True)
    scene.store.set_limits({"all": LimitSettings(concurrency=9), **dict.fromkeys(names, limit)}, 1)


def test_jobs_with_one_value_of_a_key_are_paused_and_it_is_told_wherever_somebody_looks(
    trioq: Cli, scene: Scene
) -> None:
    keyed(scene, "each")
    (uid,) = scene.enqueue(new_job("low", takes=("all", 'each:"acme"')))
    assert trioq("pause", "--key", "acme").stdout == 'each for "acme" is paused\n'
    assert scene.driver.step(1) == ()
    (told,) = trioq("pause").stdout.splitlines()
    resume = "trioq resume --limit each --key '\"acme\"'"
    assert told.startswith('each for "acme" is paused by ')
    assert told.endswith(f", until {resume}")
    (paused,) = trioq.json("pause")
    assert (paused["limit"], paused["key"]) == ("each", "acme")
    assert (paused["queue"], paused["job"]) == (None, None)
    assert trioq.json("stats")["pauses"] == [paused]
    assert told in trioq("stats").stdout
    assert told in trioq("limits").stdout.splitlines()
    pause = {name: paused[name] for name in ("since_ms", "until_ms", "by", "note")}
    (_, each) = trioq.json("limits")
    assert (each["paused"], each["paused_left_out"]) == ([{"key": "acme", **pause}], 0)
    assert trioq("peek", "low").stderr == f"trioq: 1 more waits: {told}\n"
    assert f"  1 job of it waits: {told}\n" in trioq("explain", "--queue", "low").stdout
    (reason,) = trioq.json("explain", uid)["reasons"]
    assert (reason["why"], reason["says"]) == ("paused", told)
    assert (reason["limit"], reason["key"]) == ("each", "acme")
    assert told in trioq("explain", uid).stdout
    verdict = judge(*outstanding(scene.store, ["low"], 0))
    assert verdict.left_behind == ("1 in low (paused: each)",)
    assert verdict.is_done
    assert trioq.json("resume", "--key", '"acme"') == {
        "limit": "each", "key": "acme", "paused": False, "changed": True,
    }  # fmt: skip
    assert [claim.uid for claim in scene.driver.step(1)] == [uid]


FAIR = """
[[queues]]
name = "high"
[[queues]]
name = "low"
fair = "customer.id"
"""


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("", 'no limit has a key: give the jobs one that they never reach, and restart the engines:'
             ' [limits.each] queue = "high", key = "tenant", concurrency = 100000'),
        (FAIR,
         'no limit has a key, and turns (low: fair = "customer.id") can\'t be paused: give the jobs'
         ' one that they never reach, and restart the engines:'
         ' [limits.each] queue = "low", key = "customer.id", concurrency = 100000'),
        ('[limits.mine]\nqueue = "low"\nkey = "tenant"\nrate = 1\n',
         "no engine has told of a limit with a key, and the configuration has mine: start an engine"
         " with it"),
    ],
)  # fmt: skip
def test_where_no_limit_has_a_key_it_is_said_what_to_do(
    trioq: Cli, scene: Scene, config: str, says: str
) -> None:
    with trioq.config.open("a") as file:
        file.write(config)
    ended = trioq("pause", "--key", "acme")
    assert ended.exit_code == 2
    assert says in ended.stderr
    assert pauses(scene.store) == Pauses()


def test_a_limit_that_is_there_to_be_paused_may_be_given_as_it_is_told(
    trioq: Cli, scene: Scene
) -> None:
    with trioq.config.open("a") as file:
        file.write(FAIR)
        file.flush()
        told = re.search(r"(\[limits.each\]) (.*) \(docs", trioq("pause", "--key", "a").stderr)
        assert told is not None
        file.write("\n".join((told[1], *told[2].split(", "), "")))
    assert load(trioq.config).limits["each"].key == "customer.id"


def test_a_paused_key_of_which_no_engine_has_told_is_listed_until_it_is_resumed(
    trioq: Cli, scene: Scene
) -> None:
    for key in range(22):
        scene.store.pause(*scene.sender.next(), f"=gone:{key}", True)
    (gone,) = trioq.json("limits")
    assert (gone["name"], gone["known"], gone["takes"]) == ("gone", False, [])
    assert (len(gone["paused"]), gone["paused_left_out"]) == (20, 2)
    assert trioq("limits").stdout.endswith("\ngone: 2 more values are paused\n")
    for key in range(22):
        trioq("resume", "--limit", "gone", "--key", str(key))
    assert trioq.json("limits") == []


def test_where_several_limits_have_a_key_it_is_to_be_said_which(trioq: Cli, scene: Scene) -> None:
    keyed(scene, "each", "other")
    ended = trioq("pause", "--key", "acme")
    assert ended.exit_code == 2
    assert "several limits have a key: say which with --limit: each, other" in ended.stderr
    ended = trioq("pause", "--key", "acme", "--limit", "eac")
    assert ended.exit_code == 2
    assert "no limit 'eac' has a key; did you mean \"each\"?" in ended.stderr
    assert "no limit 'all' has a key" in trioq("pause", "--key", "acme", "--limit", "all").stderr
    assert pauses(scene.store) == Pauses()
    assert trioq("pause", "--key", "acme", "--limit", "other").exit_code == 0
    assert trioq("resume", "--key", "acme").stdout == 'other for "acme" is not paused\n'


def test_an_empty_text_is_a_value_of_a_key_too(trioq: Cli, scene: Scene) -> None:
    keyed(scene, "each")
    assert trioq("pause", "--key", "").stdout == 'each for "" is paused\n'
    assert pauses(scene.store).takes.keys() == {'each:""'}
    assert trioq("resume", "--key", "").stdout == 'each for "" is not paused\n'


def test_a_note_may_be_as_long_as_is_said(trioq: Cli, scene: Scene) -> None:
    assert trioq("pause", "low", "--note", "x" * NOTE_MAX).exit_code == 0
    ended = trioq("pause", "low", "--note", "x" * (NOTE_MAX + 1))
    assert "The note has 201 characters: 200 at most." in ended.stderr


def test_resume_wants_to_know_what(trioq: Cli) -> None:
    ended = trioq("resume")
    assert ended.exit_code == 2
    assert "Say which: a QUEUE, --job NAME, or --key VALUE." in ended.stderr


def test_a_parked_job_whose_name_is_paused_says_so(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    scene.store.pause(*scene.sender.next(), "@noop", True)
    scene.driver.step(1)
    scene.driver.step(0, Park(uid, 1, "low", "noop"))
    (door,) = trioq.json("stats")["doors"]
    assert door["why"] == ["name_paused"]
    assert "noop is paused" in trioq("stats").stdout
    shown = trioq("job", uid).stdout
    assert re.search(r"because +noop is paused\n", shown)
    assert re.search(r"until +trioq resume --job noop\n", shown)


def test_what_waits_behind_the_door_of_a_paused_name_does_not_hold_up_a_drain(
    trioq: Cli, scene: Scene
) -> None:
    uids = scene.enqueue(new_job("low"), new_job("low", "other"))
    scene.driver.step(2)
    ends = [Park(uid, 1, "low", name) for uid, name in zip(uids, ("noop", "other"), strict=True)]
    scene.driver.step(0, *ends)
    scene.store.pause(*scene.sender.next(), "@noop", True)
    left, running, _ = outstanding(scene.store, ["low"], 0)
    verdict = judge(left, running, frozenset({"noop", "other"}))
    assert verdict.waiting_for == ("1 parked",)
    assert verdict.left_behind == ("1 × noop in low (paused)",)
