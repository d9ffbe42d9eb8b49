"""What a job takes of limits, however it is enqueued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import trioq
from tests.cli.conftest import run
from tests.support import Server
from trioq.client.jobs import Drafts
from trioq.client.many import drafted
from trioq.core.config import Config, LimitConfig, QueueConfig

app = trioq.App()


@app.job(queue="pay", limits=[trioq.Limit("tenants", concurrency=1, key="tenant")])
async def charge(tenant: str, cents: int = 0) -> None: ...


@app.job
async def plain() -> None: ...


def drafts(**config: Any) -> Drafts:
    queues = (QueueConfig("pay", rate=5), QueueConfig("low"))
    return Drafts(Config(queues=queues, **config), knows_queues=True)


def one(made: Drafts, what: trioq.Call | str, payload: Any = None, **options: Any) -> Any:
    return made.draft(what, payload, **options).takes


def of_many(made: Drafts, *calls: trioq.Call) -> list[tuple[str, ...]]:
    return [job.takes for batch in drafted(calls, made) for job in batch]


OURS = ("pay", 'tenants:"acme"')


def test_a_call_takes_what_its_handler_and_its_queue_say() -> None:
    made, call = drafts(), charge.call("acme")
    assert one(made, call) == OURS
    assert one(made, call, delay=5.0, id="x") == OURS
    assert one(made, call, queue="low") == ('tenants:"acme"',)
    assert of_many(made, call, charge.call("b"), plain.call()) == [OURS, ("pay", 'tenants:"b"'), ()]


def test_a_name_takes_what_the_configuration_says() -> None:
    limits: Mapping[str, LimitConfig] = {
        "stripe": LimitConfig(name="stripe", jobs=("theirs",), rate=1, key="a.b")
    }
    made = drafts(limits=limits)
    assert one(made, "theirs", {"a": {"b": 1}}) == ("stripe:1",)
    assert one(made, "theirs", {"a": 1}, queue="pay") == ("pay",)
    assert one(made, trioq.Call("theirs", {"a": {"b": 2}})) == ("stripe:2",)


def test_what_a_known_call_takes_does_not_stick_to_its_name() -> None:
    made = drafts()
    assert one(made, "charge", {"tenant": "acme"}, queue="pay") == ("pay",)
    assert one(made, charge.call("acme")) == OURS, "its handler is known by now"


APP = """
import trioq
app = trioq.App()

@app.job(queue="pay", limits=[trioq.Limit("tenants", concurrency=1, key="tenant")])
async def charge(tenant: str) -> None: ...
"""

CONFIG = """
namespace = "t"
app = "takes_app:app"
queues = [{{ name = "pay", rate = 5 }}, {{ name = "low" }}]
redis.url = "{url}"
"""


@pytest.fixture
def config(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "takes_app.py").write_text(APP)
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url))
    return path


def row(server: Server, uid: str) -> str:
    """What the server has of the job's limits."""
    return (server.call("HGET", "{t}:flow", uid) or b"").decode()


def test_a_name_takes_what_its_handler_in_the_app_says(config: Path, server: Server) -> None:
    with trioq.connect_sync(config) as client:
        uid = client.enqueue("charge", {"tenant": "acme"}).uid
    assert row(server, uid) == '\npay\ntenants:"acme"'


def test_the_command_line_takes_the_same(config: Path, server: Server, tmp_path: Path) -> None:
    payload = json.dumps({"tenant": "acme"})
    told = json.loads(run("enqueue", config, "charge", payload, "--json").stdout)
    assert row(server, told["uid"]) == '\npay\ntenants:"acme"'
    lines = tmp_path / "lines"
    lines.write_text(f"{payload}\n")
    run("enqueue", config, "charge", "--from", lines)
    rows = server.call("HVALS", "{t}:flow")
    assert rows == [b'\npay\ntenants:"acme"'] * 2
