"""Handles: what became of a job, for who enqueued it; from trio and from ordinary code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from mypy import api as mypy

import trioq
from tests.client.test_client import configured
from tests.faults.proxy import Fault, LoseReply, LoseRequest, Proxy
from tests.store.drive import Driver, line
from tests.support import PATIENCE_S, Server
from trioq.client.ends import job_end
from trioq.core import result
from trioq.core.calls import End
from trioq.core.config import Config, RedisConfig
from trioq.core.formats import history
from trioq.core.formats.record import decode
from trioq.core.outcome import Error
from trioq.core.settlements import Ack, DeadLetter, Deliver, RetryAt
from trioq.store.redis import RedisStore

app = trioq.App()


@dataclass
class Page:
    number: int


class NotFound(Exception):
    def __init__(self, path: str, code: int = 404) -> None:
        self.path, self.code = path, code
        super().__init__(f"{path}: {code}")


@app.job(queue="high", result="1h", raises=[NotFound])
async def page(number: int) -> Page:
    return Page(number)


@app.job(queue="high")
def plain() -> int:
    return 5


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@attrs.define
class Engine:
    """Ends jobs as it is told."""

    store: RedisStore
    driver: Driver = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.driver = Driver(self.store)

    def deliver(self, value: Any, *, keep_ms: int = 60_000) -> None:
        uid, n = self.driver.claim().uid, self.driver.n
        self.driver.step(0, Deliver(uid, n, keep_ms, "done", result.encode(value, 1 << 16)))

    def end(self, state: Any, value: bytes) -> None:
        uid, n = self.driver.claim().uid, self.driver.n
        self.driver.step(0, Deliver(uid, n, 60_000, state, value))

    def ack(self) -> None:
        self.driver.step(0, Ack(self.driver.claim().uid, self.driver.n))

    def die(self, error: Error, **more: Any) -> None:
        told = history.encode(history.Attempt(3, error, "e", 1000, "failures", **more))
        uid = self.driver.claim().uid
        self.driver.step(0, DeadLetter(uid, self.driver.n, 3, "failures", told))


@pytest.fixture
def engine(server: Server) -> Iterator[Engine]:
    store = server.store()
    yield Engine(store)
    store.lane.close()


@pytest.fixture
def client(config: Path) -> Iterator[trioq.SyncClient]:
    with trioq.connect_sync(config) as opened:
        yield opened


# -- results -----------------------------------------------------------------------------------


def test_a_result_comes_back_as_its_type(client: trioq.SyncClient, engine: Engine) -> None:
    handle = client.enqueue(page.call(7))
    engine.deliver(Page(7))
    assert handle.result(PATIENCE_S) == Page(7)
    assert handle.wait().state == "done"


@pytest.mark.parametrize(
    "options", [{}, {"id": "p7"}, {"timeout": 9}, {"result": "5m"}, {"queue": "low"}], ids=str
)
def test_whatever_was_asked_for_a_result_comes_back_as_its_type(
    client: trioq.SyncClient, engine: Engine, options: dict[str, Any]
) -> None:
    handle = client.enqueue(page.call(7), **options)
    engine.deliver(Page(7))
    assert handle.result(PATIENCE_S) == Page(7)


def test_from_trio_too(config: Path, engine: Engine) -> None:
    async def main() -> None:
        async with trioq.connect(config) as client:
            handle = await client.enqueue(page.call(7))
            await trio.to_thread.run_sync(engine.deliver, Page(7))
            assert await handle.result(PATIENCE_S) == Page(7)
            assert (await handle.wait(0)).result() == Page(7)

    trio.run(main)


def test_type_checkers_know_what_comes_back(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import trioq\n"
        "app = trioq.App()\n"
        "@app.job(result='1h')\n"
        "async def page(number: int) -> str: return ''\n"
        "def sync(client: trioq.SyncClient) -> int:\n"
        "    text: str = client.call(page.call(1), timeout=5)\n"
        "    for handle, end in trioq.as_done(client.enqueue_many([page.call(1)])):\n"
        "        text = end.result()\n"
        "    return client.enqueue(page.call(1)).result()\n"
        "async def from_trio(client: trioq.Client) -> str:\n"
        "    async for handle, end in trioq.as_done(await client.enqueue_many([page.call(1)])):\n"
        "        number: int = end.result()\n"
        "    return await (await client.enqueue(page.call(1))).result()\n"
        "def found(client: trioq.SyncClient) -> trioq.CancelOutcome:\n"
        "    text: str = client.handle('x', of=page).result()\n"
        "    number: int = client.handle('x', of=page).result()\n"
        "    number = client.handle('x').result()\n"
        "    return client.handle('x').cancel()\n"
        "async def found_from_trio(client: trioq.Client) -> trioq.Status:\n"
        "    number: int = await (await client.handle('x', of=page)).result()\n"
        "    return await (await client.handle('x')).status()\n"
        "import datetime\n"
        "@app.job\n"
        "def count() -> int: return 5\n"
        "def of_two_handlers(client: trioq.SyncClient) -> None:\n"
        "    handles = [client.enqueue(page.call(1)), client.enqueue(count.call())]\n"
        "    for handle, end in trioq.as_done(handles, datetime.timedelta(seconds=5)):\n"
        "        end.result()\n"
        "    handles[0].result(datetime.timedelta(seconds=5))\n"
        "    wrong: trioq.SyncHandle[int] = client.enqueue(page.call(1))\n"
    )
    out, _, _ = mypy.run([str(program)])
    wrong = [line.split(":")[1] for line in out.splitlines() if ": error:" in line]
    assert wrong == ["9", "12", "16", "20", "30"], out


def test_without_a_result_one_knows_that_it_is_done(
    client: trioq.SyncClient, engine: Engine
) -> None:
    handle = client.enqueue(plain.call(), id="mine")
    engine.ack()
    assert handle.wait(PATIENCE_S).state == "done"
    with pytest.raises(trioq.NoResultKept, match='result="1h"'):
        handle.result()


def test_what_nobody_kept_is_told_as_that(client: trioq.SyncClient, engine: Engine) -> None:
    handle = client.enqueue(plain.call())
    engine.ack()
    assert handle.wait(PATIENCE_S).state == "unknown"
    with pytest.raises(trioq.NoResultKept, match="isn't remembered"):
        handle.result()


def test_a_result_that_was_kept_for_its_time_has_expired(
    client: trioq.SyncClient, engine: Engine
) -> None:
    handle = client.enqueue(page.call(1))
    engine.ack()  # as if its time were over
    with pytest.raises(trioq.ResultExpired):
        handle.result(PATIENCE_S)
    own = client.enqueue(plain.call(), result=30)
    engine.ack()
    with pytest.raises(trioq.ResultExpired):
        own.result(PATIENCE_S)


@pytest.mark.parametrize("how", ["enqueue", "again", "handle"])
def test_of_a_job_with_an_id_the_result_expires_and_not_that_it_is_done(
    client: trioq.SyncClient, engine: Engine, how: str
) -> None:
    handle = client.enqueue(page.call(1), id="mine")
    engine.ack()  # as if its time were over
    if how == "again":
        handle = client.enqueue(page.call(1), id="mine")
    elif how == "handle":
        handle = client.handle("mine", of=page)
    end = handle.wait(PATIENCE_S)
    assert (end.state, type(end.error)) == ("done", trioq.ResultExpired)


def test_an_empty_id_is_nobodys(client: trioq.SyncClient) -> None:
    client.enqueue(plain.call()).cancel()  # among the last that ended is one without an id
    with pytest.raises(trioq.JobUnknown):
        client.handle("")
    assert client.cancel("") is trioq.CancelOutcome.unknown


def test_why_there_is_no_result(client: trioq.SyncClient, engine: Engine) -> None:
    large, odd, other = (client.enqueue(page.call(n)) for n in range(3))
    engine.end("too_large", b"70000 65536")
    engine.end("unfit", b"result: a lock")
    engine.deliver({"number": "seven"})
    with pytest.raises(trioq.ResultTooLarge) as refused:
        large.result(PATIENCE_S)
    assert (refused.value.size, refused.value.most) == (70000, 65536)
    with pytest.raises(trioq.ResultUnfit, match="a lock"):
        odd.result(PATIENCE_S)
    with pytest.raises(trioq.ResultUnfit, match=r"result\.number: expected int"):
        other.result(PATIENCE_S)


# -- the dead ----------------------------------------------------------------------------------


def test_a_dead_job_says_what_its_last_attempt_raised(
    client: trioq.SyncClient, engine: Engine
) -> None:
    handle = client.enqueue(plain.call())
    engine.die(Error("shop.OutOfStock", "no more", "Traceback: …"))
    end = handle.wait(PATIENCE_S)
    assert (end.state, end.reason) == ("dead", "failures")
    with pytest.raises(trioq.JobDied) as died:
        end.result()
    assert (died.value.type, died.value.message) == ("shop.OutOfStock", "no more")
    assert died.value.traceback == "Traceback: …"


def test_of_several_attempts_the_last_one_is_told(client: trioq.SyncClient, engine: Engine) -> None:
    handle = client.enqueue(plain.call())
    uid, n = engine.driver.claim().uid, engine.driver.n
    engine.driver.step(0, RetryAt(uid, n, 0, 1, line("first")))
    engine.driver.claim()
    engine.driver.step(0, DeadLetter(uid, engine.driver.n, 2, "failures", line("last", 2)))
    with pytest.raises(trioq.JobDied, match="last"):
        handle.result(PATIENCE_S)


def test_what_has_expired_has_expired_also_for_whoever_does_not_know_the_job() -> None:
    end = job_end("0" * 32, End("expired"), None, expected=None, wants_result=None)
    with pytest.raises(trioq.ResultExpired):
        end.result()


NAME = f"{NotFound.__module__}.NotFound"


def test_a_registered_error_is_raised_as_itself(client: trioq.SyncClient, engine: Engine) -> None:
    with_args, without = client.enqueue(page.call(1)), client.enqueue(page.call(2))
    engine.die(Error(NAME, "x: 410"), args=("x", 410))
    engine.die(Error(NAME, "y"))
    with pytest.raises(NotFound) as found:
        with_args.result(PATIENCE_S)
    assert (found.value.path, found.value.code) == ("x", 410)
    assert isinstance(found.value.__cause__, trioq.JobDied)
    assert with_args.wait().reason == "failures"
    with pytest.raises(NotFound, match="y: 404"):
        without.result(PATIENCE_S)


def test_a_program_knows_its_own_error_by_whatever_name_it_is_imported_elsewhere(
    client: trioq.SyncClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotFound, "__module__", "__main__")
    for name in ("NotFound", "shop.jobs.NotFound"):
        handle = client.enqueue(page.call(1))
        engine.die(Error(name, "x: 410"), args=("x", 410))
        with pytest.raises(NotFound, match="x: 410"):
            handle.result(PATIENCE_S)
    handle = client.enqueue(page.call(1))
    engine.die(Error("shop.jobs.PageNotFound", "x: 410"), args=("x", 410))
    with pytest.raises(trioq.JobDied):
        handle.result(PATIENCE_S)


def test_an_error_that_cannot_be_made_again_is_told(
    client: trioq.SyncClient, engine: Engine
) -> None:
    handle = client.enqueue(page.call(1))
    engine.die(Error(NAME, "x"), args=(1, 2, 3, 4))
    with pytest.raises(trioq.JobDied, match="NotFound"):
        handle.result(PATIENCE_S)


def test_a_dead_job_of_which_nothing_can_be_read_is_dead(
    client: trioq.SyncClient, engine: Engine
) -> None:
    handle = client.enqueue(plain.call())
    uid = engine.driver.claim().uid
    engine.driver.step(0, DeadLetter(uid, engine.driver.n, 1, "failures", line("x")))
    engine.store.lane.call("HSET", engine.store.keys.fixed("history"), uid, b"\xff{")
    with pytest.raises(trioq.JobDied):
        handle.result(PATIENCE_S)


# -- several, and none -------------------------------------------------------------------------


def test_as_done_gives_them_as_they_end(client: trioq.SyncClient, engine: Engine) -> None:
    handles = client.enqueue_many([page.call(n) for n in range(3)])
    found = trioq.as_done(handles, timeout=PATIENCE_S)
    ends = {}
    for number in range(3):
        engine.deliver(Page(number))
        handle, end = next(found)
        ends[handle.uid] = end.result()
    assert ends == {handle.uid: Page(n) for n, handle in enumerate(handles)}
    assert list(found) == []


def test_as_done_from_trio(config: Path, engine: Engine) -> None:
    async def main() -> list[Page]:
        async with trioq.connect(config) as client:
            handles = await client.enqueue_many([page.call(n) for n in range(3)])
            for number in range(3):
                await trio.to_thread.run_sync(engine.deliver, Page(number))
            found = [end.result() async for _, end in trioq.as_done(handles, PATIENCE_S)]
            assert [each async for each in trioq.as_done(handles[:0])] == []
            return found

    assert sorted(trio.run(main), key=lambda p: p.number) == [Page(0), Page(1), Page(2)]


def test_as_done_is_for_handles_of_one_client(config: Path, client: trioq.SyncClient) -> None:
    with trioq.connect_sync(config) as other:
        handles = [client.enqueue(plain.call()), other.enqueue(plain.call())]
        with pytest.raises(ValueError, match="of 2 clients"):
            trioq.as_done(handles)


def test_as_done_of_none_is_none(config: Path, client: trioq.SyncClient) -> None:
    async def main() -> None:
        assert [each async for each in trioq.as_done([])] == []

    trio.run(main)
    assert [*trioq.as_done(client.enqueue_many([]))] == []


async def forgotten() -> None: ...


@pytest.mark.parametrize(
    ("handles", "said"),
    [
        (None, "not an object of type NoneType"),
        ([5], "an object of type int"),
        ("uid", "an object of type str"),
        (forgotten, "not an object of type function"),
    ],
)
def test_as_done_says_what_it_takes(handles: Any, said: str) -> None:
    with pytest.raises(TypeError, match=rf"as_done takes handles, \[handle, …\].* {said}"):
        trioq.as_done(handles)


def test_as_done_takes_a_list_also_of_one(client: trioq.SyncClient) -> None:
    handle: Any = client.enqueue(plain.call())
    with pytest.raises(TypeError, match="not a single one"):
        trioq.as_done(handle)


def test_as_done_says_that_a_handle_is_to_be_awaited() -> None:
    coroutine: Any = forgotten()
    with pytest.raises(TypeError, match=r"the coroutine forgotten\(\): await it first"):
        trioq.as_done([coroutine])
    coroutine.close()


def test_handles_of_a_trio_client_are_for_async_for(config: Path) -> None:
    async def main() -> None:
        async with trioq.connect(config) as client:
            found: Any = trioq.as_done([await client.enqueue(plain.call())])
            with pytest.raises(TypeError, match="async for"):
                iter(found)

    trio.run(main)


def test_an_error_says_which_job_it_is_about(client: trioq.SyncClient, engine: Engine) -> None:
    with pytest.raises(trioq.WaitTimeout) as late:
        client.call(page.call(1), timeout=0)
    handle = client.handle(late.value.uid, of=page)
    assert late.value.__notes__ == [f"job {handle.uid}, page"]
    engine.die(Error("tests.client.test_handles.NotFound", "x", ""), args=("x", 404))
    with pytest.raises(NotFound) as own:
        handle.result()
    assert own.value.__notes__ == [f"job {handle.uid}, page"]
    assert isinstance(own.value.__cause__, trioq.JobDied)
    assert own.value.__cause__.uid == handle.uid


def test_from_trio_an_error_says_which_job_it_is_about(config: Path) -> None:
    async def main() -> None:
        async with trioq.connect(config) as client:
            handle = await client.enqueue(page.call(1))
            with pytest.raises(trioq.WaitTimeout) as late:
                await handle.result(timeout=0)
            await handle.cancel()
            with pytest.raises(trioq.JobCancelled) as over:
                await handle.result()
            assert late.value.uid == over.value.uid == handle.uid

    trio.run(main)


def test_who_asks_after_the_client_was_closed_is_told_so(config: Path) -> None:
    with trioq.connect_sync(config) as client:
        handle = client.enqueue(plain.call())
    with pytest.raises(trioq.StoreClosed, match="the client was closed, and for good"):
        handle.result()


def test_a_call_is_enqueued_and_waited_for(client: trioq.SyncClient, engine: Engine) -> None:
    with pytest.raises(trioq.WaitTimeout):
        client.call(plain.call(), timeout=0)
    engine.deliver(5)
    with pytest.raises(TimeoutError):
        client.call(plain.call(), timeout=0.01)


def test_a_handler_is_called_by_its_name_too(client: trioq.SyncClient, engine: Engine) -> None:
    with pytest.raises(trioq.WaitTimeout) as late:
        client.call("page", {"n": 1}, timeout=0)
    engine.deliver({"n": 7})
    assert client.handle(late.value.uid).result() == {"n": 7}
    unknown: dict[str, Any] = {"n": 1}
    with pytest.raises(TypeError, match="enqueue has no argument 'n'"):
        client.call("page", timeout=0, **unknown)


@pytest.mark.trio
async def test_from_trio_it_is_likewise_called_by_its_name(config: Path, engine: Engine) -> None:
    async with trioq.connect(config) as client:
        with pytest.raises(trioq.WaitTimeout) as late:
            await client.call("page", {"n": 1}, timeout=0)
        await trio.to_thread.run_sync(engine.deliver, 7)
        handle = await client.handle(late.value.uid)
        assert await handle.result() == 7


@pytest.mark.direct  # it brings a network of its own, and counts
@pytest.mark.parametrize("fault", [LoseReply(), LoseRequest()])
def test_a_call_tries_no_longer_than_it_is_to_take(server: Server, fault: Fault) -> None:
    with Proxy(server.direct) as proxy:
        lost = proxy.on(fault, "enqueue", times=None)
        config = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        with trioq.connect_sync(config) as client, pytest.raises(trioq.EnqueueUnknown):
            client.call(plain.call(), timeout=0, queue="low")
        assert lost.struck == 1


@pytest.mark.direct
@pytest.mark.trio
async def test_from_trio_too_a_call_tries_no_longer_than_it_is_to_take(server: Server) -> None:
    with Proxy(server.direct) as proxy:
        lost = proxy.on(LoseReply(), "enqueue", times=None)
        config = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        async with trioq.connect(config) as client:
            with pytest.raises(trioq.EnqueueUnknown):
                await client.call(plain.call(), timeout=0, queue="low")
        assert lost.struck == 1


def kept_s(engine: Engine) -> float | None:
    """For how long the result of the next job is kept."""
    claim = engine.driver.claim()
    return decode(claim.uid, claim.stored).record.options.result_s


def test_what_is_called_is_kept_a_minute_longer_than_it_is_waited_for(
    client: trioq.SyncClient, engine: Engine
) -> None:
    for options, expected_s in (({}, 60.01), ({"result": "2h"}, 7200.0)):
        with pytest.raises(trioq.WaitTimeout):
            client.call(plain.call(), timeout=0.01, **options)
        assert kept_s(engine) == expected_s


@pytest.mark.trio
async def test_a_call_from_trio_likewise(config: Path, engine: Engine) -> None:
    async with trioq.connect(config) as client:
        for options, expected_s in (({}, 60.01), ({"result": "2h"}, 7200.0)):
            with trio.fail_after(PATIENCE_S), pytest.raises(trioq.WaitTimeout):
                await client.call(plain.call(), timeout=0.01, **options)
            assert kept_s(engine) == expected_s


@pytest.mark.trio
async def test_from_trio_too_it_is_known_that_a_result_was_asked_for(
    config: Path, engine: Engine
) -> None:
    async with trioq.connect(config) as client:
        for options, expected in (({}, trioq.NoResultKept), ({"result": 30}, trioq.ResultExpired)):
            handle = await client.enqueue("plain", {}, queue="high", **options)
            engine.ack()  # as if its time were over
            with pytest.raises(expected):
                await handle.result(PATIENCE_S)


@pytest.mark.parametrize(
    ("result", "told"),
    [("soon", 'such as "1h"'), (0, "above 0"), (-1, "above 0"), (True, "expected seconds")],
)
def test_a_wrong_time_for_a_result_is_told(
    client: trioq.SyncClient, result: Any, told: str
) -> None:
    with pytest.raises((trioq.PayloadRejected, TypeError), match=f"result.*{told}"):
        client.enqueue(plain.call(), result=result)


def test_a_timeout_of_nothing_only_looks(client: trioq.SyncClient, engine: Engine) -> None:
    handle = client.enqueue(page.call(1))
    with pytest.raises(trioq.WaitTimeout):
        handle.wait(0)
    engine.deliver(Page(1))
    assert handle.result(0) == Page(1)
