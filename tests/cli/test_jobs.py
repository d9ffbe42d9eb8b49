"""``trioq peek`` and ``job``."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Cli, lines, only_error
from tests.scene import Scene
from tests.store.drive import line
from tests.support import Server, new_job
from trioq.client.cancel import whoami
from trioq.core.formats import history
from trioq.core.formats.history import Attempt
from trioq.core.limits import LimitSettings
from trioq.core.outcome import Error
from trioq.core.settlements import Ack, Cancel, DeadLetter, Deliver, Park, RetryAt
from trioq.store.inspect import find

# -- peek --------------------------------------------------------------------------------------


def test_the_first_to_be_claimed_is_shown_first(trioq: Cli, scene: Scene) -> None:
    """The predecessor showed it last."""
    uids = scene.enqueue(*(new_job("low") for _ in range(12)))
    assert [job["uid"] for job in trioq.json("peek", "low")] == uids[:10]
    assert [job["uid"] for job in trioq.json("peek", "low", "-n", 2)] == uids[:2]
    assert len(trioq.json("peek", "low", "-n", 1000)) == 12
    assert scene.driver.claim().uid == uids[0]


def test_people_see_a_line_for_each_job(trioq: Cli, scene: Scene) -> None:
    (uid, _) = scene.enqueue(
        new_job("low", "convert", b'{"path":"a.png"}', id="mine"),
        new_job("low", payload=b'{"x":"%s"}' % (b"y" * 100)),
    )
    first, second = lines(trioq("peek", "low").stdout)[1:]
    assert first.split()[:3] == ["1", "mine", "convert"]
    assert first.endswith('{"path": "a.png"}')
    assert second.endswith("y…")
    assert find(scene.store, "mine").uid == uid  # type: ignore[union-attr]
    assert trioq("peek", "high").stdout == "nothing is ready in high\n"
    assert trioq.json("peek", "high") == []


def test_jobs_that_wait_for_limits_are_said_to_beside_what_is_next(
    trioq: Cli, scene: Scene
) -> None:
    limits = {"stripe": LimitSettings(concurrency=1), "slow": LimitSettings(3_600_000_000)}
    scene.store.set_limits(limits, 1)
    scene.enqueue(*(new_job(takes=("stripe",)) for _ in range(4)))
    scene.enqueue(*(new_job(takes=("slow",)) for _ in range(3)))
    scene.driver.step(7)
    shown = trioq("peek", "low")
    assert shown.stdout == "nothing is ready in low\n"
    said = r"trioq: 5 more wait for limits: stripe; slow, the next in (59|60) min\n"
    assert re.fullmatch(said, shown.stderr)


@pytest.mark.parametrize("command", ["peek", "pause", "resume", "purge"])
def test_a_queue_that_is_not_there_is_told_with_the_nearest(trioq: Cli, command: str) -> None:
    assert only_error(trioq(command, "hgih"), 2) == "no queue 'hgih'; did you mean \"high\"?"
    assert only_error(trioq(command, "xyz"), 2) == "no queue 'xyz'; there are high, low"


def test_a_queue_that_others_use_is_there(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("theirs"))
    assert len(trioq.json("peek", "theirs")) == 1


# -- job ---------------------------------------------------------------------------------------


def test_a_jobs_story_has_its_payload_and_every_attempt(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "convert", b'{"path":"a.png"}', id="mine"))
    for attempt in (1, 2):
        (claim,) = scene.driver.step(1)
        retry = RetryAt(claim.uid, scene.driver.n, 0, attempt, line(f"no. {attempt}", attempt))
        scene.driver.step(0, retry)
    told = trioq.json("job", "mine")
    assert (told["uid"], told["id"], told["name"], told["queue"]) == (uid, "mine", "convert", "low")
    assert told["payload"] == {"path": "a.png"}
    assert [attempt["error"]["message"] for attempt in told["attempts"]] == ["no. 1", "no. 2"]
    shown = trioq("job", uid).stdout
    assert "job        convert\n" in shown
    assert '  "path": "a.png"\n' in shown
    assert "attempt 2 failed" in shown
    assert "ValueError: no. 2" in shown


def test_the_lives_of_a_job_that_was_revived_are_told_apart(trioq: Cli, scene: Scene) -> None:
    def fails(number: int, dead: str | None = None) -> None:
        (claim,) = scene.driver.step(1)
        told = Attempt(number, Error("ValueError", f"no. {number}"), "e", 1_000, dead)
        note = history.encode(told)
        settlement = (
            RetryAt(claim.uid, scene.driver.n, 0, number, note)
            if dead is None
            else DeadLetter(claim.uid, scene.driver.n, number, "failures", note)
        )
        scene.driver.step(0, settlement)

    def story() -> list[str]:
        lines = trioq("job", uid).stdout.splitlines()
        return [each[:24] for each in lines if each.startswith(("attempt", "dead"))]

    (uid,) = scene.enqueue(new_job("low"))
    fails(1)
    fails(2, dead="failures")
    assert story() == ["attempt 1 failed 1970-01", "attempt 2 failed 1970-01"]
    assert trioq("dead revive", uid).exit_code == 0
    first = ["attempt 1 failed 1970-01", "attempt 2 failed 1970-01", "dead (failures), and rev"]
    assert story() == first
    fails(1, dead="failures")
    assert story() == [*first, "attempt 1 failed 1970-01"]
    attempts = trioq.json("job", uid)["attempts"]
    assert [(a["attempt"], a.get("dead")) for a in attempts] == [
        (1, None), (2, "failures"), (1, "failures"),
    ]  # fmt: skip


def test_a_jobs_state_is_told_wherever_it_is(trioq: Cli, scene: Scene) -> None:
    (first, second, later) = scene.enqueue(
        new_job(name="a"), new_job(name="b"), new_job(delay_ms=3_600_000)
    )
    (claim, other) = scene.driver.step(2)
    assert f"state      running on {scene.driver.engine}\n" in trioq("job", first).stdout
    summary = b'{"uid":"%s","name":"a","at_ms":1,"took_ms":8,"attempt":1,"engine":"e"}'
    scene.driver.step(
        0, Ack(claim.uid, 1, summary % first.encode()), Park(other.uid, 1, "low", "b")
    )
    assert "took       8.0 ms in attempt 1\n" in trioq("job", first).stdout
    assert "state      parked\n" in trioq("job", second).stdout
    assert "(in 59 min)\n" in trioq("job", later).stdout
    (dead,) = scene.dead(new_job(id="mine"))
    shown = trioq("job", dead).stdout
    assert "state      dead\n" in shown
    assert "reason     failures\n" in shown


def test_a_job_nobody_knows_is_a_failure(trioq: Cli) -> None:
    said = only_error(trioq("job", "nobody"), 1)
    assert said == (
        "no job 'nobody': there never was one, or it has ended: the last 1,000 that were done or"
        " cancelled are remembered, a caller's own id for 24 h after its job's end, and a result"
        " for as long as it was to be kept"
    )


def test_a_record_that_cannot_be_read_is_shown_as_it_is(
    trioq: Cli, scene: Scene, server: Server
) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    server.call("HSET", "{t}:jobs", uid, b"\xff{nonsense\x1b")
    assert "\\xff{nonsense\\x1b" in trioq("job", uid).stdout
    assert "\\xff{nonsense\\x1b" in trioq("peek", "low").stdout


# -- jobs that have ended ----------------------------------------------------------------------


def test_a_cancelled_job_says_why_by_whom_and_when(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(new_job("low", "mail", id="mine"))
    assert trioq("cancel", "mine", "--reason", "customer left\x1b").exit_code == 0
    shown = trioq("job", "mine").stdout
    assert "state      cancelled\n" in shown
    assert "reason     customer left\\x1b\n" in shown
    assert f"by         {whoami()}\n" in shown
    assert re.search(r"^ended      \d{4}-.*\((now|.* ago)\)$", shown, re.MULTILINE)
    assert "took" not in shown
    told = trioq.json("job", "mine")
    assert (told["state"], told["reason"], told["name"]) == (
        "cancelled",
        "customer left\x1b",
        "mail",
    )
    assert told["done"].keys() == {"at_ms", "reason", "by"}


def test_a_running_job_that_was_asked_to_end_says_why_by_whom_and_when(
    trioq: Cli, scene: Scene
) -> None:
    scene.enqueue(new_job("low", "mail", id="mine"))
    scene.driver.claim()
    assert "asked" not in trioq.json("job", "mine")
    trioq("cancel", "mine", "--reason", "customer\x1bleft", "--wait", "0")
    shown = trioq("job", "mine").stdout
    assert f"state      running on {scene.driver.engine}\n" in shown
    assert re.search(
        rf"^asked      to end, \d{{4}}-.*\((now|.* ago)\), by {whoami()}$", shown, re.MULTILINE
    )
    assert "reason     customer\\x1bleft\n" in shown
    told = trioq.json("job", "mine")
    assert (told["state"], told["reason"]) == ("running", None)
    assert (told["asked"]["reason"], told["asked"]["by"]) == ("customer\x1bleft", whoami())


def test_what_an_engine_stopped_says_where_and_how(trioq: Cli, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    scene.driver.claim()
    told = (
        b'{"uid":"%s","state":"cancelled","how":"ignored","at_ms":1,"engine":"e","attempt":2,'
        b'"took_ms":8}'
    )
    scene.driver.step(0, Cancel(uid, 1, told % uid.encode()))
    shown = trioq("job", uid).stdout
    assert "handler    didn't end in time, and was left to itself\n" in shown
    assert "took       8.0 ms in attempt 2\n" in shown


def test_a_job_whose_result_is_kept_is_known_for_as_long(
    trioq: Cli, scene: Scene, server: Server
) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    scene.driver.claim()
    scene.driver.step(0, Deliver(uid, 1, 60_000, "done", b"5"))
    assert "state      done, and its result is kept\n" in trioq("job", uid).stdout
    server.call("ZADD", "{t}:results_due", 1, uid)
    assert trioq("job", uid).exit_code == 1
