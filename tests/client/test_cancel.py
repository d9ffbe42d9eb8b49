"""The wish that a job shall end: what comes of it, wherever the job is, and where it is."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.client.test_client import configured
from tests.client.test_handles import NAME, Engine, NotFound, Page, page, plain
from tests.faults.proxy import LoseReply, LoseRequest, Proxy
from tests.support import PATIENCE_S, Server, wait_until
from trioq import CancelOutcome
from trioq.client.cancel import BY_MAX, Wish, is_told, outcome, whoami
from trioq.client.task_sender import TaskSender
from trioq.core.calls import Ask
from trioq.core.config import Config, RedisConfig
from trioq.core.formats import summary
from trioq.core.job import Record
from trioq.core.outcome import Error
from trioq.core.settlements import Ack, Cancel, Park, RetryAt
from trioq.store.protocol import ClientStore
from trioq.store.redis import RedisStore


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.fixture
def client(config: Path) -> Iterator[trioq.SyncClient]:
    with trioq.connect_sync(config) as opened:
        yield opened


class Asked(Engine):
    """Hears of what is asked of it."""

    def asks(self) -> tuple[Ask, ...]:
        return self.driver.ask(0).asks

    def stop(self, how: str = "stopped") -> Ask:
        """Wait for an ask, and do as it says."""
        wait_until(lambda: bool(self.asks()))
        (ask,) = self.asks()
        told = json.dumps(json.loads(ask.summary) | {"how": how}).encode()
        self.driver.step(0, Cancel(ask.uid, ask.step, told))
        return ask


@pytest.fixture
def engine(server: Server) -> Iterator[Asked]:
    store = server.store()
    yield Asked(store)
    store.lane.close()


def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    return ThreadPoolExecutor(1).submit(function, *args)


# -- what comes of it --------------------------------------------------------------------------

WORDS = ("cancelled", "asked", "dead", "unknown")
TABLE = {
    # How it ended, how it was cancelled → for each word of the server.
    (None, ""): ("was_waiting", "asked", "died_first", "unknown"),
    ("live", ""): ("was_waiting", "asked", "died_first", "unknown"),
    ("done", ""): ("was_waiting", "finished_first", "died_first", "finished_first"),
    ("too_large", ""): ("was_waiting", "finished_first", "died_first", "finished_first"),
    ("unfit", ""): ("was_waiting", "finished_first", "died_first", "finished_first"),
    ("dead", ""): ("was_waiting", "died_first", "died_first", "died_first"),
    ("cancelled", "stopped"): ("was_waiting", "stopped", "died_first", "stopped"),
    ("cancelled", "ignored"): ("was_waiting", "ignored", "died_first", "ignored"),
    ("cancelled", ""): ("was_waiting", "stopped", "died_first", "was_waiting"),
    ("cancelled", "by a later version"): ("was_waiting", "stopped", "died_first", "was_waiting"),
    ("expired", ""): ("was_waiting", "unknown", "died_first", "unknown"),
    ("unknown", ""): ("was_waiting", "unknown", "died_first", "unknown"),
}


@pytest.mark.parametrize(("state", "how"), TABLE)
def test_what_came_of_it_by_what_was_said_and_how_it_ended(state: str | None, how: str) -> None:
    told = [outcome(word, state, how) for word in WORDS]  # type: ignore[arg-type]
    assert [*map(str, told)] == [*TABLE[state, how]]


def test_every_outcome_can_come() -> None:
    assert {one for row in TABLE.values() for one in row} == {*CancelOutcome}


def test_only_what_was_asked_or_is_gone_is_waited_for() -> None:
    assert [is_told(word, 5.0) for word in WORDS] == [True, False, True, False]  # type: ignore[arg-type]
    assert [is_told(word, 0.0) for word in WORDS] == [True, True, True, False]  # type: ignore[arg-type]


# -- wherever it is ----------------------------------------------------------------------------


def test_what_waits_is_cancelled_wherever_it_waits(client: trioq.SyncClient, engine: Asked) -> None:
    behind = client.enqueue(plain.call())
    claim = engine.driver.claim()
    engine.driver.step(0, Park(claim.uid, engine.driver.n, "high", "plain"))
    ready, later = client.enqueue(plain.call()), client.enqueue(plain.call(), delay=60)
    for handle in (behind, ready, later):
        assert handle.cancel("no more") is CancelOutcome.was_waiting
        with pytest.raises(trioq.JobCancelled, match="no more") as told:
            handle.result(0)
        assert told.value.by == whoami()
    assert engine.driver.step(10) == ()


def test_what_runs_is_asked_and_its_end_is_told(client: trioq.SyncClient, engine: Asked) -> None:
    handle = client.enqueue(page.call(1), id="mine")
    engine.driver.claim()
    told = in_thread(handle.cancel, "customer left", None)
    ask = engine.stop()
    said = summary.decode(ask.summary)
    assert said is not None
    assert (ask.uid, said.reason, said.by) == (handle.uid, "customer left", whoami())
    assert (said.name, said.queue, said.id) == ("page", "high", "mine")
    assert told.result(PATIENCE_S) is CancelOutcome.stopped
    assert handle.wait().reason == "customer left"


@pytest.mark.parametrize("how", ["stopped", "ignored"])
def test_from_trio_too(config: Path, engine: Asked, how: str) -> None:
    async def main() -> None:
        async with trioq.connect(config) as client, trio.open_nursery() as nursery:
            first, second = [await client.enqueue(plain.call()) for _ in range(2)]
            engine.driver.claim()
            nursery.start_soon(trio.to_thread.run_sync, engine.stop, how)
            assert await first.cancel("why", wait=None) == how
            assert await second.cancel() is CancelOutcome.was_waiting
            assert await client.cancel(second.uid) is CancelOutcome.was_waiting

    trio.run(main)


def test_who_does_not_answer_in_time_stays_asked(client: trioq.SyncClient, engine: Asked) -> None:
    handle = client.enqueue(plain.call())
    engine.driver.claim()
    assert handle.cancel("first", wait=0) is CancelOutcome.asked
    assert handle.cancel("second", wait=0.01) is CancelOutcome.asked
    (ask,) = engine.asks()
    assert summary.decode(ask.summary).reason == "first"  # type: ignore[union-attr]
    engine.stop()
    assert handle.cancel("third") is CancelOutcome.stopped
    assert handle.wait().reason == "first"


def test_a_success_that_came_first_stays_one(client: trioq.SyncClient, engine: Asked) -> None:
    handle = client.enqueue(page.call(7))
    claim = engine.driver.claim()
    told = in_thread(handle.cancel, "too late", None)
    wait_until(lambda: bool(engine.asks()))
    engine.driver.step(0, Ack(claim.uid, 1))
    assert told.result(PATIENCE_S) is CancelOutcome.finished_first
    assert handle.cancel() is CancelOutcome.finished_first


def test_a_failure_after_it_is_no_further_attempt(client: trioq.SyncClient, engine: Asked) -> None:
    handle = client.enqueue(plain.call())
    claim = engine.driver.claim()
    told = in_thread(handle.cancel, "", None)
    wait_until(lambda: bool(engine.asks()))
    engine.driver.step(0, RetryAt(claim.uid, 1, 0, 1))
    assert told.result(PATIENCE_S) is CancelOutcome.stopped
    assert engine.driver.step(10) == ()


def test_what_is_over_is_told_as_that(client: trioq.SyncClient, engine: Asked) -> None:
    dead, done, kept = [client.enqueue(plain.call()) for _ in range(3)]
    engine.die(Error("ValueError", "no"))
    line = b'{"uid":"%s","name":"plain"}' % done.uid.encode()
    engine.driver.step(0, Ack(engine.driver.claim().uid, engine.driver.n, line))
    engine.deliver(5)
    outcomes = [handle.cancel() for handle in (dead, done, kept)]
    assert outcomes == ["died_first", "finished_first", "finished_first"]
    gone = client.enqueue(plain.call())
    engine.ack()
    assert gone.cancel() is CancelOutcome.unknown
    assert client.cancel("nobody") is CancelOutcome.unknown


def test_what_ends_before_the_request_arrives_is_told_as_that(
    client: trioq.SyncClient, engine: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = client.enqueue(plain.call())
    claim, cancel = engine.driver.claim(), RedisStore.cancel

    def too_late(*arguments: Any) -> Any:
        engine.driver.step(0, Ack(claim.uid, 1))  # nothing is remembered of it
        return cancel(*arguments)

    monkeypatch.setattr(RedisStore, "cancel", too_late)
    assert handle.cancel() is CancelOutcome.finished_first


def test_many_at_once_from_several_threads(client: trioq.SyncClient, engine: Asked) -> None:
    handles = client.enqueue_many([plain.call() for _ in range(20)])
    engine.driver.step(10)
    with ThreadPoolExecutor(20) as threads:
        told = [threads.submit(handle.cancel, "", None) for handle in handles]
        wait_until(lambda: len(engine.asks()) == 10)
        engine.driver.step(0, *(Cancel(ask.uid, ask.step) for ask in engine.asks()))
        outcomes = sorted(each.result(PATIENCE_S) for each in told)
    assert outcomes == ["stopped"] * 10 + ["was_waiting"] * 10


def test_it_is_told_for_as_long_as_the_result_would_have_been(
    client: trioq.SyncClient, server: Server
) -> None:
    own, handlers = client.enqueue(plain.call(), result="2h"), client.enqueue(page.call(1))
    now_ms = int(server.call("TIME")[0]) * 1000
    for handle, hours in ((own, 2), (handlers, 1)):
        handle.cancel()
        due_ms = float(server.call("ZSCORE", "{t}:results_due", handle.uid))
        assert hours * 3_600_000 <= due_ms - now_ms < hours * 3_600_000 + 60_000


def test_a_record_that_cannot_be_read_is_told(client: trioq.SyncClient, server: Server) -> None:
    handle = client.enqueue(plain.call())
    server.call("HSET", "{t}:jobs", handle.uid, b"nonsense")
    with pytest.raises(trioq.errors.RecordUnreadable):
        handle.cancel()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"job": 5}, "a job's id or uid is a text or a UUID, not a int"),
        ({"job": "x", "reason": None}, "reason is None: expected a text"),
        ({"job": "x", "wait": "long"}, "wait is 'long': expected seconds"),
        ({"job": "x", "wait": -1}, "wait is -1"),
    ],
)
def test_wrong_arguments_are_told(client: trioq.SyncClient, arguments: Any, told: str) -> None:
    with pytest.raises((TypeError, trioq.PayloadRejected), match=told):
        client.cancel(**arguments)


# -- answers that get lost ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", [LoseReply(), LoseRequest()])
def test_what_gets_lost_is_sent_again_and_executed_once(server: Server, fault: Any) -> None:
    with Proxy(server.direct) as proxy:
        rules = [proxy.on(fault, name) for name in ("wait_for", "cancel")]
        with trioq.connect_sync(Config(namespace="t", redis=RedisConfig(url=proxy.url))) as client:
            handle = client.enqueue("plain", {})
            assert handle.cancel() is CancelOutcome.was_waiting
        assert [rule.struck for rule in rules] == [1, 1]
    assert server.call("HGET", "{t}:stats", "cancelled") == b"1"


def test_from_trio_it_is_sent_again_too(server: Server) -> None:
    async def main() -> None:
        async with trioq.connect(Config(namespace="t", redis=RedisConfig(url=proxy.url))) as client:
            handle = await client.enqueue("plain", {})
            assert await handle.cancel() is CancelOutcome.was_waiting

    with Proxy(server.direct) as proxy:
        lost = [proxy.on(LoseReply(), name) for name in ("wait_for", "cancel")]
        trio.run(main)
        assert [rule.struck for rule in lost] == [1, 1]
    assert server.call("HGET", "{t}:stats", "cancelled") == b"1"


def test_a_forked_childs_wishes_are_its_own(client: trioq.SyncClient, engine: Asked) -> None:
    first, second = [client.enqueue(plain.call()) for _ in range(2)]
    assert first.cancel() is CancelOutcome.was_waiting
    child = os.fork()
    if child == 0:
        os._exit(0 if second.cancel() is CancelOutcome.was_waiting else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert engine.driver.step(10) == ()


def test_a_forked_childs_writes_from_trio_are_its_own(server: Server) -> None:
    stores = list[RedisStore]()

    def opened() -> RedisStore:
        stores.append(server.store())
        return stores[-1]

    def paused(store: ClientStore, sender: str, number: int, *, what: str) -> bool:
        return store.pause(sender, number, what, True)

    sender = TaskSender(opened, 10.0)
    assert trio.run(sender.send, partial(paused, what="first"))
    child = os.fork()
    if child == 0:
        os._exit(0 if trio.run(sender.send, partial(paused, what="childs")) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert trio.run(sender.send, partial(paused, what="second"))
    assert {*server.call("SMEMBERS", "{t}:paused")} == {b"first", b"childs", b"second"}
    stores[0].lane.close()


def test_of_who_has_cancelled_a_job_no_more_is_kept_than_it_may_be() -> None:
    wish = Wish.checked("no more", None, "x" * 1000)
    record = Record("0" * 32, "plain", "low", b"{}")
    told = summary.decode(wish.of(record).summary)
    assert told is not None
    assert told.by == "x" * BY_MAX


# -- handles that aren't at hand ---------------------------------------------------------------


def test_a_handle_is_had_by_id_or_uid(client: trioq.SyncClient, engine: Asked) -> None:
    made = client.enqueue(page.call(7), id="mine")
    for name in ("mine", made.uid):
        found = client.handle(name, of=page)
        assert (found.uid, found.id, found.name) == (made.uid, "mine", "page")
        assert (found.queue, found.existing, found.is_new) == ("high", "live", False)
    engine.deliver(Page(7))
    assert found.result(PATIENCE_S) == Page(7)
    assert client.handle("mine").existing == "done"
    key = uuid.uuid4()
    uid = client.enqueue(plain.call(), id=key).uid
    assert client.handle(key).uid == uid


def test_a_handle_from_trio(config: Path, engine: Asked) -> None:
    async def main() -> None:
        async with trioq.connect(config) as client:
            made = await client.enqueue(page.call(7))
            found = await client.handle(made.uid, of=page)
            await trio.to_thread.run_sync(engine.deliver, Page(7))
            assert await found.result(PATIENCE_S) == Page(7)
            with pytest.raises(trioq.JobUnknown):
                await client.handle("nobody")

    trio.run(main)


def test_a_job_that_died_raises_its_handlers_error(
    config: Path, client: trioq.SyncClient, engine: Asked
) -> None:
    uid = client.enqueue(page.call(7)).uid
    engine.die(Error(NAME, "x: 404"), args=("x",))
    with trioq.connect_sync(config) as other:
        with pytest.raises(trioq.JobDied):
            other.handle(uid).result(0)
        with pytest.raises(NotFound):
            other.handle(uid, of=page).result(0)


def test_a_handle_of_nothing_or_of_the_wrong_handler_is_refused(client: trioq.SyncClient) -> None:
    with pytest.raises(trioq.JobUnknown, match="no job 'nobody'"):
        client.handle("nobody")
    uid = client.enqueue(page.call(1)).uid
    with pytest.raises(ValueError, match="of the handler 'page', not of 'plain'"):
        client.handle(uid, of=plain)
    with pytest.raises(TypeError, match="of is a handler"):
        client.handle(uid, of="page")  # type: ignore[call-overload]


# -- where it is -------------------------------------------------------------------------------


def test_where_a_job_is(client: trioq.SyncClient, engine: Asked) -> None:
    later = client.enqueue(plain.call(), delay=60).status()
    assert later.state == "scheduled"
    assert later.due_ms is not None
    assert later.enqueued_ms is not None
    assert later.due_ms - later.enqueued_ms >= 60_000
    handle = client.enqueue(plain.call(), id="mine")
    assert (handle.status().state, handle.status().failed) == ("ready", 0)
    claim = engine.driver.claim()
    assert (handle.status().state, handle.status().engine) == ("running", engine.driver.engine)
    engine.driver.step(0, RetryAt(claim.uid, engine.driver.n, 0, 1, b'{"attempt":1}'))
    assert (handle.status().state, handle.status().failed) == ("ready", 1)
    handle.cancel("no more")
    told = handle.status()
    assert (told.state, told.reason, told.by) == ("cancelled", "no more", whoami())
    assert told.ended_ms is not None
    assert told.ended_ms > later.enqueued_ms


def test_why_a_job_does_not_run(client: trioq.SyncClient, engine: Asked) -> None:
    later = client.enqueue(plain.call(), delay=60, id="mine")
    reason, *_ = client.explain(later).reasons
    assert reason.why == "due"
    mine, again = client.explain("mine"), client.explain(later.uid)
    assert (mine.uid, [r.why for r in mine.reasons]) == (again.uid, [r.why for r in again.reasons])
    assert client.explain("nobody").state == "unknown"
    with pytest.raises(TypeError):
        client.explain(None)  # type: ignore[arg-type]


@pytest.mark.trio
async def test_why_a_job_does_not_run_from_trio(config: Path, engine: Asked) -> None:
    async with trioq.connect(config) as client:
        handle = await client.enqueue(plain.call(), delay=60)
        reason, *_ = (await client.explain(handle)).reasons
        assert reason.why == "due"


def test_where_a_job_is_that_has_ended(config: Path, engine: Asked) -> None:
    async def main() -> None:
        async with trioq.connect(config) as client:
            first = await client.enqueue(plain.call())
            await trio.to_thread.run_sync(engine.die, Error("ValueError", "no"))
            told = await first.status()
            assert (told.state, told.reason, told.failed) == ("dead", "failures", 1)
            second = await client.enqueue(plain.call())
            await trio.to_thread.run_sync(engine.ack)
            assert (await second.status()).state == "unknown"

    trio.run(main)
