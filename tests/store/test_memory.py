"""The memory store's own: the protocol, its clock, its bells and its lock."""

from __future__ import annotations

import inspect
import threading

import pytest

from tests.support import new_job
from trioq.core.calls import Step
from trioq.store.memory import MemoryStore
from trioq.store.protocol import ClientStore, EngineStore
from trioq.store.redis import RedisStore


def test_the_memory_store_wakes_a_waiting_thread() -> None:
    store, heard = MemoryStore(), list[bool]()
    thread = threading.Thread(target=lambda: heard.append(store.wait(["high", "low"], 30.0)))
    thread.start()
    store.enqueue("s", 1, [new_job("low")])
    thread.join(30.0)
    assert heard == [True]
    assert not store.wait(["low"], 0.0)


def test_the_memory_store_tells_listeners_which_bell_begins_to_ring() -> None:
    store, heard = MemoryStore(), list[str]()
    store.on_ring(heard.append)
    store.enqueue("s", 1, [new_job("low"), new_job("low")])
    store.enqueue("s", 2, [new_job("low")])
    assert heard == ["low"]
    assert store.wait(["low"], 0.0)
    store.enqueue("s", 3, [new_job("high"), new_job("low")])
    assert sorted(heard) == ["high", "low", "low"]


def test_the_memory_store_asks_the_clock_it_was_given() -> None:
    now_s = 100.0
    store = MemoryStore(clock=lambda: now_s)
    store.register("e.1", b"{}")
    store.enqueue("s", 1, [new_job(delay_ms=1500)])
    now_s += 1.4999
    reply = store.step(Step("e.1", 1, 1, ("low",)))
    assert getattr(reply, "next_due_ms", None) == 1
    now_s += 0.0001
    assert len(getattr(store.step(Step("e.1", 2, 1, ("low",))), "claims", ())) == 1


def test_threads_may_share_a_memory_store() -> None:
    store = MemoryStore()

    def produce(sender: str) -> None:
        for n in range(1, 101):
            store.enqueue(sender, n, [new_job()])

    threads = [threading.Thread(target=produce, args=(f"s{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.space.jobs) == 400


@pytest.mark.parametrize("store", [RedisStore, MemoryStore])
@pytest.mark.parametrize("protocol", [EngineStore, ClientStore])
def test_each_store_has_the_whole_protocol(store: type, protocol: type) -> None:
    for name, method in inspect.getmembers(protocol, inspect.isfunction):
        if not name.startswith("_"):
            own = inspect.signature(getattr(store, name))
            assert own == inspect.signature(method), name
