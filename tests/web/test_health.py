"""Ready means that a job enqueued now would be run; everything else says why not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel

import trioq
from tests.observe.scraped import Answer, ask, configured, engine, eventually
from tests.support import Server
from trioq.core.standstill import Standstill
from trioq.engine.shard.dispatcher import Dispatcher
from trioq.engine.status import Status
from trioq.web import health

app = trioq.App()


@app.job("endless")
async def endless() -> None:
    await trio.sleep_forever()


@app.job("noop")
async def noop() -> None:
    pass


@app.job("blocking")
async def blocking(for_s: float) -> None:
    time.sleep(for_s)  # noqa: ASYNC251  what a handler must not do


async def answers(made: trioq.Engine, status: int) -> Answer:
    """The first answer of /readyz with this status."""

    async def look() -> Answer | None:
        answer = await ask(made.http, "/readyz")
        return answer if answer.status == status else None

    answer: Answer = await eventually(look)
    return answer


def failing(answer: Answer) -> set[str]:
    return {name for name, check in answer.json()["checks"].items() if not check["ok"]}


@pytest.mark.trio
async def test_a_started_engine_is_ready_and_says_what_was_checked(
    server: Server, tmp_path: Path
) -> None:
    async with engine(app, configured(server, tmp_path)) as made:
        answer = await answers(made, 200)
        told = answer.json()
        assert told["ready"] is True
        assert set(told["checks"]) == {
            "redis", "registered", "claiming", "resources", "loop", "draining",
        }  # fmt: skip
        assert all(check["ok"] for check in told["checks"].values())
        assert answer.headers["content-type"] == "application/json"
        assert made.readiness()[0]
        alive = await ask(made.http, "/healthz")
        assert (alive.status, alive.json()) == (200, {"alive": True})


@pytest.mark.trio
async def test_an_engine_that_only_produces_needs_no_registration(
    server: Server, tmp_path: Path
) -> None:
    config = configured(server, tmp_path, more="[producer]\nscan_dir = '.'\n")
    async with engine(app, config, role="producer") as made:
        told = (await answers(made, 200)).json()
        assert set(told["checks"]) == {"redis", "loop", "draining"}


@pytest.mark.trio
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_without_redis_it_is_alive_and_not_ready_and_then_ready_again(
    own_server: Server, tmp_path: Path, how: str
) -> None:
    async with engine(app, configured(own_server, tmp_path)) as made:
        await answers(made, 200)
        await trio.to_thread.run_sync(getattr(own_server, how))

        async def says_so() -> bool:
            return "redis" in failing(await answers(made, 503))

        await eventually(says_so)
        assert (await ask(made.http, "/healthz")).status == 200
        await trio.to_thread.run_sync(own_server.start if how == "kill" else own_server.resume)
        await answers(made, 200)


@pytest.mark.trio
async def test_an_engine_that_drains_is_not_ready_while_its_jobs_end(
    server: Server, tmp_path: Path
) -> None:
    config = configured(server, tmp_path)
    config = attrs.evolve(config, worker=attrs.evolve(config.worker, grace_s=60.0))
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        made = await nursery.start(trioq.Engine(app, config, report=lambda event: None).run)
        await client.enqueue(endless.call())
        await eventually(lambda: _runs(made))
        await answers(made, 200)  # it has looked at the server
        made.drain()
        answer = await answers(made, 503)
        assert failing(answer) == {"draining"}
        assert (await ask(made.http, "/metrics")).status == 200
        assert (await ask(made.http, "/healthz")).status == 200
        nursery.cancel_scope.cancel()


async def _runs(made: trioq.Engine) -> bool:
    return "1 of 4" in (await ask(made.http, "/readyz")).text


@pytest.mark.trio
async def test_an_engine_that_does_nothing_although_it_could_is_not_ready(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STANDSTILL_S", 0.5)
    config = configured(server, tmp_path)
    async with trioq.connect(config) as client, engine(app, config) as made:
        await answers(made, 200)
        next_ = Dispatcher._next
        is_blind = trio.Event()

        def blind(dispatcher: Dispatcher) -> float:
            is_blind.set()
            return trio.current_time() + 0.05

        # Whatever bug it is: the dispatcher doesn't see that there is something to do.
        monkeypatch.setattr(Dispatcher, "_next", blind)
        await is_blind.wait()  # the step that waits for a bell is answered first
        await client.enqueue(noop.call())
        answer = await answers(made, 503)
        assert failing(answer) == {"claiming"}
        assert "jobs are ready" in answer.json()["checks"]["claiming"]["told"]
        assert (await ask(made.http, "/healthz")).status == 200
        monkeypatch.setattr(Dispatcher, "_next", next_)
        await answers(made, 200)


@pytest.mark.trio
async def test_a_paused_queue_is_no_standstill(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STANDSTILL_S", 0.3)
    config = configured(server, tmp_path)
    store = server.store()
    store.pause("sender", 1, "low", True)
    async with trioq.connect(config) as client, engine(app, config) as made:
        await client.enqueue(noop.call())
        looks: set[str] = set()
        while len(looks) < 5:  # the sampler has looked so often
            answer = await answers(made, 200)
            looks.add(answer.json()["checks"]["redis"]["told"].split(",")[0])
    store.lane.close()


@pytest.mark.trio
async def test_a_loop_that_stood_still_is_not_ready_for_a_while(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LAG_S", 1.5)
    config = configured(server, tmp_path)
    async with trioq.connect(config) as client, engine(app, config) as made:
        await answers(made, 200)
        await client.enqueue(blocking.call(2.0))
        assert "loop" in failing(await answers(made, 503))
        ready, told = made.readiness()
        assert (ready, told["checks"]["loop"]["ok"]) == (False, False)


def status(**more: Any) -> Status:
    made = Status(
        at=100.0, name="n", engine="n.boot", roles=frozenset({"worker"}), draining=False,
        redis_away=False, has_lease=True, workers=4, running=0, waiting=0, breakers={},
        lag_s=0.0, seen=None,
    )  # fmt: skip
    return attrs.evolve(made, **more)


def test_an_engine_whose_beats_do_not_get_through_is_not_ready() -> None:
    made = {check.name: check for check in health.checks(status(has_lease=False))}
    assert not made["registered"].ok


def test_an_engine_that_the_server_has_forgotten_is_not_ready() -> None:
    made = {check.name: check for check in health.checks(status(engine=None))}
    assert not made["registered"].ok


def test_an_engine_that_claims_less_for_want_of_something_is_not_ready_and_says_of_what() -> None:
    made = {check.name: check for check in health.checks(status(want="threads (ulimit -u)"))}
    assert not made["resources"].ok
    assert "want of threads (ulimit -u)" in made["resources"].told
    assert health.readiness(status(want="threads"))[0] is False


def test_before_it_runs_and_after_it_is_not_ready() -> None:
    ready, told = health.readiness(None)
    assert (ready, told["engine"]) == (False, None)


# -- standing still ------------------------------------------------------------------------------


def test_standing_still_begins_with_the_second_look_without_a_claim() -> None:
    watch = Standstill()
    assert watch.saw(0, ready=5, idle=1, claimed=7) == 0
    assert watch.saw(2, ready=5, idle=1, claimed=7) == 0
    assert watch.saw(4, ready=5, idle=1, claimed=7) == 2
    assert watch.saw(9, ready=1, idle=1, claimed=7) == 7


@pytest.mark.parametrize(
    "change", [{"ready": 0}, {"idle": 0}, {"idle": -3}, {"claimed": 8}],
    ids=["nothing to do", "nobody to do it", "more than workers", "a claim"],
)  # fmt: skip
def test_whatever_explains_it_ends_it(change: dict[str, int]) -> None:
    watch = Standstill()
    stuck = {"ready": 1, "idle": 1, "claimed": 7}
    for now in (0, 2, 4):
        watch.saw(now, **stuck)
    assert watch.saw(6, **{**stuck, **change}) == 0
    stuck["claimed"] = change.get("claimed", 7)
    assert watch.saw(8, **stuck) == 0
    assert watch.saw(10, **stuck) == 2


def test_a_time_without_looks_proves_nothing() -> None:
    watch = Standstill()
    for now in (0, 2, 4):
        watch.saw(now, ready=1, idle=1, claimed=7)
    watch.forget()
    assert watch.saw(60, ready=1, idle=1, claimed=7) == 0
    assert watch.saw(62, ready=1, idle=1, claimed=7) == 0
