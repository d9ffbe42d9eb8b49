"""Ids that a handler has made of its payloads: whoever enqueues has to think of none."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import trioq
from tests.cli.conftest import Cli
from tests.support import Server
from trioq.counted import counting
from trioq.errors import PayloadRejected

CONFIG = """
namespace = "t"
app = "id_from_app:app"
[redis]
url = "{url}"
"""

APP = """
import trioq
app = trioq.App()

@app.job("report", id_from=["tenant", "day"])
async def report(tenant: str, day: int = 0, text: str = ""): ...
"""


@pytest.fixture
def config(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "id_from_app.py").write_text(APP)
    monkeypatch.delitem(sys.modules, "id_from_app", raising=False)
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url))
    return path


@pytest.fixture
def report(config: Path) -> Any:
    return importlib.import_module("id_from_app").report


ID = 'report:["acme",7]'


def test_the_same_fields_are_the_same_job(config: Path, report: Any) -> None:
    with trioq.connect_sync(config) as client:
        first = client.enqueue(report.call("acme", 7, text="a"))
        again = client.enqueue(report.call("acme", 7, text="b"), delay=1)
        other = client.enqueue(report.call("acme", 8), queue="low", max_attempts=1)
        assert (first.id, again.uid, again.existing) == (ID, first.uid, "live")
        assert (other.id, other.is_new) == ('report:["acme",8]', True)
        assert client.handle(ID).uid == first.uid
        assert client.explain(ID).state == "ready"


def test_an_id_that_is_given_is_the_jobs_own(config: Path, report: Any) -> None:
    with trioq.connect_sync(config) as client:
        assert client.enqueue(report.call("acme"), id="mine").id == "mine"


@pytest.mark.trio
async def test_each_of_many_has_the_id_that_one_would_have(config: Path, report: Any) -> None:
    days = [7, 8, 7]
    async with trioq.connect(config) as client:
        first = await client.enqueue(report.call("acme", 8))
        many = await client.enqueue_many(report.call("acme", day) for day in days)
        assert [handle.id for handle in many] == [f'report:["acme",{day}]' for day in days]
        assert [handle.existing for handle in many] == [None, "live", "live"]
        assert (many[1].uid, many[2].uid) == (first.uid, many[0].uid)
        assert (await client.handle(ID)).uid == many[0].uid
        with pytest.raises(PayloadRejected, match=r"\['day'\]|no 'day'"):
            await client.enqueue_many([report.call("b", 1), report.call("b")])
    with trioq.connect_sync(config) as sync:
        assert [handle.existing for handle in sync.enqueue_many([report.call("acme", 7)])] == [
            "live"
        ]


def test_what_is_enqueued_by_name_has_it_once_the_handler_is_known(config: Path) -> None:
    with trioq.connect_sync(config) as client:
        assert client.enqueue("report", {"tenant": "acme", "day": 7}).id == ID
        with pytest.raises(PayloadRejected, match="its payload has no 'day': give it, or an id"):
            client.enqueue("report", {"tenant": "acme"})


def test_the_command_line_makes_it_too(config: Path, tmp_path: Path) -> None:
    cli, payload = Cli(config), {"tenant": "acme", "day": 7}
    assert cli.json("enqueue", "report", json.dumps(payload))["id"] == ID
    assert cli("enqueue", "report", json.dumps(payload)).stdout.startswith(f"not queued: {ID} is")
    assert cli.json("enqueue", "report", "{}", "--id", "mine")["id"] == "mine"
    refused = cli("enqueue", "report", "{}")
    assert (refused.exit_code, "no 'tenant', 'day'" in refused.stderr) == (2, True)
    lines = tmp_path / "lines"
    lines.write_text("\n".join(json.dumps(payload | {"day": day}) for day in (6, 7, 8)))
    told = cli.json("enqueue", "report", "--from", lines)
    assert told == {"name": "report", "queue": "low", "queued": 2, "existing": 1}
    lines.write_text(json.dumps(payload | {"day": 9}) + '\n{"day": 9}')
    refused = cli("enqueue", "report", "--from", lines)
    assert refused.exit_code == 2
    assert "line 2: the id of a job of 'report'" in refused.stderr
    with trioq.connect_sync(config) as client, pytest.raises(trioq.JobUnknown):
        client.handle('report:["acme",9]')


@pytest.mark.parametrize(
    ("id_from", "error", "said"),
    [
        (["tenant", "dya"], ValueError, r"id_from names 'dya', which is no field of a payload of "
         r"test_\S+send \(did you mean day\?\)"),
        (["job"], ValueError, "names 'job', which is no field"),
        ([], ValueError, "id_from names no field"),
        (["day", "day"], ValueError, "names a parameter twice"),
        ([5], TypeError, "id_from has 5: expected names of parameters"),
    ],
)  # fmt: skip
def test_what_no_payload_has_is_told_where_the_handler_is_defined(
    id_from: Any, error: type[Exception], said: str
) -> None:
    def send(job: trioq.Job, tenant: str, day: int = 0) -> None: ...

    with pytest.raises(error, match=said):
        trioq.App().job("send", id_from=id_from)(send)


def test_a_handler_of_any_fields_takes_any_and_one_alone_needs_no_list() -> None:
    app = trioq.App()
    app.job("any", id_from=["tenant"])(lambda **fields: None)
    app.job("one", id_from="day")(lambda day: None)  # as limits, one or many
    assert [each.id_from for each in app.handlers.values()] == [("tenant",), ("day",)]


def test_a_handler_that_names_none_may_have_a_breaker_that_the_configuration_says() -> None:
    app = trioq.App()

    @app.job
    async def handler() -> None: ...

    made = counting(handler.registered, ["builtins.OSError"], [])
    assert made.id_from == ()
    assert made.breaker == trioq.Breaker(on=[OSError])
