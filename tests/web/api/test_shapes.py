"""Each answer is what the command line prints with ``--json``, and what the document says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema_rs import validator_for

from tests.cli.conftest import Cli
from tests.scene import Scene
from tests.support import new_job
from tests.web.api.conftest import Api
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Park
from trioq.web.api.openapi import document
from trioq.web.api.questions import QUESTIONS
from trioq.web.desk import Desk

#: A question, and the command that tells the same.
SAME: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("/stats", {}, ("stats",)),
    ("/queues/low/next", {}, ("peek", "low")),
    ("/engines", {}, ("engines",)),
    ("/pauses", {}, ("pause",)),
    ("/jobs", {"state": ["dead", "ready"]}, ("jobs", "--state", "dead", "--state", "ready")),
    ("/jobs/dead-1", {}, ("job", "dead-1")),
    ("/jobs/a b/explain", {}, ("explain", "a b")),
    ("/limits", {}, ("limits",)),
    ("/breakers", {}, ("breakers",)),
    ("/schedules", {}, ("schedules",)),
    ("/schedules/nightly", {}, ("schedules show", "nightly")),
    ("/schedules/nightly/next", {}, ("schedules next", "nightly")),
]


@pytest.fixture
def busy(scene: Scene, desk: Desk) -> Scene:
    """Something of everything."""
    scene.dead(new_job(id="dead-1", payload=b'{"path": "a.png"}'))
    scene.enqueue(new_job("low", id="a b"), new_job("high"), new_job("low", delay_ms=60_000))
    (claim,) = scene.driver.step(1)
    scene.driver.step(0, Park(claim.uid, scene.driver.n, "high", "noop"))
    scene.store.set_limits({"each": LimitSettings(12_000_000, 2, 7, True)}, 1)
    desk.client.schedules.put("nightly", "noop", queue="low", every=3600)
    return scene


@pytest.mark.parametrize("same", SAME, ids=lambda each: each[0])
def test_an_answer_is_what_the_command_prints(
    api: Api, trioq: Cli, busy: Scene, same: tuple[str, dict[str, Any], tuple[str, ...]]
) -> None:
    path, query, command = same
    api.do("queues.pause", queue="low", note="why")
    assert api.get(path, **query) == trioq.json(*command)
    assert api.get("/queues") == trioq.json("stats")["queues"]


def test_each_question_answers_what_the_document_says(api: Api, busy: Scene) -> None:
    spec = document()
    fields = {
        "queue": "low", "job": "dead-1", "schedule": "nightly", "engine": busy.driver.engine,
    }  # fmt: skip
    for question in QUESTIONS:
        if question.path == "/doctor":
            continue  # he would watch the engine; below there is none
        told = api.get(question.path.format(**fields))
        schema = spec["paths"][question.path]["get"]["responses"]["200"]["content"]
        wanted = schema["application/json"]["schema"] | {"components": spec["components"]}
        faults = [error.message for error in validator_for(wanted).iter_errors(told)]
        assert not faults, (question.path, faults)


def test_all_the_dead_come_a_part_at_a_time(api: Api, scene: Scene) -> None:
    scene.dead(*[new_job(id=f"d{n}") for n in range(7)], message="disk full")
    found, after = list[str](), ""
    while True:
        told = api.get("/dead", limit=3, after=after, error="disk")
        assert len(told["jobs"]) <= 3
        found += [job["id"] for job in told["jobs"]]
        if (after := told["next"]) is None:
            break
    assert sorted(found) == [f"d{n}" for n in range(7)]
    assert len(found) == len({*found})


def test_a_result_is_told_and_so_is_that_there_is_none(api: Api, trioq: Cli, scene: Scene) -> None:
    scene.dead(new_job(id="dead-1"))
    told = trioq("result", "dead-1", "--json")
    assert told.exit_code == 1
    assert api.get("/jobs/dead-1/result") == json.loads(told.stdout)
    assert api.get("/jobs/dead-1/result")["error"]["kind"] == "JobDied"
    scene.enqueue(new_job(id="lives"))
    assert api.get("/jobs/lives/result", wait_s=0)["state"] == "live"


def test_jobs_are_searched_as_on_the_page(api: Api, scene: Scene) -> None:
    scene.dead(new_job(id="d1", name="mail"), message="disk full")
    scene.enqueue(new_job("low", id="m1", name="mail"), new_job("low", id="n1"))

    def found(q: str, **more: Any) -> list[str]:
        return [job["id"] for job in api.get("/jobs", q=q, **more)["jobs"]]

    assert found("name:mail") == ["m1"]
    assert found("-name:mail") == ["n1"]
    assert found("error:disk", state="dead") == ["d1"]
    assert found("id:d1") == ["d1"]
    assert found("nobody") == []
    assert len(found("queue:low", limit=1)) == 1
    status, detail = api.refused("GET", "/jobs?q=nam:mail")
    assert (status, "nam" in detail) == (422, True)
    assert api.refused("GET", "/jobs?q=a&queue=low")[0] == 422


def test_what_is_served_here_is_told_with_what_one_may(api: Api) -> None:
    told = api.get("/")
    assert (told["namespace"], told["user"], told["role"]) == ("t", "ana", "admin")
    assert "queues.purge" in told["operations"]
    assert {row["name"] for row in api.get("/operations") if row["allowed"]} == {
        *told["operations"]
    }


def test_the_doctor_is_asked(api: Api) -> None:
    told = api.get("/doctor")
    assert told["verdict"] in ("ok", "warning", "fault")
    assert {"server", "queues"} <= {each["check"] for each in told["findings"]}
