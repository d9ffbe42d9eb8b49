"""What handlers return and raise, as whoever waits for it has it: whole engines and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio

import trioq
from tests.engine import returning
from tests.engine.returning import PAGES, TOTAL, NotFound, NoUse, Page
from tests.engine.rig import Rig, boot_of, config_of, rig_on
from tests.engine.shard.test_lost_boots import reap
from tests.support import PATIENCE_S, Server
from trioq.core.config.sections import CommandConfig
from trioq.core.events import (
    BootLost,
    JobStarted,
    JobSucceeded,
    RedisAway,
    RedisBack,
    ResultDropped,
    ResultNotKept,
    SettlementRefused,
)
from trioq.errors import JobDied, NoResultKept, ResultTooLarge, ResultUnfit

pytestmark = pytest.mark.trio

KINDS = ["quick", "waiting", "in_thread", "gives_coroutine", "apart", "thread_apart"]

#: What a handler returns, and what of it comes out of JSON.
RETURNED: dict[str, Any] = {
    "nothing": None, "a number": 7, "a text": "ä\n\"", "an object": {"a": [1, {"b": None}]},
    "a list": [1, "x"], "a page": {"number": 0, "on": "2026-11-01"}, "a set": [1],
}  # fmt: skip


@pytest.fixture
def rig(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    rig.app = returning.app if "apart" in request.node.name else returning.here
    rig.config = config_of(runners=1, timeout_s=30.0)
    return rig


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[trioq.Client]:
    """Of an engine that runs."""
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        yield client


def handler(name: str) -> Any:
    return getattr(returning, name)


@pytest.mark.parametrize("name", KINDS)
async def test_what_a_handler_returns_is_what_its_waiter_gets(
    client: trioq.Client, name: str
) -> None:
    call = handler(name).call
    # Many at once: so some of them are run in one go.
    handles = {what: await client.enqueue(call(what)) for what in RETURNED for _ in range(3)}
    got = {what: await handle.result(PATIENCE_S) for what, handle in handles.items()}
    assert got == RETURNED


@pytest.mark.parametrize("name", KINDS)
async def test_a_job_whose_result_cannot_be_kept_is_done_all_the_same(
    rig: Rig, client: trioq.Client, name: str
) -> None:
    end = await (await client.enqueue(handler(name).call("too much"))).wait(PATIENCE_S)
    assert (end.state, type(end.error)) == ("done", ResultTooLarge)
    assert isinstance(end.error, ResultTooLarge)
    assert (end.error.size, end.error.most) == (100_002, 64_000)
    with pytest.raises(ResultUnfit, match="not representable as JSON"):
        await client.call(handler(name).call("what JSON has not"), timeout=PATIENCE_S)
    told = [(event.name, event.why) for event in await rig.reported(ResultNotKept, 2)]
    assert told == [(name, "too_large"), (name, "unfit")]
    assert len(rig.of(JobSucceeded)) == 2


@pytest.mark.parametrize("name", KINDS)
async def test_what_it_has_said_last_is_known_when_it_is_done(
    client: trioq.Client, name: str
) -> None:
    call = handler(name).call("nothing, and says so")
    for handle in [await client.enqueue(call) for _ in range(5)]:
        await handle.wait(PATIENCE_S)
        status = await handle.status()
        assert (status.state, status.attempt, status.logged) == ("done", 1, 3)
        assert status.log == ("ä", "line", "\\")
        assert (status.progress, status.text, status.data) == (1.0, '"all" of it ä', [3])


async def test_a_result_is_of_the_declared_type(client: trioq.Client) -> None:
    assert await client.call(returning.page.call(1), timeout=PATIENCE_S) == PAGES[1]
    assert await client.call(returning.total.call(), timeout=PATIENCE_S) == TOTAL


async def test_ordinary_code_waits_too(rig: Rig) -> None:
    def wait() -> tuple[Page, list[Any]]:
        with trioq.connect_sync(rig.whole_config) as client:
            page = client.call(returning.page.call(2), timeout=PATIENCE_S)
            handles = [client.enqueue(returning.in_thread.call("a number")) for _ in range(5)]
            return page, [handle.result(PATIENCE_S) for handle in handles]

    async with rig.running():
        assert await trio.to_thread.run_sync(wait) == (PAGES[2], [7] * 5)


async def test_a_thousand_are_had_as_they_are_done(rig: Rig, client: trioq.Client) -> None:
    calls = [returning.quick.call("a number") for _ in range(500)]
    calls += [returning.in_thread.call("a number") for _ in range(500)]
    handles = await client.enqueue_many(calls)
    got = [end.result() async for _, end in trioq.as_done(handles, timeout=PATIENCE_S)]
    assert got == [7] * 1000


async def test_a_call_says_for_how_long_and_without_that_nothing_is_kept(
    rig: Rig, client: trioq.Client
) -> None:
    kept = await client.enqueue(returning.nobody_asks.call("a number"), result="1h")
    assert await kept.result(PATIENCE_S) == 7
    for _ in range(3):
        handle = await client.enqueue(returning.nobody_asks.call("a number"))
        with pytest.raises(NoResultKept):
            await handle.result(PATIENCE_S)
    assert rig.of(ResultDropped) == [ResultDropped("nobody_asks", "low")], "told once"


async def test_who_returns_nothing_drops_nothing(rig: Rig, client: trioq.Client) -> None:
    handle = await client.enqueue(returning.nobody_asks.call("nothing"))
    await handle.wait(PATIENCE_S)
    assert rig.of(ResultDropped) == []


async def test_of_a_program_it_is_how_it_ended_and_what_it_said(rig: Rig) -> None:
    rig.config = attrs.evolve(
        rig.config, commands={"say": CommandConfig(argv=("echo", "{what}"), queue="low")}
    )
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        said = await client.enqueue("say", {"what": "ä"}, result=60)
        assert await said.result(PATIENCE_S) == {"exit": 0, "stdout": "ä\n"}
        with pytest.raises(NoResultKept):
            await (await client.enqueue("say", {"what": "x"})).result(PATIENCE_S)
    assert rig.of(ResultDropped) == [], "it always says how it ended"


FAILING = ["fails", "waits_and_fails", "fails_in_thread", "fails_apart"]


@pytest.mark.parametrize("name", FAILING)
async def test_a_registered_error_is_raised_as_itself(client: trioq.Client, name: str) -> None:
    call = handler(name).call
    with pytest.raises(NotFound) as known:
        await client.call(call("known"), timeout=PATIENCE_S)
    assert (known.value.path, known.value.code) == ("/a", 410)
    assert isinstance(known.value.__cause__, JobDied)
    assert "_raise" in known.value.__cause__.traceback
    with pytest.raises(NotFound) as grouped:
        await client.call(call("grouped"), timeout=PATIENCE_S)
    assert grouped.value.path == "/b"
    with pytest.raises(NoUse, match="never") as no_use:
        await client.call(call("no use"), timeout=PATIENCE_S)
    assert isinstance(no_use.value.__cause__, JobDied)
    assert no_use.value.__cause__.reason == "gave_up"


@pytest.mark.parametrize("name", FAILING)
async def test_any_other_error_is_told_of(rig: Rig, client: trioq.Client, name: str) -> None:
    handle = await client.enqueue(handler(name).call("unknown"))
    with pytest.raises(JobDied) as died:
        await handle.result(PATIENCE_S)
    assert (died.value.type, died.value.message) == ("tests.engine.returning.Unknown", "who?")
    assert "args" not in rig.history(handle.uid)[-1], "nobody makes it anew"


@pytest.mark.parametrize("name", FAILING)
async def test_of_arguments_that_json_cannot_hold_or_that_are_long_the_text_is_left(
    rig: Rig, client: trioq.Client, name: str
) -> None:
    for what in ("unfit", "long"):
        handle = await client.enqueue(handler(name).call(what))
        with pytest.raises(NotFound) as known:
            await handle.result(PATIENCE_S)
        (line,) = rig.history(handle.uid)
        assert "args" not in line
        assert known.value.path == line["message"]


@pytest.mark.parametrize("name", KINDS)
async def test_a_large_result_is_had_where_that_is_allowed(rig: Rig, name: str) -> None:
    rig.config = config_of(runners=1, timeout_s=30.0, max_result_bytes=2_000_002)
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        assert await client.call(handler(name).call("much"), timeout=PATIENCE_S) == returning.MUCH


# -- what gets lost ----------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["request", "reply"])
async def test_a_result_is_there_also_if_its_step_gets_lost(rig: Rig, fate: str) -> None:
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        wire = rig.wires["step"]
        wire.only_settling, wire.lose = True, [fate, fate]
        handles = await client.enqueue_many([returning.quick.call("a number") for _ in range(20)])
        assert [await handle.result(PATIENCE_S) for handle in handles] == [7] * 20
        await rig.until(lambda: not wire.lose)
    assert rig.stats().counters["done"] == 20
    assert rig.of(SettlementRefused) == []


async def test_results_wait_while_redis_is_away(own_server: Server) -> None:
    with rig_on(own_server) as rig:
        gate = trio.Event()

        @rig.app.job("gated", result="1h")
        async def gated(n: int) -> str:
            await gate.wait()
            return f"{n}".ljust(60_000)

        rig.config = config_of(count=40, lease_s=20.0)
        async with rig.running(), trioq.connect(rig.whole_config) as client:
            handles = await client.enqueue_many([gated.call(n) for n in range(40)])
            await rig.reported(JobStarted, 40)
            own_server.pause()
            gate.set()
            await rig.reported(JobSucceeded, 40)
            await rig.reported(RedisAway)
            own_server.resume()
            # More than one step carries.
            got = {end.result().strip() async for _, end in trioq.as_done(handles, PATIENCE_S)}
            await rig.reported(RedisBack)
        assert got == {str(n) for n in range(40)}
        sizes = [
            sum(len(word) for word in sent if isinstance(word, bytes))
            for sent in rig.wires["step"].sent
        ]
        assert max(sizes) < 2 << 20
        assert len([size for size in sizes if size > 500_000]) >= 2


@pytest.mark.direct  # it counts what is sent
@pytest.mark.parametrize("was_executed", [False, True])
async def test_a_result_that_comes_after_the_reap_is_nobodys(rig: Rig, was_executed: bool) -> None:
    """Another run's is kept; unless the step had been executed, and only its reply was lost."""
    rig.app, gate, runs = trioq.App(), trio.Event(), list[str]()

    @rig.app.job("gated", result="1h")
    async def gated(job: trioq.Job) -> int:
        runs.append(job.token)
        await gate.wait()
        return len(runs)

    async with rig.running(), trioq.connect(rig.whole_config) as client:
        handle = await client.enqueue(gated.call(), queue="low")
        await rig.reported(JobStarted)
        first = boot_of(rig)
        waits, let_go = rig.wires["step"].hold_back(*["reply"] * was_executed)
        gate.set()
        await waits.wait()
        await reap(rig, first)
        let_go.set()
        assert await handle.result(PATIENCE_S) == (1 if was_executed else 2)
        await rig.reported(BootLost)
        await rig.until(lambda: rig.stats().counters.get("done") == 1)
    assert len(runs) == (1 if was_executed else 2)
