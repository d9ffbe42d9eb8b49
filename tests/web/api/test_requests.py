"""What a request may say, and how it is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.cli.conftest import write_config
from tests.scene import Scene
from tests.support import Server, new_job
from tests.web.api.conftest import Api, served
from trioq.core.config import Config
from trioq.core.settlements import Ack
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.web.desk import WINDOWS, Desk
from trioq.web.operations import OPERATIONS
from trioq.web.who.roles import Role

JSON = {"content-type": "application/json"}
DEEP = b'{"queue":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/nowhere", 404, "there is nothing at this path"),
        ("GET", "/queues/lw", 404, "there is no queue 'lw'; did you mean \"low\"?"),
        ("GET", "/jobs/nobody", 404, "there is no job 'nobody': there never was such a job"),
        ("GET", "/jobs/a/b/explain", 404, "there is no job 'a/b'"),
        ("GET", "/engines/nobody", 404, "there is no engine 'nobody': none lives"),
        ("GET", "/schedules/x/next", 404, "there is no schedule 'x': there are none"),
        ("GET", "/operations/queues.pase", 404, 'did you mean "queues.pause"?'),
        ("GET", "/jobs?stat=dead", 422, 'stat: there is no such field; did you mean "state"?'),
        ("GET", "/jobs?state=deaf", 422, "state[0]: expected one of 'running'"),
        ("GET", "/jobs?limit=0", 422, "limit is 0: expected a number from 1 to 1000"),
        ("GET", "/jobs?limit=1&limit=2", 422, "limit: said 2 times"),
        ("GET", "/jobs?limit=many", 422, "limit: expected a whole number"),
        ("GET", "/jobs/x?job=y", 422, "job: the path says it"),
        ("GET", "/stats?x=1", 422, "x: there is no such field; known here: nothing"),
        ("GET", "/dead?after=x", 422, "'x' is where no page ends"),
        ("GET", "/openapi.json?x=1", 422, "x"),
        ("POST", "/stats", 405, "POST isn't for this path"),
        ("DELETE", "/jobs/x", 405, "DELETE isn't for this path"),
        ("GET", "/operations/queues.pause", 405, "GET isn't for this path"),
    ],
)
def test_what_isnt_there_or_isnt_understood_is_told(
    api: Api, method: str, path: str, status: int, says: str
) -> None:
    told, detail = api.refused(method, path)
    assert (told, says in detail) == (status, True), detail


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"content": b"{}"}, 415, "application/json"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "text/plain"),
        (
            {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-16"}},
            415,
            "utf-16",
        ),
        ({"content": b"{}", "headers": JSON | {"content-encoding": "gzip"}}, 415, "as it is"),
        ({"content": b"", "headers": JSON}, 400, "Expecting value"),
        ({"content": b"{", "headers": JSON}, 400, "character 2"),
        ({"content": b"[]", "headers": JSON}, 422, "a JSON object"),
        ({"content": b"\xff", "headers": JSON}, 400, "not UTF-8 at byte 1"),
        ({"content": b'{"queue": NaN}', "headers": JSON}, 400, "JSON has no NaN"),
        ({"content": b'{"lasts_s": 1e999}', "headers": JSON}, 400, "no number"),
        ({"content": b'{"queue": "low", "queue": "high"}', "headers": JSON}, 400, "there twice"),
        ({"content": DEEP, "headers": JSON}, 400, "nested deeper"),
        ({"content": b" " * 3_000_000, "headers": JSON}, 413, "at most"),
        ({"json": {"queue": None}}, 422, "queue: expected a text, got null"),
        ({"json": {"queue": "low"}, "params": {"queue": "low"}}, 422, "fields stand in the body"),
    ],
)
def test_a_body_is_read_strictly(api: Api, more: dict[str, Any], status: int, says: str) -> None:
    told, detail = api.refused("POST", "/operations/queues.pause", **more)
    assert (told, says in detail) == (status, True), detail


def test_a_head_is_a_get_without_its_body_and_another_method_is_told_which(api: Api) -> None:
    whole, head = api.request("GET", "/queues"), api.request("HEAD", "/queues")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert whole.headers["cache-control"] == "no-store"
    assert api.request("PUT", "/queues").headers["allow"] == "GET, HEAD"
    assert api.request("PUT", "/operations/queues.pause").headers["allow"] == "POST"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_role_may_do_what_the_table_says_whatever_the_body_is(
    desk: Desk, name: str, role: Role
) -> None:
    api = Api(served(desk, role))
    told, _ = api.refused("POST", f"/operations/{name}", content=b"\xff")
    assert told == (415 if role >= OPERATIONS[name].role else 403)


def test_what_a_job_says_cant_break_out_of_json(api: Api, scene: Scene) -> None:
    scene.dead(new_job(id="x", name="</script>", payload=b'{"a": "\\ud800</script>"}'))
    told = api.get("/jobs/x")
    assert told["payload"] == {"a": "\ud800</script>"}
    assert api.request("GET", "/jobs/x").content.isascii()
    assert api.refused("GET", "/jobs/%00%ff")[0] == 404
    odd = b'{"job": "</script>\\ud800\\u0000"}'
    assert api.refused("POST", "/operations/jobs.cancel", content=odd, headers=JSON)[0] == 404


def test_a_job_whose_id_has_slashes_is_found(api: Api, scene: Scene) -> None:
    scene.enqueue(new_job(id="orders/7/eu"))
    assert api.get("/jobs/orders/7/eu")["id"] == "orders/7/eu"
    assert api.get("/jobs/orders%2F7%2Feu/explain")["id"] == "orders/7/eu"


def test_fields_that_are_named_are_masked_in_payloads(desk: Desk, scene: Scene) -> None:
    desk.config = attrs.evolve(
        desk.config, web=attrs.evolve(desk.config.web, sensitive=("password",))
    )
    api = Api(served(desk))
    secret = b'{"user": {"Password": "hunter2"}, "n": [{"password": [1, 2]}]}'
    scene.dead(new_job(id="x", payload=secret))
    scene.enqueue(new_job("low", id="y", payload=secret))
    masked = {"user": {"Password": "•••"}, "n": [{"password": "•••"}]}
    assert api.get("/jobs/x")["payload"] == masked
    for path in ("/jobs", "/jobs?state=dead", "/dead", "/queues/low/next", "/jobs/y", "/stats"):
        response = api.request("GET", path)
        assert response.status_code == 200
        assert "hunter2" not in response.text


def test_a_payload_as_large_as_one_may_be_comes_through(api: Api, desk: Desk) -> None:
    config: Config = desk.config
    text = "x" * (config.max_payload_bytes - 20)
    told = api.do("jobs.enqueue", name="noop", queue="low", payload={"text": text})
    assert api.get(f"/jobs/{told['uid']}")["payload"] == {"text": text}
    status, detail = api.refused(
        "POST", "/operations/jobs.enqueue",
        json={"name": "noop", "queue": "low", "payload": {"text": text * 2}},
    )  # fmt: skip
    assert (status, "bytes" in detail) == (422, True), detail


def test_who_waits_for_a_result_holds_nobody_up(desk: Desk, scene: Scene) -> None:
    """More wait than there are windows; who else asks is answered, and so are they in the end."""
    scene.enqueue(new_job("low", id="runs"))
    (claim,) = scene.driver.step(1)
    api, told = Api(served(desk)), list[str]()

    async def wait() -> None:
        response = await api.ask("GET", "/api/v1/jobs/runs/result?wait_s=10")
        told.append(response.json()["state"])

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3 * WINDOWS):
                nursery.start_soon(wait)
            assert (await api.ask("GET", "/api/v1/queues")).status_code == 200
            assert not told
            scene.driver.step(0, Ack(claim.uid, scene.driver.n, b""))

    trio.run(main)
    assert told == ["done"] * 3 * WINDOWS


def test_where_redis_is_away_that_is_told(own_server: Server, tmp_path: Path) -> None:
    config = load(write_config(tmp_path, own_server))
    with open_store(config) as connector:
        api = Api(served(Desk(config, connector)))
        assert api.get("/queues")
        own_server.kill()
        status, detail = api.refused("GET", "/queues")
        assert status == 503
        assert detail


def test_it_runs_under_asyncio_too(api: Api) -> None:
    response = asyncio.run(api.ask("GET", "/api/v1/queues"))
    assert response.status_code == 200
