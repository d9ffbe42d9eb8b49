"""The client in programs of asyncio: many tasks share its requests and its threads, no more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
import trioq.aio
from tests.client.test_client import configured, greet, ready
from tests.client.test_full import CONFIG as FULL
from tests.client.test_handles import Engine, NotFound, Page, page
from tests.engine.rig import rig_on
from tests.support import PATIENCE_S, Server, wait_until
from trioq.client import loop_outbox, resend, sync_waits
from trioq.client import waits as plain_waits
from trioq.core.outcome import Error
from trioq.errors import (
    EnqueueUnknown,
    QueueFull,
    StoreClosed,
    StoreRefused,
    StoreUnreachable,
    WaitTimeout,
)

HOUR_S = 3600.0


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.fixture
def engine(server: Server) -> Iterator[Engine]:
    store = server.store()
    yield Engine(store)
    store.lane.close()


def waiting(server: Server, queue: str = "high") -> list[str]:
    with rig_on(server) as rig:
        return ready(rig, queue)


def run(main: Callable[[trioq.aio.Client], Coroutine[Any, Any, None]], config: Path) -> None:
    async def program() -> None:
        async with asyncio.timeout(PATIENCE_S), trioq.aio.connect(config) as client:
            await main(client)

    asyncio.run(program(), debug=True)


async def until(what: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, what)


@asynccontextmanager
async def paused(server: Server, client: trioq.aio.Client) -> AsyncIterator[asyncio.Task[Any]]:
    """A request of one job is under way, and the server doesn't answer."""
    await client.enqueue(greet.call("the script is loaded"))
    server.pause()
    first = asyncio.create_task(client.enqueue(greet.call("first")))
    outbox: Any = client._outbox
    await until(outbox._outbox._own.turn.locked)
    try:
        yield first
    finally:
        server.resume()
        await asyncio.wait([first])


def outgoing(client: trioq.aio.Client) -> Any:
    """Its numbers, and who waits."""
    outbox: Any = client._outbox
    return outbox._outbox._own.box


# -- enqueues ------------------------------------------------------------------------------------


@pytest.mark.direct  # it counts what one execution did
def test_tasks_that_enqueue_at_once_need_one_request(config: Path, server: Server) -> None:
    async def main(client: trioq.aio.Client) -> None:
        await client.enqueue(greet.call("the script is loaded"))
        server.call("CONFIG", "RESETSTAT")
        await asyncio.gather(*(client.enqueue(greet.call(str(n))) for n in range(100)))

    run(main, config)
    assert "cmdstat_evalsha:calls=1," in server.call("INFO", "commandstats").decode()
    assert len(waiting(server)) == 101


def test_tasks_that_have_met_meet_again(config: Path, server: Server) -> None:
    async def some(client: trioq.aio.Client, made: list[str]) -> None:
        for _ in range(10):
            made.append((await client.enqueue(greet.call("Ada"))).uid)

    made = [list[str]() for _ in range(50)]

    async def main(client: trioq.aio.Client) -> None:
        await asyncio.gather(*(some(client, uids) for uids in made))
        assert outgoing(client).numbering.number <= 20

    run(main, config)
    there = waiting(server)
    assert sorted(there) == sorted(uid for uids in made for uid in uids)
    place = {uid: n for n, uid in enumerate(there)}
    for uids in made:
        assert [place[uid] for uid in uids] == sorted(place[uid] for uid in uids)


def test_many_are_queued_in_their_order(config: Path, server: Server) -> None:
    made: list[str] = []

    async def main(client: trioq.aio.Client) -> None:
        handles = await client.enqueue_many(greet.call("x" * n) for n in range(1, 1300))
        made.extend(handle.uid for handle in handles)

    run(main, config)
    assert waiting(server) == made


def test_who_leaves_before_its_turn_is_never_queued_and_the_others_are(
    own_server: Server, tmp_path: Path
) -> None:
    async def main(client: trioq.aio.Client) -> None:
        async with paused(own_server, client) as first:
            others = [asyncio.create_task(client.enqueue(greet.call(each))) for each in "abc"]
            await until(lambda: len(outgoing(client)._waiting) == 3)
            others[1].cancel()
            with pytest.raises(asyncio.CancelledError):
                await others[1]
        made[:] = [(await each).uid for each in (first, others[0], others[2])]

    made: list[str] = []
    run(main, configured(own_server, tmp_path))
    assert waiting(own_server)[1:] == made


def test_a_request_outlives_who_sends_it(own_server: Server, tmp_path: Path) -> None:
    made: list[str] = []

    async def main(client: trioq.aio.Client) -> None:
        async with paused(own_server, client) as first:
            others = [asyncio.create_task(client.enqueue(greet.call(each))) for each in "ab"]
            await until(lambda: len(outgoing(client)._waiting) == 2)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        made.extend([(await each).uid for each in others])

    run(main, configured(own_server, tmp_path))
    assert waiting(own_server)[-2:] == made


def test_a_full_queue_and_a_refusal_are_told_to_those_alone_whom_they_concern(
    own_server: Server, tmp_path: Path
) -> None:
    async def main(client: trioq.aio.Client) -> None:
        await client.enqueue_many([greet.call("Ada")] * 999, queue="low")
        async with paused(own_server, client) as first:
            made = asyncio.gather(
                *(client.enqueue(greet.call(q), queue=q) for q in ("low", "high", "low", "high")),
                return_exceptions=True,
            )
            await until(lambda: len(outgoing(client)._waiting) == 4)
        got = await made
        assert [type(each) for each in got] == [trioq.Handle, trioq.Handle, QueueFull, trioq.Handle]
        own_server.call("SET", "{t}:ready:high", "not a list")
        with pytest.raises(StoreRefused, match="WRONGTYPE"):
            await client.enqueue(greet.call("Ada"))
        assert first.result().is_new

    run(main, configured(own_server, tmp_path))


def test_without_an_answer_nobody_knows(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "PATIENCE_S", 0.2)

    async def main(client: trioq.aio.Client) -> None:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        with pytest.raises(EnqueueUnknown) as caught:
            await client.enqueue(greet.call("Ada"), id="ada")
        own_server.resume()
        again = await client.enqueue(greet.call("Ada"), id="ada")
        assert again.is_new or again.uid == caught.value.uids[0]
        own_server.kill()
        with pytest.raises(StoreUnreachable):
            await client.handle("ada")

    run(main, configured(own_server, tmp_path))


def test_whoever_is_woken_in_the_moment_in_which_another_stops_sends(
    config: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of two, so that each request leaves others for the next."""
    monkeypatch.setattr(loop_outbox, "LOOK_S", HOUR_S)
    monkeypatch.setattr("trioq.client.outbox.BATCH_JOBS", 2)

    async def main(client: trioq.aio.Client) -> None:
        await asyncio.gather(*(client.enqueue(greet.call(str(n))) for n in range(41)))
        assert outgoing(client).numbering.number >= 21

    run(main, config)
    assert len(waiting(server)) == 41


def test_who_waits_for_room_has_it_or_leaves_the_line(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "jobqueue.toml"
    config.write_text(FULL.format(url=server.url))
    store = server.store()

    def in_line() -> int:
        return int(store.lane.call("HLEN", store.keys.fixed("enqueuers")))

    async def main(client: trioq.aio.Client) -> None:
        await client.enqueue_many([trioq.Call("a", {})] * 2)
        with pytest.raises(QueueFull):
            await client.enqueue("a", full_timeout=0.05)
        left, stays = (asyncio.create_task(client.enqueue("a", id=id)) for id in ("b", "c"))
        await until(lambda: in_line() == 2)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        await until(lambda: in_line() == 1)
        await asyncio.to_thread(Engine(store).ack)
        assert (await stays).is_new

    run(main, config)
    store.lane.close()


# -- ends ----------------------------------------------------------------------------------------


@pytest.fixture
def nobody_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever isn't told or woken waits for an hour."""
    for module in (plain_waits, sync_waits):
        monkeypatch.setattr(module, "CHECK_S", HOUR_S)
    monkeypatch.setattr(sync_waits, "LOOK_S", HOUR_S)


def awaited(client: trioq.aio.Client) -> int:
    """How many jobs somebody waits for."""
    waits: Any = client._waits
    return len(waits.waits._own().waits)


def test_what_its_handlers_make_of_jobs_comes_back(config: Path, engine: Engine) -> None:
    async def main(client: trioq.aio.Client) -> None:
        done, died, quiet = [await client.enqueue(page.call(n)) for n in (7, 8, 9)]
        await asyncio.to_thread(engine.deliver, Page(7))
        assert await done.result(PATIENCE_S) == Page(7)
        assert (await done.status()).state == "done"
        error = Error(f"{__name__.replace('test_aio', 'test_handles')}.NotFound", "/x: 404")
        await asyncio.to_thread(lambda: engine.die(error, args=("/x", 404)))
        with pytest.raises(NotFound, match="/x: 404"):
            await died.result(PATIENCE_S)
        assert await quiet.cancel("no need") == trioq.CancelOutcome.was_waiting
        found = await client.handle(quiet.uid, of=page)
        with pytest.raises(trioq.JobCancelled, match="no need"):
            await found.result(PATIENCE_S)
        assert [status.state async for status in quiet.follow()] == ["cancelled"]
        assert (await client.explain(died)).state == "dead"

    run(main, config)


def test_a_call_gives_what_its_handler_returned(config: Path, engine: Engine) -> None:
    async def main(client: trioq.aio.Client) -> None:
        called = asyncio.create_task(client.call(page.call(7), timeout=PATIENCE_S))
        await until(lambda: engine.store.lane.call("HLEN", engine.store.keys.fixed("waits")))
        await asyncio.to_thread(engine.deliver, Page(7))
        assert await called == Page(7)
        with pytest.raises(WaitTimeout):
            await client.call(page.call(8), timeout=0.05)

    run(main, config)


@pytest.mark.usefixtures("nobody_looks_again")
def test_who_comes_while_a_thread_listens_is_asked_for_at_once(
    config: Path, engine: Engine
) -> None:
    async def main(client: trioq.aio.Client) -> None:
        over, long, late = [await client.enqueue(page.call(n)) for n in (1, 2, 3)]
        await asyncio.to_thread(engine.deliver, Page(1))
        listens = asyncio.create_task(long.result())
        waits: Any = client._waits
        await until(lambda: not waits.waits.has_new and waits.waits._own().ear.is_open)
        assert await over.result() == Page(1)
        soon = asyncio.create_task(late.result())
        await until(lambda: awaited(client) == 2 and not waits.waits.has_new)
        for n in (2, 3):
            await asyncio.to_thread(engine.deliver, Page(n))
        assert (await listens, await soon) == (Page(2), Page(3))
        # And when nobody has waited for a while:
        again = await client.enqueue(page.call(4))
        await asyncio.to_thread(engine.deliver, Page(4))
        assert await again.result() == Page(4)

    run(main, config)


def test_who_waits_no_longer_leaves_nothing_behind(config: Path) -> None:
    async def main(client: trioq.aio.Client) -> None:
        handles = [await client.enqueue(page.call(n)) for n in range(3)]
        with pytest.raises(WaitTimeout):
            await handles[0].wait(0.05)
        assert awaited(client) == 0
        waits = asyncio.create_task(handles[0].wait())
        await until(lambda: awaited(client) == 1)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert awaited(client) == 0
        ends = trioq.as_done(handles)
        assert awaited(client) == 3
        del ends
        await until(lambda: awaited(client) == 0)

    run(main, config)


def test_a_thousand_waits_need_two_threads(config: Path, engine: Engine) -> None:
    async def main(client: trioq.aio.Client) -> None:
        before = threading.active_count()
        handles = await client.enqueue_many(map(page.call, range(1000)))
        waits = [asyncio.create_task(each.result()) for each in handles]
        await until(
            lambda: engine.store.lane.call("HLEN", engine.store.keys.fixed("waits")) == 1000
        )
        assert threading.active_count() <= before + 3  # and one of this test's
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        assert awaited(client) == 0

    run(main, config)


def test_all_that_are_done_come_as_they_end(config: Path, engine: Engine) -> None:
    async def main(client: trioq.aio.Client) -> None:
        handles = await client.enqueue_many(map(page.call, range(3)))

        async def ends() -> list[Any]:
            return [end.result() async for _, end in trioq.as_done(handles, PATIENCE_S)]

        told = asyncio.create_task(ends())
        for n in range(3):
            await asyncio.to_thread(engine.deliver, Page(n))
        assert sorted(each.number for each in await told) == [0, 1, 2]

    run(main, config)


# -- what else there is ----------------------------------------------------------------------------


def test_its_schedules_are_those_of_other_clients(config: Path) -> None:
    async def main(client: trioq.aio.Client) -> None:
        assert await client.schedules.put("nightly", greet.call("Ada"), cron="0 3 * * *")
        assert not await client.schedules.put("nightly", greet.call("Ada"), cron="0 3 * * *")
        assert [each.name for each in await client.schedules.list()] == ["nightly"]
        assert (await client.schedules.run("nightly")).is_new
        assert await client.schedules.remove("nightly")

    run(main, config)
    with trioq.connect_sync(config) as client:
        assert client.schedules.list() == []


def test_what_waits_when_it_is_closed_is_told_so(config: Path) -> None:
    async def main() -> None:
        client = trioq.aio.connect(config)
        handle = await client.enqueue(greet.call("Ada"))
        waits = asyncio.create_task(handle.wait())
        await until(lambda: awaited(client) == 1)
        await client.close()
        with pytest.raises(StoreClosed):
            await waits
        with pytest.raises(StoreClosed):
            await client.enqueue(greet.call("Ada"))
        with pytest.raises(StoreClosed):
            await handle.wait()

    asyncio.run(main())


def test_one_program_after_the_other_may_use_it(config: Path, engine: Engine) -> None:
    client = trioq.aio.connect(config)

    async def main(number: int) -> None:
        handle = await client.enqueue(page.call(number))
        waits = [asyncio.create_task(handle.wait()) for _ in range(2)]
        await until(lambda: awaited(client) == 1)
        if number == 1:
            return  # its loop ends with what it waits for
        await asyncio.to_thread(engine.deliver, Page(1))
        await asyncio.to_thread(engine.deliver, Page(2))
        assert [(await each).result() for each in waits] == [Page(2), Page(2)]
        await client.close()

    asyncio.run(main(1))
    asyncio.run(main(2))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_are_forked_share_one_that_was_made_before(
    config: Path, server: Server
) -> None:
    client = trioq.aio.connect(config)

    async def main(name: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            handle = await client.enqueue(greet.call(name))
            assert (await handle.status()).state == "ready"
            with pytest.raises(WaitTimeout):
                await handle.wait(0.01)
            await handle.status()  # so that a thread of this process is idle

    asyncio.run(main("Ada"))
    if (child := os.fork()) == 0:
        try:
            asyncio.run(main("Bob"))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(main("Eve"))
    asyncio.run(client.close())
    assert len(waiting(server)) == 3


def test_who_is_not_in_asyncio_is_told_where_it_is_for(config: Path) -> None:
    client = trioq.aio.connect(config)

    async def main() -> None:
        await client.handle("a")

    with pytest.raises(RuntimeError, match=r"trioq\.aio is for asyncio.*trioq\.connect,"):
        trio.run(main)


def test_a_program_of_asyncio_loads_no_trio() -> None:
    code = "import sys, trioq.aio; trioq.aio.connect(url='redis://localhost', namespace='n')"
    code += "; loaded = {'trio', 'trioq.app', 'trioq.engine.handlers'} & set(sys.modules)"
    code += "; assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- who leaves, and loops that end ----------------------------------------------------------------


def test_who_gives_up_while_redis_is_away_leaves_no_thread_at_work(
    own_server: Server, tmp_path: Path
) -> None:
    async def giving_up(ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await ask()

    async def main(client: trioq.aio.Client) -> None:
        threads: Any = client._threads  # type: ignore[attr-defined]
        async with paused(own_server, client):
            await giving_up(lambda: client.handle("a"))
            before = threading.active_count()
            for _ in range(10):
                await giving_up(lambda: client.enqueue(greet.call("Ada")))
                await giving_up(lambda: client.handle("a"))
            assert threading.active_count() <= before + 2
        await until(lambda: len(threads._own.idle) == there() > 0)
        assert (await client.enqueue(greet.call("Bob"))).is_new

    def there() -> int:
        return sum(each.name == "trioq client" for each in {*threading.enumerate()} - others)

    others = set(threading.enumerate())
    run(main, configured(own_server, tmp_path))
    assert len(waiting(own_server)) == 3


def test_a_request_that_nobody_waits_for_is_not_sent_again(
    own_server: Server, tmp_path: Path
) -> None:
    async def main(client: trioq.aio.Client) -> None:
        await client.enqueue(greet.call("the script is loaded"))
        own_server.kill()
        tries = [asyncio.create_task(client.enqueue(greet.call("Ada")))]
        tries += [asyncio.create_task(client.cancel("some job"))]
        await until(
            lambda: outgoing(client)._under_way and outgoing(client)._under_way.policy.tries
        )
        for each in tries:
            each.cancel()
        await asyncio.wait(tries)
        threads: Any = client._threads  # type: ignore[attr-defined]
        await until(lambda: len(threads._own.idle) == 2)

    run(main, configured(own_server, tmp_path))


def test_a_loop_that_ends_in_the_midst_of_a_request_holds_up_no_other(config: Path) -> None:
    client = trioq.aio.connect(config)
    loop = asyncio.new_event_loop()
    sends = loop.create_task(client.enqueue(greet.call("Ada")))
    outbox: Any = client._outbox
    while not outbox._sending:
        loop.run_until_complete(asyncio.sleep(0))
    wait_until(lambda: not (outgoing(client)._waiting or outgoing(client)._under_way))

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            assert (await client.enqueue(greet.call("Bob"))).is_new
            await client.close()

    asyncio.run(main())
    sends.cancel()
    loop.run_until_complete(asyncio.wait([sends]))
    loop.close()


def test_two_loops_share_one_client_and_its_threads(config: Path, engine: Engine) -> None:
    client = trioq.aio.connect(config)
    runners = [asyncio.Runner(), asyncio.Runner()]
    tasks = list[asyncio.Task[Any]]()
    before = threading.active_count()

    async def begin(number: int) -> None:
        handle = await client.enqueue(page.call(number))
        tasks.append(asyncio.create_task(handle.result(PATIENCE_S)))
        await asyncio.sleep(0)
        await handle.status()

    async def end(mine: list[asyncio.Task[Any]]) -> None:
        for each in mine:
            await each

    for number in range(12):
        runners[number % 2].run(begin(number))
    assert threading.active_count() <= before + 5
    for number in range(12):
        engine.deliver(Page(number))
    for first, runner in enumerate(runners):
        runner.run(end(tasks[first::2]))
    assert [each.result() for each in tasks] == [Page(number) for number in range(12)]
    runners[0].run(client.close())
    for runner in runners:
        runner.close()
