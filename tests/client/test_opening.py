"""A client as an object: made where a program is loaded, connected when it is needed, closed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.client.test_client import configured, greet, ready
from tests.engine.rig import rig_on
from tests.support import Server
from trioq.errors import EnqueueUnknown, StoreClosed, StoreUnreachable


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def test_a_client_is_an_object_that_is_closed(config: Path, server: Server) -> None:
    client = trioq.connect_sync(config)
    handle = client.enqueue(greet.call("Ada"))
    client.close()
    client.close()
    with rig_on(server) as rig:
        assert ready(rig, "high") == [handle.uid]
    with pytest.raises(StoreClosed):
        client.enqueue(greet.call("Ada"))
    with pytest.raises(StoreClosed):
        client.handle(handle.uid)


def test_one_that_was_closed_before_it_was_needed_starts_nothing(tmp_path: Path) -> None:
    client = trioq.connect_sync(url=f"embedded:{tmp_path}/data", namespace="t")
    client.close()
    with pytest.raises(StoreClosed):
        client.enqueue("greet", {"name": "Ada"})
    assert not (tmp_path / "data").exists()


def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    client = trioq.connect_sync(url=f"embedded:{tmp_path}/data", namespace="t")
    try:
        assert not (tmp_path / "data").exists()
        assert client.enqueue("greet", {"name": "Ada"}).is_new
    finally:
        client.close()


def test_nothing_is_connected_before_it_is_needed(config: Path, server: Server) -> None:
    with trioq.connect_sync(config) as client:
        assert b"name=trioq:client" not in server.call("CLIENT", "LIST")
        client.enqueue(greet.call("Ada"))
        assert b"name=trioq:client" in server.call("CLIENT", "LIST")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("is_used", [False, True])
def test_processes_that_are_forked_share_one_that_was_made_before(
    config: Path, server: Server, is_used: bool
) -> None:
    client = trioq.connect_sync(config)
    if is_used:
        client.enqueue(greet.call("before"))
    children = []
    for name in ("Ada", "Bob"):
        if (child := os.fork()) == 0:
            try:
                client.enqueue(greet.call(name))
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    client.enqueue(greet.call("Eve"))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    client.close()
    with rig_on(server) as rig:
        assert len(ready(rig, "high")) == 3 + is_used


@pytest.fixture
def nobody() -> Iterator[str]:
    """A server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


def test_a_call_is_as_patient_as_its_client(nobody: str) -> None:
    began = time.monotonic()
    with trioq.connect_sync(url=nobody, namespace="t", patience=0.1) as client:
        with pytest.raises((EnqueueUnknown, StoreUnreachable)):
            client.enqueue("greet", {})
        with pytest.raises(StoreUnreachable):
            client.handle("some job")
        with pytest.raises(StoreUnreachable):
            client.schedules.list()
    assert time.monotonic() < began + 4  # where none says so it is ten seconds for each


@pytest.mark.trio
async def test_a_call_from_trio_is_as_patient_as_its_client(nobody: str) -> None:
    with trio.fail_after(4):
        async with trioq.connect(
            url=nobody, namespace="t", patience=timedelta(seconds=0.1)
        ) as client:
            with pytest.raises((EnqueueUnknown, StoreUnreachable)):
                await client.enqueue("greet", {})
            with pytest.raises(StoreUnreachable):
                await client.handle("some job")


@pytest.mark.parametrize("patience", ["1s", 0, -1, True, float("nan"), [1]])
def test_a_patience_that_is_none_is_told(patience: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="patience is"):
        trioq.connect_sync(url="redis://localhost", namespace="t", patience=patience)


def test_who_says_neither_where_or_says_it_twice_is_told_what_to_write() -> None:
    with pytest.raises(TypeError, match=r'got neither: a file, as "jobqueue.toml", or url="redis'):
        trioq.connect_sync()
    with pytest.raises(TypeError, match="got both"):
        trioq.connect_sync("jobqueue.toml", url="redis://localhost")
