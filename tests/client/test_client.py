"""Enqueueing: what is queued is known, what isn't is said, and nothing is queued twice."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.engine.rig import Rig, rig_on
from tests.support import Server
from trioq.client import resend
from trioq.core.events import JobStarted
from trioq.errors import (
    EnqueueUnknown,
    PayloadRejected,
    QueueFull,
    QueueUnknown,
    StoreBusy,
    StoreRefused,
    StoreUnreachable,
)

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
connect_timeout = "1s"
read_timeout = "500ms"
[[queues]]
name = "high"
[[queues]]
name = "low"
max_length = 1000
[observability]
bind = ""
"""

app = trioq.App()


@app.job("greet", queue="high")
async def greet(job: trioq.Job, name: str, times: int = 1) -> None: ...


def configured(server: Server, tmp_path: Path) -> Path:
    file = tmp_path / "jobqueue.toml"
    file.write_text(CONFIG.format(url=server.url))
    return file


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    with rig_on(server) as rig:
        yield rig


def ready(rig: Rig, queue: str = "low") -> list[str]:
    """The uids that wait in a queue, the next one first."""
    return [uid.decode() for uid in reversed(rig.key("LRANGE", f"ready:{queue}", 0, -1))]


# --- what is queued ---------------------------------------------------------------------------


@pytest.mark.trio
async def test_a_call_goes_to_its_handlers_queue_and_a_name_to_the_default_one(
    config: Path, rig: Rig
) -> None:
    async with trioq.connect(config) as client:
        called = await client.enqueue(greet.call("Ada", times=2))
        named = await client.enqueue("greet", {"name": "Ada"})
        moved = await client.enqueue(greet.call("Ada"), queue="low")
        late = await client.enqueue(greet.call("Ada"), delay=60)
    assert ready(rig, "high") == [called.uid]
    assert ready(rig, "low") == [named.uid, moved.uid]
    assert rig.key("ZCARD", "scheduled:high") == 1
    assert all(handle.is_new for handle in (called, named, moved, late))
    record = rig.key("HGET", "jobs", called.uid)
    assert record.endswith(b'\n{"name":"Ada","times":2}')


@pytest.mark.trio
async def test_a_callers_id_queues_once_and_is_answered_with_what_became_of_it(
    config: Path, rig: Rig
) -> None:
    async with trioq.connect(config) as client:
        first = await client.enqueue(greet.call("Ada"), id="ada")
        again = await client.enqueue(greet.call("somebody else"), id="ada")
        assert (again.uid, again.existing) == (first.uid, "live")

        @rig.app.job("greet")
        async def handler(name: str) -> None: ...

        async with rig.running():
            await rig.until(lambda: rig.stats().counters.get("done") == 1)
        after = await client.enqueue(greet.call("Ada"), id="ada")
        assert (after.uid, after.existing, after.is_new) == (first.uid, "done", False)
    assert len(rig.of(JobStarted)) == 1
    assert ready(rig, "high") == []


@pytest.mark.trio
async def test_many_are_queued_in_their_order(config: Path, rig: Rig) -> None:
    async with trioq.connect(config) as client:
        handles = await client.enqueue_many(greet.call("x" * n) for n in range(1, 1300))
    assert ready(rig, "high") == [handle.uid for handle in handles]


@pytest.mark.trio
async def test_several_tasks_share_a_client(config: Path, rig: Rig) -> None:
    handles: list[trioq.Handle] = []

    async def some(client: trioq.Client) -> None:
        handles.extend([await client.enqueue(greet.call("Ada")) for _ in range(20)])

    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(some, client)
    assert sorted(ready(rig, "high")) == sorted(handle.uid for handle in handles)


def test_several_threads_share_a_client_for_ordinary_code(config: Path, rig: Rig) -> None:
    handles: list[trioq.Handle] = []
    with trioq.connect_sync(config) as client:

        def some() -> None:
            for _ in range(20):
                handles.append(client.enqueue(greet.call("Ada")))
                handles.extend(client.enqueue_many([greet.call("B"), greet.call("C")]))

        threads = [threading.Thread(target=some) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(handles) == 8 * 60
    assert sorted(ready(rig, "high")) == sorted(handle.uid for handle in handles)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_loses_no_jobs_to_its_parents_numbers(config: Path, rig: Rig) -> None:
    """A web server that opens its client before it forks its workers."""
    with trioq.connect_sync(config) as client:
        client.enqueue(greet.call("parent"))
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    for n in range(10):
                        assert client.enqueue(greet.call(f"child {n}")).is_new
                    code = 0
                finally:
                    os._exit(code)
            children.append(pid)
            client.enqueue(greet.call("parent"))
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        client.enqueue(greet.call("parent"))
    assert codes == [0, 0, 0]
    assert len(set(ready(rig, "high"))) == 5 + 3 * 10


@pytest.mark.trio
async def test_without_a_configuration_any_queue_with_a_proper_name_will_do(
    server: Server, rig: Rig
) -> None:
    async with trioq.connect(url=server.url, namespace="t") as client:
        handle = await client.enqueue("greet", {"name": "Ada"}, queue="some-where.else_1")
        with pytest.raises(QueueUnknown):
            await client.enqueue("greet", {}, queue="a:b")
    assert ready(rig, "some-where.else_1") == [handle.uid]


# --- what can't be queued ---------------------------------------------------------------------

REFUSED: list[tuple[str, type[Exception], dict[str, Any]]] = [
    ("unknown queue", QueueUnknown, {"queue": "nowhere"}),
    ("no name", PayloadRejected, {"what": ""}),
    ("a name of two lines", PayloadRejected, {"what": "a\nb"}),
    ("NaN", PayloadRejected, {"payload": {"x": float("nan")}}),
    ("a set", PayloadRejected, {"payload": {"x": {1}}}),
    ("too large", PayloadRejected, {"payload": {"x": "y" * (1 << 20)}}),
    ("an empty id", PayloadRejected, {"id": ""}),
    ("half a character", PayloadRejected, {"id": "\ud800"}),
    ("a negative delay", PayloadRejected, {"delay": -1}),
    ("no delay", PayloadRejected, {"delay": float("nan")}),
    ("no attempts", PayloadRejected, {"max_attempts": 0}),
    ("no time", PayloadRejected, {"timeout": 0}),
    ("all the time in the world", PayloadRejected, {"timeout": float("inf")}),
]


@pytest.mark.parametrize(
    ("error", "options"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
@pytest.mark.trio
async def test_what_no_engine_could_run_is_refused_and_nothing_is_written(
    config: Path, rig: Rig, error: type[Exception], options: dict[str, Any]
) -> None:
    call = {"what": "greet", "payload": {}, **options}
    async with trioq.connect(config) as client:
        with pytest.raises(error):
            await client.enqueue(**call)
        assert (await client.enqueue("greet", {})).is_new, "and the client goes on"
    assert rig.key("HLEN", "jobs") == 1


@pytest.mark.trio
async def test_a_full_queue_refuses_whole_batches(config: Path, rig: Rig) -> None:
    async with trioq.connect(config) as client:
        await client.enqueue_many([greet.call("Ada")] * 999, queue="low")
        with pytest.raises(QueueFull):
            await client.enqueue_many([greet.call("Ada")] * 2, queue="low")
        await client.enqueue(greet.call("Ada"), queue="low")
    assert len(ready(rig, "low")) == 1000


def test_a_refusal_by_the_server_comes_out_plain(config: Path, server: Server) -> None:
    server.call("SET", "{t}:jobs", "not a hash")
    with trioq.connect_sync(config) as client, pytest.raises(StoreRefused, match="WRONGTYPE"):
        client.enqueue(greet.call("Ada"))


# --- when there is no answer ------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resend, "PATIENCE_S", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.trio
async def test_without_an_answer_nobody_knows_and_the_error_names_the_jobs(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        with pytest.raises(EnqueueUnknown) as caught:
            await client.enqueue(greet.call("Ada"), id="ada")
        own_server.resume()
        # The same id again: what did arrive isn't queued a second time.
        again = await client.enqueue(greet.call("Ada"), id="ada")
        (unknown,) = caught.value.uids
        assert again.is_new or again.uid == unknown
    with rig_on(own_server) as rig:
        assert len(ready(rig, "high")) == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.trio
async def test_without_a_connection_it_is_known_that_nothing_was_written(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        own_server.kill()
        with pytest.raises(StoreUnreachable):
            await client.enqueue(greet.call("Ada"))


@pytest.mark.trio
async def test_an_answer_that_got_lost_is_asked_for_again_and_queues_once(
    config: Path, rig: Rig
) -> None:
    async with trioq.connect(config) as client:
        store: Any = client._outbox._own.way.store
        lose_the_next_reply(store)
        handle = await client.enqueue(greet.call("Ada"))
    assert ready(rig, "high") == [handle.uid]


def lose_the_next_reply(store: Any, then: Callable[[], None] = lambda: None) -> None:
    run, lost = store._execute, False

    def once(*args: Any) -> Any:
        nonlocal lost
        reply = run(*args)
        if not lost:
            lost = True
            then()
            raise StoreUnreachable("the reply got lost")
        return reply

    store._execute = once


@pytest.mark.parametrize("no", [StoreBusy("OOM command not allowed"), StoreRefused("NOPERM")])
def test_a_no_after_a_lost_answer_is_no_proof_that_nothing_was_written(
    config: Path, rig: Rig, no: Exception
) -> None:
    with trioq.connect_sync(config) as client:
        store: Any = client._outbox._own.store

        def refuse(*args: Any) -> Any:
            raise no

        lose_the_next_reply(store, then=lambda: setattr(store, "_execute", refuse))
        with pytest.raises(EnqueueUnknown) as caught:
            client.enqueue(greet.call("Ada"))
    assert ready(rig, "high") == list(caught.value.uids), "it was written"


@pytest.mark.trio
async def test_a_cancelled_enqueue_ends_at_once_and_the_client_goes_on(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        with trio.move_on_after(0.05) as scope:
            await client.enqueue(greet.call("Ada"))
        assert scope.cancelled_caught
        own_server.resume()
        last = await client.enqueue(greet.call("Ada"))
    with rig_on(own_server) as rig:
        assert ready(rig, "high")[-1] == last.uid
        assert len(ready(rig, "high")) in (2, 3)


# --- what is forgotten ------------------------------------------------------------------------


def test_who_forgets_to_open_a_client_is_told_how(config: Path) -> None:
    said = "nothing is open yet: async with trioq.connect"
    with pytest.raises(AttributeError, match=said) as told:
        trioq.connect(config).enqueue(greet.call("Ada"))  # type: ignore[attr-defined]
    assert str(told.value).endswith(" as client: client.enqueue")


@pytest.mark.parametrize("options", [{}, {"namespace": "a"}])
def test_a_url_that_is_given_as_a_configuration_is_shown_its_place(options: dict[str, Any]) -> None:
    with (
        pytest.raises(trioq.ConfigError, match="takes it as url="),
        trioq.connect_sync("embedded:.trioq", **options),
    ):
        pass


def test_who_is_not_in_trio_is_told_where_a_client_is_opened(config: Path) -> None:
    async def main() -> None:
        async with trioq.connect(config):
            raise AssertionError

    with pytest.raises(RuntimeError, match=r"trioq\.connect is for trio"):
        asyncio.run(main())
