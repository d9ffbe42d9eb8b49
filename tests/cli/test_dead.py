"""``trioq dead``: found by what is known of them, revived and purged in pages, exported whole."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, lines, only_error, run, write_config
from tests.cli.terminal import on_terminal
from tests.dump import dump
from tests.scene import Scene
from tests.support import Server, new_job, trioq_started, wait_until
from trioq.core.calls import Taking
from trioq.core.settlements import DeadLetter
from trioq.store.inspect import stats
from trioq.store.redis import RedisStore


def dead_count(store: RedisStore) -> int:
    return stats(store).dead


@pytest.fixture
def three(scene: Scene) -> list[str]:
    """Dead jobs that differ in name, error and queue."""
    return [
        *scene.dead(new_job("low", "convert", b'{"n":1}', id="mine"), message="no such file"),
        *scene.dead(new_job("high", "convert", b'{"n":2}'), message="disk [full]"),
        *scene.dead(new_job("low", "noop", b'{"n":3}'), message="disk full", reason="gave_up"),
    ]


# -- list and show -----------------------------------------------------------------------------


def test_a_dead_job_has_its_reason_errors_payload_and_queue_b25(
    trioq: Cli, three: list[str]
) -> None:
    """The predecessor kept the payload and nothing else."""
    first, second, _ = trioq.json("dead list")
    assert (first["id"], first["uid"], first["name"], first["queue"]) == (
        "mine", three[0], "convert", "low",
    )  # fmt: skip
    assert (first["payload"], first["reason"], first["state"]) == ({"n": 1}, "failures", "dead")
    assert first["died_ms"] > 0
    (attempt,) = first["attempts"]
    assert attempt["error"]["message"] == "no such file"
    assert attempt["engine"] == "e"
    assert second["id"] == second["uid"] == three[1]
    assert trioq.json("dead show", "mine") == first


def test_people_see_a_line_for_each(trioq: Cli, three: list[str]) -> None:
    header, first, second, third = lines(trioq("dead list").stdout)
    assert header.split()[:5] == ["id", "job", "queue", "died", "failed"]
    assert first.split()[:3] == ["mine", "convert", "low"]
    assert first.endswith('{"n": 1}')
    assert "ValueError: disk [full]" in second
    assert "gave_up" in third


def test_a_job_that_was_dropped_has_failed_no_attempt_and_its_death_has_a_time(
    server: Server, tmp_path: Path
) -> None:
    queue = '[[queues]]\nname="low"\nmax_length = 1\nwhen_full = "drop_oldest"\n'
    cli = Cli(write_config(tmp_path, server, queue + '[[queues]]\nname = "high"\n'))
    for id in ("old", "new"):
        assert cli("enqueue", "convert", "--queue", "low", "--id", id).exit_code == 0
    (dropped,) = cli.json("dead list")
    (line,) = dropped["attempts"]
    assert (dropped["id"], dropped["reason"], line["attempt"]) == ("old", "dropped", 0)
    assert line["at_ms"] == dropped["died_ms"]
    assert re.match("old +convert +low .* 0  dropped ", lines(cli("dead list").stdout)[1])
    shown = cli("job", "old").stdout
    assert re.search(r"\ndied \d{4}-\d\d-\d\d .*\n  dropped: the queue was full", shown)
    assert "at some time" not in shown


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], [0, 1, 2]),
        (["--name", "convert"], [0, 1]),
        (["--error", "disk"], [1, 2]),
        (["--error", "gave_up"], [2]),
        (["--name", "convert", "--error", "disk"], [1]),
        (["--older-than", "1h"], []),
        (["-n", "2"], [0, 1]),
        (["--name", "nobody"], []),
    ],
)
def test_filters_choose(trioq: Cli, three: list[str], filters: list[str], found: list[int]) -> None:
    assert [job["uid"] for job in trioq.json("dead list", *filters)] == [three[i] for i in found]
    if "-n" not in filters:
        exported = trioq("dead export", *filters)
        assert [json.loads(line)["uid"] for line in lines(exported.stdout)] == [
            three[i] for i in found
        ]


def test_older_than_is_by_the_servers_clock(trioq: Cli, scene: Scene, server: Server) -> None:
    scene.many_dead(3)
    now_ms = int(server.call("TIME")[0]) * 1000
    server.call("ZADD", "{t}:dead", now_ms - 50_000, f"{1:032x}", now_ms, f"{2:032x}")
    assert len(trioq.json("dead list", "--older-than", "1m")) == 1
    assert len(trioq.json("dead list", "--older-than", "40s")) == 2


def test_a_long_list_is_cut_for_people_and_whole_for_programs(trioq: Cli, scene: Scene) -> None:
    scene.many_dead(321)
    shown = lines(trioq("dead list").stdout)
    assert len(shown) == 1 + 50 + 2
    assert shown[-1] == "the first 50 of 321; -n N shows more"
    assert len(lines(trioq("dead list", "-n", "321").stdout)) == 1 + 321
    assert len(trioq.json("dead list")) == 321


def test_nobody_is_dead(trioq: Cli) -> None:
    assert trioq("dead list").stdout == "no such job is dead\n"
    assert trioq.json("dead list") == []
    result = trioq("dead export")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "trioq: 0 written\n")


def test_who_is_not_dead_is_not_shown(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job())
    assert only_error(trioq("dead show", uid), 1) == f"'{uid}' isn't dead: it is ready"
    assert only_error(trioq("dead show", "nobody"), 1) == "no job 'nobody'"


# -- revive ------------------------------------------------------------------------------------


def test_revived_jobs_run_in_their_queues_with_a_full_set_of_attempts_b25(
    trioq: Cli, scene: Scene, three: list[str]
) -> None:
    """The predecessor put them into ``high`` with one attempt."""
    told = trioq.json("dead revive", "--all", "--yes")
    assert told == {
        "selected": 3, "revived": 3, "dry_run": False, "not_dead": [], "unreadable": 0,
        "refused": [],
    }  # fmt: skip
    assert {n: q.ready for n, q in stats(scene.store).queues.items()} == {"low": 2, "high": 1}
    claims = scene.driver.step(10)
    assert {claim.attempts for claim in claims} == {0}
    died = DeadLetter(claims[0].uid, scene.driver.n, 1, "failures", b'{"message":"again"}')
    scene.driver.step(0, died)
    (job,) = trioq.json("dead list")
    assert [a["error"]["message"] for a in job["attempts"]] == ["disk [full]", "again"]


def test_ids_are_revived_without_a_question_and_the_others_are_told(
    trioq: Cli, scene: Scene, three: list[str]
) -> None:
    (ready,) = scene.enqueue(new_job("elsewhere"))
    result = trioq("dead revive", "mine", three[2], "nobody", ready)
    assert (result.exit_code, result.stdout) == (1, "revived 2\n")
    assert lines(result.stderr) == ["trioq: nobody isn't dead", f"trioq: {ready} isn't dead"]
    assert [job["uid"] for job in trioq.json("dead list")] == [three[1]]


def test_one_whose_id_another_job_has_that_waits_stays_dead_and_that_is_told(
    trioq: Cli, scene: Scene
) -> None:
    (dead,) = scene.enqueue(new_job(id="x"))
    claim = scene.driver.claim()
    died = DeadLetter(claim.uid, scene.driver.n, 1, "failures", b'{"message":"no"}')
    scene.driver.step(0, died)
    taking = Taking(dead, "dead")
    scene.store.enqueue(*scene.sender.next(), [new_job(id="x")], taking=taking)
    result = trioq("dead revive", dead)
    assert (result.exit_code, result.stdout) == (1, "revived 0\n")
    assert lines(result.stderr) == [
        f"trioq: {dead} stays dead: another job has its id, and waits or runs"
    ]
    assert [job["uid"] for job in trioq.json("dead list")] == [dead]


def test_a_record_that_cannot_be_read_stays_dead(
    trioq: Cli, scene: Scene, three: list[str], server: Server
) -> None:
    server.call("HSET", "{t}:jobs", three[1], b"nonsense")
    result = trioq("dead revive", "--all", "--yes")
    assert (result.exit_code, result.stdout) == (0, "revived 2\n")
    assert result.stderr == "trioq: 1 can't be read, so nobody knows their queue: they stay\n"
    (left,) = trioq.json("dead list")
    assert (left["uid"], left["payload"]) == (three[1], "nonsense")
    assert trioq("dead purge", "--all", "--yes").stdout == "purged 1\n"


def test_a_queue_that_is_not_configured_any_more_is_told(trioq: Cli, scene: Scene) -> None:
    scene.driver.queues = ("old",)
    scene.dead(new_job("old"))
    result = trioq("dead revive", "--all", "--yes")
    assert result.exit_code == 0
    assert "warning: the queue 'old' isn't configured" in result.stderr
    assert stats(scene.store).queues["old"].ready == 1


def test_two_who_revive_at_once_revive_each_job_once_and_skip_none_b26(
    server: Server, scene: Scene, trioq: Cli
) -> None:
    """The predecessor removed and pushed apart, and paged by offset while removing."""
    scene.many_dead(3000)
    commands = [
        trioq_started("dead", "revive", trioq.config, "--all", "--yes", "--json", stdout=-1)
        for _ in range(2)
    ]
    told = [json.loads(command.communicate(timeout=60)[0])["revived"] for command in commands]
    assert sum(told) == 3000
    now = stats(scene.store, ["low"])
    assert (now.dead, now.queues["low"].ready) == (0, 3000)
    uids = server.call("LRANGE", "{t}:ready:low", 0, -1)
    assert len(set(uids)) == 3000


# -- purge -------------------------------------------------------------------------------------


def test_purged_jobs_are_gone_with_all_that_was_kept_of_them(
    trioq: Cli, server: Server, three: list[str]
) -> None:
    assert trioq.json("dead purge", "--all", "--yes") == {
        "selected": 3, "purged": 3, "dry_run": False, "not_dead": [],
    }  # fmt: skip
    for key in ("dead", "jobs", "history", "reasons", "attempts", "id_of"):
        assert server.call("EXISTS", f"{{t}}:{key}") == 0
    assert only_error(trioq("dead show", "mine"), 1) == "'mine' was dead and has been purged"
    assert "state      dead, and gone: nothing but its id is" in trioq("job", "mine").stdout
    # The caller's id is remembered: a late second enqueue isn't a new job.
    assert trioq.json("enqueue", "convert", "--id", "mine")["existing"] == "dead"


@pytest.mark.parametrize("command", ["dead revive", "dead purge"])
def test_a_dry_run_tells_how_many_and_changes_nothing(
    trioq: Cli, scene: Scene, three: list[str], command: str
) -> None:
    before = scene.store.lane.call("DEBUG", "DIGEST")
    done = "revived" if command.endswith("revive") else "purged"
    assert trioq(command, "--error", "disk", "--dry-run").stdout == f"would have {done} 2\n"
    told = trioq.json(command, "--all", "--dry-run")
    assert (told["selected"], told[done], told["dry_run"]) == (3, 0, True)
    assert scene.store.lane.call("DEBUG", "DIGEST") == before


@pytest.mark.parametrize("command", ["dead revive", "dead purge"])
def test_nothing_happens_unless_it_is_said_to_which(
    trioq: Cli, store: RedisStore, three: list[str], command: str
) -> None:
    for arguments, said in (
        ([], "Say which: IDs, --all, or a filter such as --name."),
        (["mine", "--all"], "IDs can't be combined with --all or with filters."),
        (["mine", "--name", "x"], "IDs can't be combined with --all or with filters."),
        (["--all", "--rate", "0", "--yes"], "0.0 is not in the range 0<x<=10000000"),
    ):
        result = trioq(command, *arguments)
        assert result.exit_code == 2
        assert said in result.stderr
        assert dead_count(store) == 3


@pytest.mark.parametrize(
    ("command", "more"), [("dead purge", "--all"), ("dead revive", "--all"), ("dead purge", "mine")]
)
def test_without_a_terminal_nothing_is_done_that_was_not_said_with_yes(
    trioq: Cli, store: RedisStore, three: list[str], command: str, more: str
) -> None:
    said = only_error(trioq(command, more, input="y\n"), 2)
    assert said == "nobody can be asked, because stdin is no terminal: --yes goes ahead"
    assert dead_count(store) == 3


def test_on_a_terminal_the_question_is_asked_and_no_is_the_default(
    trioq: Cli, store: RedisStore, three: list[str]
) -> None:
    for keys in ("\r", "\x03"):
        with on_terminal("dead", "purge", trioq.config, "--all") as terminal:
            terminal.see(r"Forget 3 dead jobs of t \(unix://.*\) for good\? \[y/N\]")
            terminal.press(keys)
            assert terminal.end() == 1
            assert "nothing was changed" in terminal.shown
            assert "Traceback" not in terminal.shown
        assert dead_count(store) == 3
    with on_terminal("dead", "purge", trioq.config, "--name", "noop") as terminal:
        terminal.see("Forget 1 dead job of t")
        terminal.press("y\r")
        assert terminal.end() == 0
        assert "purged 1" in terminal.shown
    assert dead_count(store) == 2


# -- many --------------------------------------------------------------------------------------


def test_no_write_is_for_more_than_a_few_hundred_jobs(own_server: Server, tmp_path: Path) -> None:
    """What one request does is bounded, so that the server serves others in between."""
    store = own_server.store()
    scene = Scene.on(store)
    cli = Cli(write_config(tmp_path, own_server))
    for command in ("dead revive", "dead purge"):
        scene.many_dead(2000)
        asked = _largest_request(own_server, lambda command=command: cli(command, "--all", "--yes"))
        assert asked <= 600
        assert dead_count(store) == 0
        own_server.call("FLUSHALL")
    store.lane.close()


def _largest_request(server: Server, act: Any) -> int:
    """The most arguments that any command had."""
    server.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    server.call("CONFIG", "SET", "slowlog-max-len", "100000")
    server.call("SLOWLOG", "RESET")
    act()
    entries = server.call("SLOWLOG", "GET", "-1")
    assert len(entries) > 10

    def count(arguments: list[bytes]) -> int:
        # The log keeps 32 arguments and says how many more there were.
        more = re.search(rb"\((\d+) more arguments\)", arguments[-1])
        return len(arguments) + (int(more[1]) - 1 if more else 0)

    return max(count(entry[3]) for entry in entries)


@pytest.mark.parametrize(("command", "done"), [("revive", "revived"), ("purge", "purged")])
def test_ctrl_c_ends_between_two_pages_tells_how_far_it_came_and_the_rest_can_follow(
    server: Server, scene: Scene, trioq: Cli, command: str, done: str
) -> None:
    scene.many_dead(2000)
    process = trioq_started(
        "dead", command, trioq.config, "--all", "--yes", "--rate", "2000",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until(lambda: dead_count(scene.store) < 2000)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    left = dead_count(scene.store)
    assert (process.returncode, out) == (130, "")
    assert 0 < left < 2000
    assert err == (
        f"trioq: interrupted: {2000 - left:,} of 2,000 {done}; the same command goes on from"
        " there\n"
    )
    assert trioq(f"dead {command}", "--all", "--yes").stdout == f"{done} {left:,}\n"
    assert dead_count(scene.store) == 0


def test_a_rate_is_kept_to(trioq: Cli, scene: Scene) -> None:
    scene.many_dead(60)
    began = time.monotonic()
    assert trioq("dead revive", "--all", "--yes", "--rate", "100").stdout == "revived 60\n"
    assert time.monotonic() - began >= 0.59


def test_a_terminal_shows_progress(trioq: Cli, scene: Scene) -> None:
    scene.many_dead(1000)
    with on_terminal("dead", "purge", trioq.config, "--all", "--yes", "--rate", 1000) as terminal:
        terminal.see(r"purged .*[\d,]+ of 1,000 jobs")
        assert terminal.end() == 0
        assert "purged 1,000" in terminal.shown


def test_a_server_that_goes_away_meanwhile_is_told_with_how_far_it_came(
    own_server: Server, tmp_path: Path
) -> None:
    store = own_server.store()
    Scene.on(store).many_dead(2000)
    config = write_config(tmp_path, own_server)
    config.write_text(config.read_text().replace("[redis]", '[redis]\nread_timeout = "200ms"'))
    process = trioq_started(
        "dead", "purge", config, "--all", "--yes", "--rate", "2000",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until(lambda: dead_count(store) < 2000)
    own_server.kill()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    how_far, why = lines(err)
    assert how_far.endswith(" of 2,000 purged before this:")
    assert why.startswith(f"trioq: {own_server.url}: ")
    store.lane.close()


# -- export ------------------------------------------------------------------------------------


def test_an_export_has_each_job_whole_and_leaves_it_dead(
    trioq: Cli, store: RedisStore, three: list[str], tmp_path: Path
) -> None:
    result = trioq("dead export", "-o", tmp_path / "dead.jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"trioq: 3 written to {tmp_path}/dead.jsonl\n"
    exported = [json.loads(line) for line in lines((tmp_path / "dead.jsonl").read_text())]
    assert exported == trioq.json("dead list")
    assert dead_count(store) == 3


def test_an_export_that_cannot_be_written_is_one_line(
    trioq: Cli, three: list[str], tmp_path: Path
) -> None:
    said = only_error(trioq("dead export", "-o", tmp_path), 1)
    assert said == f"{tmp_path}: Is a directory: 0 were written"
    assert only_error(trioq("dead export", "-o", "/dev/full"), 1).startswith(
        "/dev/full: No space left on device"
    )


def test_dead_jobs_that_are_revived_while_they_are_listed_hide_no_other(
    trioq: Cli, scene: Scene, server: Server
) -> None:
    scene.many_dead(2000)
    store, stop = server.store(), threading.Event()

    def revive() -> None:
        for n in range(0, 2000, 7):
            if stop.is_set():
                break
            store.revive(f"s{n}", 1, [(f"{n:032x}", "low")])

    thread = threading.Thread(target=revive)
    thread.start()
    listed = {json.loads(line)["uid"] for line in lines(trioq("dead export").stdout)}
    stop.set()
    thread.join()
    store.lane.close()
    assert listed >= {f"{n:032x}" for n in range(2000) if n % 7}
    assert run("dead", "list", trioq.config).exit_code == 0


# -- edit --------------------------------------------------------------------------------------


def test_a_dead_job_is_revived_with_another_payload(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.dead(new_job("low", "convert", id="mine", payload=b'{"path":"a"}'))
    ended = trioq("dead edit", "mine", '{"path": "b", "big": "%s"}' % ("x" * 10_000))
    assert (ended.exit_code, ended.stdout) == (0, "revived mine with another payload\n")
    told = trioq.json("job", uid)
    assert (told["state"], told["id"], told["name"]) == ("ready", "mine", "convert")
    assert told["payload"]["path"] == "b"
    assert len(told["attempts"]) == 1
    (claim,) = scene.driver.step(1)
    assert (claim.uid, claim.attempts) == (uid, 0)


def test_what_is_not_dead_or_no_payload_changes_nothing(trioq: Cli, scene: Scene) -> None:
    (dead,) = scene.dead(new_job("low", payload=b'{"path":"a"}'))
    (ready,) = scene.enqueue(new_job("low", payload=b'{"path":"a"}'))
    before = dump(scene.store)
    for id, payload, code, says in [
        (ready, "{}", 1, "isn't edited: it is ready"),
        ("nobody", "{}", 1, "isn't edited: there is no such job"),
        (dead, "[]", 2, "a payload is a JSON object, not list"),
        (dead, "{", 2, "PAYLOAD_JSON: not JSON"),
        (dead, '{"x": NaN}', 2, "JSON has no NaN"),
    ]:
        ended = trioq("dead edit", id, payload)
        assert (ended.exit_code, ended.stdout) == (code, "")
        assert says in ended.stderr
    assert dump(scene.store) == before
