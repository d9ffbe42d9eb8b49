"""What Prometheus is told: all of it, of the right type, true, bounded, and never old."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

import trioq
from tests.observe.scraped import (
    OPENMETRICS,
    Scrape,
    Told,
    ask,
    becomes,
    configured,
    engine,
    eventually,
    scrape,
)
from tests.store.drive import Driver, Sender
from tests.support import Server, new_job
from trioq.core.events import JobReleased
from trioq.observe.metrics.catalogue import ALL, FAILURES
from trioq.observe.metrics.labels import OTHER

app = trioq.App()


@app.job("good", queue="high")
async def good() -> None:
    pass


@app.job("flaky", retry=trioq.Retry(max_attempts=2, base=0.01, cap=0.01))
async def flaky(job: trioq.Job) -> None:
    if job.attempt == 1:
        raise ValueError("the first time it fails")


@app.job("bad", retry=trioq.Retry(max_attempts=2, base=0.01, cap=0.01))
async def bad() -> None:
    raise OSError("it always fails")


@app.job("slow", timeout=0.02, retry=trioq.Retry(max_attempts=1))
async def slow() -> None:
    await trio.sleep_forever()


@app.job("quitter")
async def quitter() -> None:
    raise trioq.GiveUp("no use")


@app.job("later", retry=trioq.Retry(max_attempts=1))
async def later() -> None:
    raise trioq.RetryLater(0.01)


@app.job("picky")
async def picky(n: int) -> None:
    pass


@app.job("snoozer")
async def snoozer(job: trioq.Job, seen: list[str] | None = None) -> None:
    if job.uid not in SNOOZED:
        SNOOZED.add(job.uid)
        raise trioq.Snooze(0.01)


@app.job("endless")
async def endless() -> None:
    await trio.sleep_forever()


SNOOZED: set[str] = set()

COMMAND = """
[commands.false]
argv = ["false"]
max_attempts = 1
"""


@asynccontextmanager
async def served(
    server: Server, tmp_path: Path, more: str = COMMAND
) -> AsyncIterator[tuple[trioq.Engine, trioq.Client]]:
    config = configured(server, tmp_path, more=more)
    async with trioq.connect(config) as client, engine(app, config) as made:
        yield made, client


def families(*, openmetrics: bool) -> dict[str, str]:
    """Every family and its type, as one of the formats writes them."""
    if openmetrics:
        return {metric.name: metric.kind for metric in ALL}
    texts = {f"{metric.name}_info": "gauge" for metric in ALL if metric.kind == "info"}
    return {metric.name: metric.kind for metric in ALL if metric.kind != "info"} | texts


@pytest.mark.trio
async def test_every_metric_is_there_and_of_its_type(server: Server, tmp_path: Path) -> None:
    async with served(server, tmp_path) as (made, client):
        await client.enqueue(good.call())
        await becomes(made.http, 1.0, "trioq_jobs_completed_total", queue="high", job_name="good")
        await becomes(made.http, 1.0, "trioq_engines")
        classic = await ask(made.http, "/metrics")
        modern = await ask(made.http, "/metrics", accept=OPENMETRICS)

    assert classic.headers["content-type"].startswith("text/plain")
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    for text, openmetrics in ((classic.text, False), (modern.text, True)):
        seen = Scrape.of(text, openmetrics=openmetrics)
        ours = {name: kind for name, kind in seen.kinds.items() if name.startswith("trioq_")}
        assert ours == families(openmetrics=openmetrics)
        assert "process_resident_memory_bytes" in seen.kinds


@pytest.mark.needs("promtool")
@pytest.mark.trio
async def test_prometheus_has_nothing_to_say(server: Server, tmp_path: Path) -> None:
    async with served(server, tmp_path) as (made, client):
        await client.enqueue(good.call())
        await becomes(made.http, 1.0, "trioq_jobs_completed_total", queue="high", job_name="good")
        page = await ask(made.http, "/metrics")
    assert await trio.to_thread.run_sync(lint, page.text) == ""


def lint(text: str) -> str:
    """What Prometheus's linter has to say."""
    return subprocess.run(
        ["promtool", "check", "metrics"],
        input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    ).stdout  # fmt: skip


def test_names_follow_the_conventions() -> None:
    for metric in ALL:
        assert metric.name.startswith("trioq_")
        assert metric.help.endswith("."), metric.name
        assert not {"job", "instance"} & set(metric.labels), "Prometheus's own labels"
        if metric.kind == "histogram":
            assert metric.unit == "seconds" or metric.name.endswith("_jobs")
            assert list(metric.buckets) == sorted(set(metric.buckets))
    assert len({metric.name for metric in ALL}) == len(ALL)


# -- what happens is counted -------------------------------------------------------------------


@pytest.mark.trio
async def test_each_end_of_a_run_is_counted_for_what_it_is(server: Server, tmp_path: Path) -> None:
    async with served(server, tmp_path) as (made, client):
        for name in ("good", "flaky", "bad", "slow", "quitter", "later", "snoozer", "false"):
            await client.enqueue(name, queue="low")
        await client.enqueue("picky", {"n": "not a number"})
        seen = await becomes(made.http, 6.0, "trioq_namespace_jobs_dead_total")
        seen = await becomes(made.http, 3.0, "trioq_namespace_jobs_done_total")
        seen = await scrape(made.http)

    def of(name: str, job_name: str, **labels: str) -> float | None:
        return seen(name, queue="low", job_name=job_name, **labels)

    def failed(job_name: str) -> dict[str, float]:
        counts = {r: of("trioq_jobs_failed_total", job_name, reason=r) for r in FAILURES}
        return {reason: count for reason, count in counts.items() if count}

    def dead(job_name: str) -> dict[str, float]:
        reasons = ("failures", "gave_up", "bad_payload")
        counts = {r: of("trioq_jobs_dead_total", job_name, reason=r) for r in reasons}
        return {reason: count for reason, count in counts.items() if count}

    assert [of("trioq_jobs_completed_total", n) for n in ("good", "flaky", "snoozer", "bad")] == [
        1.0, 1.0, 1.0, 0.0
    ]  # fmt: skip
    assert [of("trioq_jobs_retried_total", n) for n in ("flaky", "bad", "slow", "snoozer")] == [
        1.0, 1.0, 0.0, 0.0
    ]  # fmt: skip
    assert of("trioq_jobs_snoozed_total", "snoozer") == 1.0
    assert failed("good") == {}
    assert (failed("flaky"), dead("flaky")) == ({"exception": 1}, {})
    assert (failed("bad"), dead("bad")) == ({"exception": 2}, {"failures": 1})
    assert (failed("slow"), dead("slow")) == ({"timeout": 1}, {"failures": 1})
    assert (failed("quitter"), dead("quitter")) == ({"gave_up": 1}, {"gave_up": 1})
    assert (failed("later"), dead("later")) == ({"retry_later": 1}, {"failures": 1})
    assert (failed("picky"), dead("picky")) == ({"bad_payload": 1}, {"bad_payload": 1})
    assert (failed("false"), dead("false")) == ({"command": 1}, {"failures": 1})
    # Every run was claimed, and has its time; every job that ended has another.
    assert seen("trioq_jobs_claimed_total") == 12.0
    assert sum(seen.all("trioq_job_run_seconds_count").values()) == 11.0, "a snooze isn't a run"
    assert sum(seen.all("trioq_job_end_to_end_seconds_count").values()) == 9.0
    assert seen("trioq_step_claimed_jobs_sum") == 12.0
    assert seen("trioq_step_settled_jobs_sum") == 12.0
    slowest = seen("trioq_job_run_seconds_sum", queue="low", job_name="slow")
    assert slowest is not None
    assert slowest >= 0.02


@pytest.mark.direct  # how many were reaped, or died, only the first answer tells
@pytest.mark.trio
async def test_jobs_of_the_dead_and_of_nobody_are_counted(server: Server, tmp_path: Path) -> None:
    store = server.store()
    driver = Driver(store, queues=("high", "low"))
    Sender(store).enqueue(new_job("low", "good"), new_job("low", "endless"))
    driver.step(2)
    Sender(store).enqueue(new_job("low", "nobody"), new_job("low", "good", b"not JSON"))
    async with served(server, tmp_path) as (made, _):
        await becomes(made.http, 2.0, "trioq_jobs_reaped_total")
        await becomes(
            made.http, 1.0, "trioq_jobs_dead_total",
            queue="low", job_name=OTHER, reason="unknown_name",
        )  # fmt: skip
        await becomes(
            made.http, 1.0, "trioq_jobs_dead_total",
            queue="low", job_name="good", reason="undecodable",
        )  # fmt: skip
        seen = await becomes(made.http, 1.0, "trioq_jobs_running")
        assert seen("trioq_engines_reaped_total") == 1.0
        parked = seen("trioq_jobs_parked_total", queue="low", job_name=OTHER, reason="unknown_name")
        assert parked == 1.0
        assert seen("trioq_workers") == 4.0
        await becomes(made.http, 1.0, "trioq_queue_jobs", queue="low", state="running")
    store.lane.close()


@pytest.mark.trio
async def test_jobs_given_back_at_the_end_are_counted(server: Server, tmp_path: Path) -> None:
    config = configured(server, tmp_path)
    config = attrs.evolve(config, worker=attrs.evolve(config.worker, grace_s=0.0))
    told = Told()
    made = trioq.Engine(app, config, report=told)
    metrics = made.metrics
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        await nursery.start(made.run)
        await client.enqueue("endless")
        await becomes(made.http, 1.0, "trioq_jobs_running")
        made.drain()
    assert len(told.of(JobReleased)) == 1
    assert metrics.registry.get_sample_value("trioq_jobs_released_total") == 1.0


@pytest.mark.trio
async def test_a_breaker_shows_its_state_and_what_it_parks(server: Server, tmp_path: Path) -> None:
    async with served(server, tmp_path) as (made, client):
        for _ in range(8):
            await client.enqueue("bad", queue="low")
        seen = await becomes(made.http, 1.0, "trioq_breaker_state", job_name="bad", state="open")
        states = seen.all("trioq_breaker_state")
        assert sum(v for labels, v in states.items() if ("job_name", "bad") in labels) == 1.0
        opened = seen("trioq_breaker_changes_total", job_name="bad", state="open")
        assert opened is not None
        assert opened >= 1.0


@pytest.mark.trio
async def test_a_breaker_that_all_engines_share_is_told_once_whoever_adds_up(
    server: Server, tmp_path: Path
) -> None:
    app = trioq.App()
    api = trioq.Breaker("api", shared=True)

    @app.job("call", breaker=api, retry=trioq.Retry(max_attempts=1))
    async def call() -> None:
        raise OSError("away")

    config = configured(server, tmp_path)
    async with engine(app, config) as made, trioq.connect(config) as client:
        for _ in range(8):
            await client.enqueue("call", queue="low")
        seen = await becomes(
            made.http, 0.0, "trioq_shared_breaker_state", breaker="api", state="closed"
        )
    states = seen.all("trioq_shared_breaker_state")
    assert sum(states.values()) == 1
    changes = seen("trioq_shared_breaker_changes_total", breaker="api")
    assert changes is not None
    assert changes >= 1
    assert seen.all("trioq_breaker_state") == {}
    assert not any(seen.all("trioq_breaker_changes_total").values())


@pytest.mark.direct  # a repeated answer has no time to wait
@pytest.mark.trio
async def test_producing_is_counted_and_the_limiter_shows_its_use(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for n in range(7):
        path = tmp_path / "data" / f"{n}.txt"
        path.write_text("x")
        os.utime(path, (1, 1))
    more = """
[producer]
scan_dir = "data"
watch = true
scan_interval = "100ms"
[limiter]
rate = 0.0001
burst = 5
"""
    async with served(server, tmp_path, more) as (made, _):
        seen = await becomes(made.http, 5.0, "trioq_jobs_produced_total", queue="low")
        seen = await becomes(made.http, 1.0, "trioq_limiter_hits_total", limiter="producer")
        assert seen("trioq_limiter_burst_permits", limiter="producer") == 5.0
        waited = seen("trioq_limiter_wait_seconds_total", limiter="producer")
        assert waited is not None
        assert waited > 1000

        async def used_up() -> bool:
            used = (await scrape(made.http))("trioq_limiter_used_permits", limiter="producer")
            return used is not None and used > 4.99

        await eventually(used_up)


# -- gauges of the namespace ---------------------------------------------------------------------


@pytest.mark.trio
async def test_queues_are_told_as_they_are(server: Server, tmp_path: Path) -> None:
    store = server.store()
    sender = Sender(store)
    sender.enqueue(*(new_job("low", "good") for _ in range(5)))
    sender.enqueue_new("low", name="good", delay_ms=3_600_000)
    sender.enqueue_new("elsewhere", name="good")
    store.pause(*sender.next(), "low", True)
    async with served(server, tmp_path) as (made, client):
        seen = await becomes(made.http, 5.0, "trioq_queue_jobs", queue="low", state="ready")
        assert seen("trioq_queue_jobs", queue="low", state="scheduled") == 1.0
        assert seen("trioq_queue_jobs", queue="high", state="ready") == 0.0
        assert seen("trioq_queue_jobs", queue=OTHER, state="ready") == 1.0
        assert seen("trioq_queue_paused", queue="low") == 1.0
        assert seen("trioq_queue_paused", queue="high") == 0.0
        assert seen("trioq_queue_served", queue="low") == 1.0
        assert seen("trioq_queue_served", queue=OTHER) == 0.0
        assert seen("trioq_namespace_jobs_enqueued_total") == 7.0
        await client.enqueue("good", queue="low")
        seen = await becomes(made.http, 6.0, "trioq_queue_jobs", queue="low", state="ready")
        aged = seen("trioq_queue_oldest_ready_seconds", queue="low")
        assert aged is not None
        assert 0 <= aged < 3600
        store.pause(*sender.next(), "low", False)
        await becomes(made.http, 0.0, "trioq_queue_jobs", queue="low", state="ready")
        seen = await becomes(made.http, 0.0, "trioq_queue_paused", queue="low")
        assert seen("trioq_queue_oldest_ready_seconds", queue="low") is None
    store.lane.close()


@pytest.mark.trio
async def test_sums_over_two_engines_are_right_because_one_counts_for_both(
    server: Server, tmp_path: Path
) -> None:
    config = configured(server, tmp_path)
    store = server.store()
    sender = Sender(store)
    sender.enqueue(*(new_job("low", "good") for _ in range(3)))
    store.pause(*sender.next(), "low", True)

    async def ready(*engines: trioq.Engine) -> list[float]:
        """What each says, at most once for all of them."""
        told = [
            (await scrape(one.http))("trioq_queue_jobs", queue="low", state="ready")
            for one in engines
        ]
        values = [value for value in told if value is not None]
        assert len(values) <= 1, "a sum would count jobs twice"
        return values

    async with engine(app, config) as second:
        async with engine(app, config) as first:
            await eventually(lambda: ready(first, second))
            for _ in range(30):
                assert await ready(first, second) in ([3.0], [])

            async def both_are_seen() -> bool:
                told = [(await scrape(one.http))("trioq_engines") for one in (first, second)]
                return sorted(told, key=str) == [2.0, None]

            await eventually(both_are_seen)

        async def still() -> list[float]:
            return await ready(second)

        # Whoever of them counted: the one that is left does now.
        assert await eventually(still) == [3.0]
    store.lane.close()


@pytest.mark.trio
async def test_what_is_old_is_not_told_while_redis_is_away(
    own_server: Server, tmp_path: Path
) -> None:
    async with served(own_server, tmp_path) as (made, _):
        await becomes(made.http, 1.0, "trioq_engines")
        own_server.kill()
        await becomes(made.http, 1.0, "trioq_redis_outages_total")
        seen = await becomes(made.http, 0.0, "trioq_redis_up")
        gone = ("trioq_queue_jobs", "trioq_engines", "trioq_namespace_jobs_enqueued_total",
                "trioq_redis_latency_seconds", "trioq_redis_clock_offset_seconds")  # fmt: skip
        assert {name: seen.all(name) for name in gone} == {name: {} for name in gone}
        assert seen("trioq_workers") == 4.0, "what the engine knows of itself is told on"
        own_server.start()
        seen = await becomes(made.http, 1.0, "trioq_engines")
        assert seen("trioq_redis_up") == 1.0


@pytest.mark.direct  # its one look may meet a boot that registered unheard
@pytest.mark.trio
async def test_an_outage_is_told_long_before_the_next_look(
    own_server: Server, tmp_path: Path
) -> None:
    config = configured(own_server, tmp_path)
    seldom = attrs.evolve(config.observability, queue_sample_interval_s=3600.0)
    async with engine(app, attrs.evolve(config, observability=seldom)) as made:
        await becomes(made.http, 1.0, "trioq_engines")
        await trio.to_thread.run_sync(own_server.kill)
        seen = await becomes(made.http, 0.0, "trioq_redis_up")
        assert seen.all("trioq_queue_jobs") == {}


@pytest.mark.trio
async def test_a_stopped_server_is_noticed_too(own_server: Server, tmp_path: Path) -> None:
    async with served(own_server, tmp_path) as (made, _):
        await becomes(made.http, 1.0, "trioq_engines")
        own_server.pause()
        seen = await becomes(made.http, 0.0, "trioq_redis_up")
        assert seen.all("trioq_queue_jobs") == {}
        own_server.resume()
        await becomes(made.http, 1.0, "trioq_redis_up")


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.direct  # how many were reaped, or died, only the first answer tells
@pytest.mark.trio
async def test_no_name_and_no_queue_that_comes_by_makes_a_series(
    server: Server, tmp_path: Path
) -> None:
    store = server.store()
    async with served(server, tmp_path) as (made, _):
        await becomes(made.http, 1.0, "trioq_engines")
        before = await scrape(made.http)
        jobs = [new_job("low", f"unknown-{n}") for n in range(60)]
        Sender(store).enqueue(*jobs, *(new_job(f"q-{n}", "good") for n in range(50)))

        async def all_dead() -> bool:
            seen = await scrape(made.http)
            dead = seen("trioq_jobs_dead_total", queue="low", job_name=OTHER, reason="unknown_name")
            return dead == 60.0

        await eventually(all_dead)
        await becomes(made.http, 50.0, "trioq_queue_jobs", queue=OTHER, state="ready")
        after = await scrape(made.http)
    store.lane.close()

    new = set(after.series) - set(before.series)
    named = {value for _, labels in new for _, value in labels}
    assert not any(value.startswith(("unknown-", "q-")) for value in named)
    assert len(new) < 100, "one more pair, (low, other), and the queue other"
