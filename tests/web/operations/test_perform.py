"""Each operation: who may, what it is told, what it refuses, and what is in the log of it."""

from __future__ import annotations

import pytest
import structlog
import trio
from structlog.typing import EventDict

from tests.scene import Scene
from tests.support import new_job
from tests.web.conftest import Acts
from trioq.web.desk import Desk
from trioq.web.operations import OPERATIONS, fields_of
from trioq.web.problems import Problem
from trioq.web.who.roles import Role, User

NAMES = sorted(OPERATIONS)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", NAMES)
def test_a_role_may_do_what_the_table_says_and_nothing_more(
    desk: Desk, name: str, role: Role
) -> None:
    """Whoever may is told what is wrong with the fields; whoever mayn't isn't even that."""
    problem = Acts(desk, User("bob", role)).refused(name, nonsense=1)
    assert problem.status == (422 if role >= OPERATIONS[name].role else 403)


def test_what_loses_jobs_or_changes_rules_is_for_admins_and_asks_first() -> None:
    grave = {name for name, row in OPERATIONS.items() if row.is_grave}
    assert grave == {name for name, row in OPERATIONS.items() if row.role is Role.admin}
    assert {"queues.purge", "dead.purge", "limits.set"} <= grave
    assert Role.read not in {row.role for row in OPERATIONS.values()}


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_does_and_what_each_of_its_fields_is(name: str) -> None:
    row = OPERATIONS[name]
    assert row.does.endswith(".")
    assert (row.takes.__doc__ or "").strip()
    assert all(field.says.endswith((".", ":")) for field in fields_of(row.takes).values())


def test_all_faults_are_told_at_once(act: Acts) -> None:
    problem = act.refused("queues.pause", quue="low", note=7, lasts_s=[1])
    assert problem.status == 422
    assert [dict(fault) for fault in problem.faults] == [
        {"where": "quue", "what": 'there is no such field; did you mean "queue"?'},
        {"where": "queue", "what": "missing"},
        {"where": "note", "what": "expected a text, got an int"},
        {"where": "lasts_s", "what": "expected a number or null, got a list of 1"},
    ]


@pytest.mark.parametrize(
    ("operation", "fields", "status", "says"),
    [
        ("queues.explode", {}, 404, "there is no operation 'queues.explode'"),
        ("queues.pause", {"queue": "lw"}, 404, "there is no queue 'lw'; did you mean \"low\"?"),
        ("queues.pause", {"queue": "low", "lasts_s": 0}, 422, "lasts is 0"),
        ("queues.pause", {"queue": "low", "note": "x" * 1001}, 422, "note has"),
        ("queues.purge", {"queue": "low", "page": 0}, 422, "page is 0"),
        ("names.pause", {"job": ""}, 422, "expected the name of jobs"),
        ("limits.pause", {"limit": "each", "key": 1}, 422, "the limit 'each' isn't known"),
        ("limits.set", {"limit": "each"}, 422, "say what to change"),
        ("limits.set", {"limit": "each", "rate": "fast", "burst": 0}, 422, "burst: "),
        ("limits.set", {"limit": "@id", "burst": 2}, 422, "trioq's own"),
        ("limits.set", {"limit": "each", "burst": 2}, 404, "there is no limit 'each'"),
        ("breakers.reset", {"name": "x"}, 404, "no breaker 'x': nothing has one"),
        ("jobs.enqueue", {"name": ""}, 422, "name"),
        ("jobs.enqueue", {"name": "noop", "queue": "lw"}, 422, "no queue 'lw'"),
        ("jobs.enqueue", {"name": "noop", "at": "tomorrow"}, 422, "at: expected an ISO 8601"),
        ("jobs.cancel", {"job": "nobody"}, 404, "there is no job 'nobody'"),
        ("jobs.cancel_many", {}, 422, "say which"),
        ("jobs.cancel_many", {"jobs": ["a"], "name": "b"}, 422, "can't be combined"),
        ("jobs.cancel_many", {"name": "a", "after": "?"}, 422, "where no page ends"),
        ("dead.revive", {}, 422, "say which"),
        ("dead.revive", {"job": "a", "all": True}, 422, "can't be combined"),
        ("dead.revive", {"job": "nobody"}, 404, "there is no job 'nobody'"),
        ("dead.revive", {"all": True, "after": "a:b"}, 422, "where no page ends"),
        ("schedules.run", {"schedule": "x"}, 404, "there is no schedule 'x': there are none"),
    ],
)
def test_what_cant_be_is_told_with_what_would_be_right(
    act: Acts, operation: str, fields: dict[str, object], status: int, says: str
) -> None:
    problem = act.refused(operation, **fields)
    assert (problem.status, says in problem.detail) == (status, True), problem.detail


def test_what_is_over_cant_be_cancelled_and_what_lives_isnt_dead(act: Acts, scene: Scene) -> None:
    scene.dead(new_job(id="gone"))
    scene.enqueue(new_job(id="lives"))
    assert act.refused("jobs.cancel", job="gone").status == 409
    problem = act.refused("dead.revive", job="lives")
    assert (problem.status, problem.detail) == (409, "'lives' isn't dead: it is ready")
    assert act.refused("dead.purge", job="lives").status == 409
    taken = {"name": "noop", "queue": "low", "id": "lives", "on_conflict": "raise"}
    assert act.refused("jobs.enqueue", **taken).status == 409


def test_each_leaves_a_line_in_the_log_with_who_and_what_done_or_not(act: Acts) -> None:
    with structlog.testing.capture_logs() as lines:
        act("jobs.enqueue", name="noop", queue="low", payload={"password": "hunter2"})
        act.refused("queues.purge", queue="nowhere")
    reader = Acts(act.desk, User("eve", Role.read))
    with structlog.testing.capture_logs() as more:
        reader.refused("queues.purge", queue="low")
    told: list[EventDict] = [*lines, *more]
    assert [(line["user"], line["operation"], line["outcome"]) for line in told] == [
        ("ana", "jobs.enqueue", "done"),
        ("ana", "queues.purge", "404 No such queue"),
        ("eve", "queues.purge", "403 Not allowed"),
    ]
    assert told[0]["on"] == {"queue": "low", "name": "noop"}
    assert "hunter2" not in str(told)


def test_a_form_says_texts_and_an_empty_one_says_nothing(act: Acts) -> None:
    told = act.form("queues.pause", queue="low", note="", lasts_s="5m")
    assert told["done"] == "low is paused"
    (pause,) = trio.run(act.desk.ask, lambda admin: admin.pauses().as_json())
    assert pause["until_ms"] - pause["since_ms"] == 300_000
    assert pause["by"] == "ana"
    made = act.form("jobs.enqueue", name="noop", queue="low", payload='{"a": 1}', id="", weight="")
    assert made["queued"]
    assert act.form("jobs.cancel_many", jobs=[made["uid"], ""])["count"] == 1
    assert act.form("dead.revive", all="on")["count"] == 0


def test_a_form_that_says_rubbish_is_told_so(act: Acts) -> None:
    with pytest.raises(Problem) as caught:
        act.form("jobs.enqueue", name=["a", "b"], payload="{", weight="heavy", delay_s="soon")
    assert [fault["where"] for fault in caught.value.faults] == [
        "name", "payload", "delay_s", "weight",
    ]  # fmt: skip
