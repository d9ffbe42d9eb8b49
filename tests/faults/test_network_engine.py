"""Real engines on a network that hurts them: every job runs once, whatever is hurt.

Nothing that happens to a request within the lease is a reason for a second start.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import attrs
import pytest
import trio

import trioq
from tests.faults.proxy import HalfClose, LoseReply, LoseRequest, Proxy, Reset, Rule, Twice, named
from tests.faults.resp import SCRIPTS
from tests.faults.test_network import FAULTS
from tests.support import PATIENCE_S, Server, wait_until
from trioq.core.config import Config, QueueConfig, RedisConfig
from trioq.core.config.sections import ObservabilityConfig, ReaperConfig, WorkerConfig
from trioq.core.events import BootLost, Event, SettlementRefused
from trioq.store.inspect import stats

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
JOBS = 30


@attrs.define
class Story:
    """What two engines do with some jobs, all on one network."""

    proxy: Proxy
    server: Server
    started: Counter[int] = attrs.field(factory=Counter[int])
    events: list[Event] = attrs.field(factory=list[Event])
    app: trioq.App = attrs.field(factory=trioq.App)

    def __attrs_post_init__(self) -> None:
        @self.app.job("work")
        async def work(n: int) -> None:
            self.started[n] += 1
            await trio.sleep(0.005)

    @property
    def config(self) -> Config:
        return Config(
            namespace="t",
            queues=(QueueConfig("low"),),
            redis=RedisConfig.from_url(self.proxy.url, read_timeout_s=0.3, connect_timeout_s=1.0),
            worker=WorkerConfig(count=4, heartbeat_interval_s=0.1, lease_s=20.0),
            reaper=ReaperConfig(interval_s=0.2),
            observability=ObservabilityConfig(bind=""),
        )

    async def play(self, jobs: int = JOBS) -> None:
        """Two engines, one client; until every job is done and the engines have gone."""
        engines = [trioq.Engine(self.app, self.config, report=self.events.append) for _ in "ab"]
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for engine in engines:
                    await nursery.start(engine.run)
                async with trioq.connect(self.config) as client:
                    for n in range(jobs):
                        await client.enqueue("work", {"n": n})
                await trio.to_thread.run_sync(wait_until, lambda: self.done() >= jobs)
                for engine in engines:
                    engine.drain()

    def done(self) -> int:
        return int(self.server.call("HGET", "{t}:stats", "done") or 0)

    def kept_its_promises(self, jobs: int = JOBS) -> None:
        assert self.started == Counter(range(jobs)), "every job was started once"
        store = self.server.store("t")
        left = stats(store, ["low"])
        store.lane.close()
        assert (left.counters["done"], left.dead, left.running, left.strays) == (jobs, 0, 0, 0)
        assert left.counters["enqueued"] == left.counters["claimed"] == jobs
        lost = [e for e in self.events if isinstance(e, BootLost | SettlementRefused)]
        assert lost == [], "no engine was told that it had lost anything"


@pytest.fixture
def story(server: Server) -> Iterator[Story]:
    with Proxy(server.direct) as proxy:
        yield Story(proxy, server)


@pytest.mark.trio
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_job_runs_once_when_one_request_of_each_kind_is_hurt(
    story: Story, fault: str
) -> None:
    kinds = {"register": 1, "enqueue": 4, "step": 5, "beat": 2, "blpop": 2, "sign_off": 1}
    if fault == "executed late":
        del kinds["blpop"]  # it would wait for a bell that nobody rings
    rules = [
        story.proxy.on(FAULTS[fault], name, nth=nth, lane="trioq:") for name, nth in kinds.items()
    ]
    await story.play()
    assert [rule.struck for rule in rules] == [1] * len(rules)
    story.kept_its_promises()
    story.proxy.let_go()
    story.kept_its_promises()


#: What a bad network does, with the chance of each, to any request of trioq's.
STORM = {
    LoseRequest(): 0.04,
    LoseReply(): 0.04,
    Twice(): 0.1,
    Reset(executed=True): 0.02,
    HalfClose(): 0.02,
}


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(50 if LONG else 3))
async def test_every_job_runs_once_in_a_storm(story: Story, seed: int) -> None:
    calls = named(*SCRIPTS, "blpop")
    story.proxy.reseed(seed)
    rules = [
        story.proxy.add(Rule(fault, lambda call: calls(call) and "trioq:" in call.lane,
                             times=None, chance=chance))
        for fault, chance in STORM.items()
    ]  # fmt: skip
    await story.play(100)
    assert sum(rule.struck for rule in rules) > 10
    story.kept_its_promises(100)
