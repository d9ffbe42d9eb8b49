"""Whose turn a job is, however it is enqueued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trioq
from tests.cli.conftest import run
from tests.support import Server
from trioq.client.jobs import Drafts
from trioq.client.many import drafted
from trioq.core.config import Config, QueueConfig
from trioq.core.fair import FairKey

ACME = FairKey('"acme"')


def drafts() -> Drafts:
    queues = (QueueConfig("pay", fair="tenant"), QueueConfig("low"))
    return Drafts(Config(queues=queues), knows_queues=True)


def one(made: Drafts, what: trioq.Call | str, payload: Any = None, **options: Any) -> Any:
    return made.draft(what, payload, **options).fair


def test_a_call_and_a_name_have_the_key_of_their_payload() -> None:
    made, call = drafts(), trioq.Call("charge", {"tenant": "acme"}, "pay")
    assert one(made, call) == ACME
    assert one(made, call, delay=5.0, id="x") == ACME
    assert one(made, call, queue="low") is None
    assert one(made, "charge", {"tenant": "acme"}, queue="pay") == ACME
    assert one(made, "charge", {}, queue="pay") is None


def test_each_of_many_has_its_own() -> None:
    calls = [trioq.Call("charge", {"tenant": name}, "pay") for name in ("acme", "b")]
    calls.append(trioq.Call("charge", {"tenant": "acme"}, "low"))
    (batch,) = drafted(calls, drafts())
    assert [job.fair for job in batch] == [ACME, FairKey('"b"'), None]


def test_one_can_be_asked_for_for_many_and_its_weight() -> None:
    calls = [trioq.Call("charge", fields, "pay") for fields in ({"tenant": "acme"}, {})]
    (batch,) = drafted(calls, drafts(), fair_key="b", weight=2)
    assert [job.fair for job in batch] == [FairKey('"b"', 2.0)] * 2
    (batch,) = drafted(calls, drafts(), weight=2)
    assert [job.fair for job in batch] == [FairKey('"acme"', 2.0), None]
    call = trioq.Call("charge", {"tenant": "acme"}, "pay")
    assert one(drafts(), call, weight=2) == FairKey('"acme"', 2.0)
    assert one(drafts(), call, weight=2, id="x") == FairKey('"acme"', 2.0)


CONFIG = """
namespace = "t"
queues = [{{ name = "pay", fair = "tenant" }}, {{ name = "low" }}]
redis.url = "{url}"
"""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url))
    return path


def keys(server: Server) -> list[str]:
    """Of the jobs that take turns, what the server has: without the tag that it gave them."""
    rows = [row.decode().splitlines()[0] for row in server.call("HVALS", "{t}:flow")]
    return sorted(row.partition(" ")[2] for row in rows)


def test_the_command_line_tells_the_key_too(config: Path, server: Server, tmp_path: Path) -> None:
    payload, lines = json.dumps({"tenant": "acme"}), tmp_path / "lines"
    lines.write_text(payload)
    assert run("enqueue", config, "charge", payload, "--queue", "pay").exit_code == 0
    assert run("enqueue", config, "charge", "--from", lines, "--queue", "pay").exit_code == 0
    assert run("enqueue", config, "charge", payload, "--queue", "low").exit_code == 0
    assert keys(server) == ['1 "acme"'] * 2
