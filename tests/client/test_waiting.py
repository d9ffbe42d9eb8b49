"""Who listens for all goes on listening while another asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import trio
import trio.testing

from tests.store.drive import Driver, Sender
from tests.support import PATIENCE_S, Server
from trioq.client.task_waits import TaskWaits
from trioq.core.calls import End
from trioq.core.settlements import Ack
from trioq.store.keys import Keys
from trioq.store.lane import Lane
from trioq.store.listening import Listening
from trioq.store.redis import RedisStore


class SlowToAsk(RedisStore):
    """Asks when it may."""

    def __init__(self, keys: Keys, lane: Lane, may: threading.Event) -> None:
        super().__init__(keys, lane)
        self._may = may

    def wait_for(self, client: str, jobs: Sequence[tuple[str, str | None]]) -> list[End]:
        assert self._may.wait(PATIENCE_S)
        return super().wait_for(client, jobs)


def test_what_is_told_while_another_asks_is_heard(server: Server, store: RedisStore) -> None:
    sender, engine, may_ask = Sender(store), Driver(store), threading.Event()
    first, second, third = (sender.enqueue_new() for _ in range(3))
    lanes = [server.lane("asks"), server.lane("ends")]
    waits = TaskWaits(
        lambda: SlowToAsk(store.keys, lanes[0], may_ask),
        lambda name: Listening(lanes[1], store.keys, name),
        10.0,
    )
    told = dict[str, End]()

    async def wait(uid: str) -> None:
        told[uid] = await waits.end_of(uid, None)

    def noted() -> int:
        count: int = store.lane.call("HLEN", store.keys.fixed("waits"))
        return count

    async def until(what: Callable[[], bool]) -> None:
        while not what():  # noqa: ASYNC110 - the server doesn't tell
            await trio.sleep(0.01)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            may_ask.set()
            nursery.start_soon(wait, first)
            await until(lambda: noted() == 1 and not waits._own.asks)
            nursery.start_soon(wait, second)
            # Until it has its answer: it would ask for the third one, too.
            await until(lambda: noted() == 2 and not waits._own.asks)
            may_ask.clear()
            nursery.start_soon(wait, third)
            await trio.testing.wait_all_tasks_blocked()
            claims = engine.step(3)
            engine.step(0, Ack(second, engine.n))
            await until(lambda: second in told)
            may_ask.set()
            await until(lambda: noted() == 2)
            engine.step(0, *(Ack(c.uid, engine.n - 1) for c in claims if c.uid != second))

    try:
        trio.run(main)
    finally:
        for lane in lanes:
            lane.close()
    assert told == dict.fromkeys((first, second, third), End("done"))
