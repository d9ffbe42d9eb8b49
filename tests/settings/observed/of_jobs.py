"""How jobs are accepted and tried: names, queues, sizes, attempts, waits."""

from __future__ import annotations

import secrets

import pytest
import trio

from tests.settings.observed.place import Place, row
from tests.support import unwanted
from trioq.core.events import (
    JobDied,
    JobFailed,
    JobIgnoredCancel,
    JobReleased,
    JobStarted,
    JobSucceeded,
    ParkedExpired,
    ResultNotKept,
)
from trioq.errors import PayloadRejected, QueueFull, QueueUnknown
from trioq.store.inspect import done, stats


def noop(place: Place, name: str = "noop") -> None:
    @place.app.job(name)
    async def handler() -> None:
        pass


def failing(place: Place) -> None:
    @place.app.job("fails")
    async def fails() -> None:
        raise ValueError("no")


def endless(place: Place) -> None:
    @place.app.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()


@row("namespace", "elsewhere")
async def namespace(place: Place) -> None:
    place.configure()
    noop(place)
    uid = place.enqueue("noop")
    assert place.server.call("HEXISTS", "{elsewhere}:jobs", uid) == 1
    async with place.running():
        await place.reported(JobSucceeded, uid=uid)
    with place.admin() as admin:
        assert admin.stats().namespace == "elsewhere"


@row("queues[].name", "slow")
async def names_of_queues(place: Place) -> None:
    place.configure(queues=[{"name": "high"}, {"name": "fast"}])
    noop(place)
    with place.client() as client, pytest.raises(QueueUnknown):
        client.enqueue("noop", {}, queue="fast")
    place.put("noop", "fast")
    uid = place.enqueue("noop", queue="slow")
    async with place.running():
        await place.reported(JobSucceeded, uid=uid)
    with place.admin() as admin:
        queues = admin.stats().queues
    assert (queues["fast"].ready, queues["slow"].ready) == (1, 0), "only its own are served"


@row("queues[].weight", 10_000_000)
async def weight(place: Place) -> None:
    place.configure(worker__count=1)
    noop(place)
    for queue in ("high", "low"):
        for _ in range(3):
            place.enqueue("noop", queue=queue)
    async with place.running():
        await place.reported(JobSucceeded, 6)
    assert place.of(JobStarted)[0].queue == "low", "strict priority begins with high"


@row("queues[].max_wait", "50ms")
async def max_wait(place: Place) -> None:
    place.configure(worker__count=1)
    noop(place)

    @place.app.job
    async def slow() -> None:
        await trio.sleep(0.005)

    with place.client() as client:
        client.enqueue_many(["slow"] * 400, queue="high")
        client.enqueue("noop", {}, queue="low")
    async with place.running():
        await place.reported(JobSucceeded, queue="low")
        with place.admin() as admin:
            assert admin.stats().queues["high"].ready > 0, "strict priority ends with high"


@row("queues[].max_length", 2)
async def max_length(place: Place) -> None:
    place.configure()
    with place.client() as client:
        for _ in range(2):
            client.enqueue("noop", {}, queue="low")
        with pytest.raises(QueueFull):
            client.enqueue("noop", {}, queue="low")
        client.enqueue("noop", {}, queue="high")


@row("queues[].when_full", "drop_oldest")
async def when_full(place: Place) -> None:
    place.configure(queues=[{"name": "high"}, {"name": "low", "max_length": 1}])
    with place.client() as client:
        first, second = (client.enqueue("noop", {}, queue="low") for _ in range(2))
        assert (first.status().reason, second.status().state) == ("dropped", "ready")
    queues = [{"name": "high"}, {"name": "low", "max_length": 1, "when_full": "wait"}]
    place.value = "wait"
    place.configure(queues=queues)
    with place.client() as client, pytest.raises(QueueFull, match="none came in"):
        client.enqueue("noop", {}, queue="low", full_timeout=0.05)


@row("queues[].timeout", "50ms")
async def timeout_of_a_queue(place: Place) -> None:
    place.configure()
    endless(place)
    place.enqueue("endless", queue="low")
    async with place.running():
        (failed,) = await place.reported(JobFailed)
        assert "0.05 s" in failed.error.message


@row("queues[].fair", "tenant")
async def fair(place: Place) -> None:
    place.configure(worker__count=1)
    order = list[str]()

    @place.app.job("told")
    async def told(tenant: str) -> None:
        order.append(tenant)

    for tenant in "aaab":
        place.enqueue("told", {"tenant": tenant})
    async with place.running():
        await place.reported(JobSucceeded, 4)
    assert order == ["a", "b", "a", "a"]


@row("queues[].fair_weights", {"a": 2, "7": 3})
async def fair_weights(place: Place) -> None:
    place.configure(queues=[{"name": "high"}, {"name": "low", "fair": "tenant"}], worker__count=1)
    order = list[object]()

    @place.app.job("told")
    async def told(tenant: str | int) -> None:
        order.append(tenant)

    for tenant in ("b", "b", "b", "a", "a", "a", "a", 7, 7, 7):
        place.enqueue("told", {"tenant": tenant})
    async with place.running():
        await place.reported(JobSucceeded, 10)
    assert order[:6].count(7) == 3
    assert order[:6].count("a") == 2


@row("default_queue", "high")
async def default_queue(place: Place) -> None:
    place.configure()
    uid = place.enqueue("noop")
    with place.admin() as admin:
        assert [view.uid for view in admin.peek("high", 5)] == [uid]


@row("max_payload", "64B")
async def max_payload(place: Place) -> None:
    place.configure()
    with place.client() as client:
        client.enqueue("noop", {"text": "x" * 40})
        with pytest.raises(PayloadRejected, match="64"):
            client.enqueue("noop", {"text": "x" * 80})


@row("worker.max_attempts", 2)
async def max_attempts(place: Place) -> None:
    place.configure(worker__backoff={"base": 0, "cap": 0})
    failing(place)
    place.enqueue("fails")
    async with place.running():
        (died,) = await place.reported(JobDied)
    assert (died.attempt, died.reason) == (2, "failures")


@row("worker.backoff.base", "7s")
async def base(place: Place) -> None:
    place.configure(worker__backoff__jitter=0)
    failing(place)
    place.enqueue("fails")
    async with place.running():
        (failed,) = await place.reported(JobFailed)
    assert failed.again_in_s == 7


@row("worker.backoff.cap", "15ms")
async def cap(place: Place) -> None:
    place.configure(worker__backoff__base="10ms", worker__backoff__jitter=0)
    failing(place)
    place.enqueue("fails")
    async with place.running():
        await place.reported(JobDied)
    assert [failed.again_in_s for failed in place.of(JobFailed)] == [0.01, 0.015, 0.015]


@row("worker.backoff.jitter", 0.0)
async def jitter(place: Place) -> None:
    place.configure(worker__backoff__base="1h", worker__backoff__cap="1h")
    failing(place)
    for _ in range(3):
        place.enqueue("fails")
    async with place.running():
        await place.reported(JobFailed, 3)
    assert [failed.again_in_s for failed in place.of(JobFailed)] == [3600.0] * 3


@row("worker.timeout", "50ms")
async def timeout(place: Place) -> None:
    place.configure()
    endless(place)
    place.enqueue("endless")
    async with place.running():
        (failed,) = await place.reported(JobFailed)
        assert "0.05 s" in failed.error.message


@row("worker.grace", "0s")
async def grace(place: Place) -> None:
    place.configure()
    endless(place)
    place.enqueue("endless")
    with trio.fail_after(5):
        async with place.running():
            await place.reported(JobStarted)
    assert len(place.of(JobReleased)) == 1


@row("worker.cancel_grace", "100ms")
async def cancel_grace(place: Place) -> None:
    place.configure()
    gate = trio.Event()

    @place.app.job("stubborn")
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await gate.wait()

    uid = place.enqueue("stubborn")
    async with place.running():
        (started,) = await place.reported(JobStarted)
        store = place.store
        store.cancel(secrets.token_hex(8), 1, [unwanted(uid, started.queue, started.name)])
        store.lane.close()
        with trio.fail_after(4):  # the default is 5 s
            await place.reported(JobIgnoredCancel)
        gate.set()


@row("worker.unknown_name_after", "200ms")
async def unknown_name_after(place: Place) -> None:
    place.configure(worker__lease="400ms", worker__heartbeat_interval="100ms", reaper__interval=0.1)
    uid = place.enqueue("nobody")
    async with place.running():
        await place.reported(ParkedExpired, name="nobody")
    with place.admin() as admin:
        view = admin.job(uid)
        assert view is not None
        assert (view.state, view.reason) == ("dead", "unknown_name")


@row("worker.id_retention", "0s")
async def id_retention(place: Place) -> None:
    place.configure()
    noop(place)
    first = place.enqueue("noop", id="mine")
    async with place.running():
        await place.reported(JobSucceeded, uid=first)
    with place.client() as client, place.admin() as admin:
        assert client.enqueue("noop", {}, id="mine").is_new, "the engine remembers it"
        assert admin.cancel("mine").result == "cancelled"
        assert client.enqueue("noop", {}, id="mine").is_new, "the operator's tool remembers it"


@row("worker.keep_done", 2)
async def keep_done(place: Place) -> None:
    place.configure()
    noop(place)
    async with place.running():
        for n in range(1, 6):
            place.enqueue("noop")
            await place.until(lambda n=n: stats(place.store).counters.get("done") == n, 5.0)
    assert [summary.attempt for summary in done(place.store)] == [1, 1]


@row("worker.max_result", "10B")
async def max_result(place: Place) -> None:
    place.configure()

    @place.app.job("says", result="1h")
    async def says(length: int) -> str:
        return "x" * length

    kept, not_kept = (place.enqueue("says", {"length": n}) for n in (8, 9))
    async with place.running():
        (told,) = await place.reported(ResultNotKept)
        await place.reported(JobSucceeded, 2)
        await place.until(lambda: place.server.call("HGET", "{t}:results", kept), 5.0)
    assert (told.uid, told.detail) == (not_kept, "it has 11 bytes, the limit is 10")
    told_of = [place.server.call("HGET", "{t}:results", uid) for uid in (kept, not_kept)]
    assert told_of == [b'done "xxxxxxxx"', b"too_large 11 10"]
