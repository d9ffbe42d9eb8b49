"""Real engines on a network that hurts them: every job runs once, whatever is hurt.

Nothing that happens to a request within the lease is a reason for a second start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.proxy import HalfClose, LoseReply, LoseRequest, Proxy, Reset, Rule, Twice, named
from tests.faults.resp import SCRIPTS
from tests.faults.story import Story
from tests.faults.test_network import FAULTS
from tests.support import Server

#: They bring a network of their own.
pytestmark = pytest.mark.direct

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
JOBS = 30


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """On a TCP port, where a reset is a reset."""
    with Proxy(server.direct) as proxy:
        yield proxy


@pytest.fixture
def story(server: Server, proxy: Proxy) -> Story:
    return Story(server, proxy.url)


@pytest.mark.trio
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_job_runs_once_when_one_request_of_each_kind_is_hurt(
    story: Story, proxy: Proxy, fault: str
) -> None:
    kinds = {"register": 1, "enqueue": 4, "step": 5, "beat": 2, "blpop": 1, "sign_off": 1}
    if fault == "executed late":
        del kinds["blpop"]  # it would wait for a bell that nobody rings
    rules = [proxy.on(FAULTS[fault], name, nth=nth, lane="trioq:") for name, nth in kinds.items()]
    # All but the sign-off, which comes when they go.
    await story.play(JOBS, also=lambda: all(rule.struck for rule in rules[:-1]))
    assert [rule.struck for rule in rules] == [1] * len(rules)
    story.all_ran_once(JOBS)
    proxy.let_go()
    story.all_ran_once(JOBS)


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
async def test_every_job_runs_once_in_a_storm(story: Story, proxy: Proxy, seed: int) -> None:
    calls = named(*SCRIPTS, "blpop")
    proxy.reseed(seed)
    rules = [
        proxy.add(Rule(fault, lambda call: calls(call) and "trioq:" in call.lane,
                             times=None, chance=chance))
        for fault, chance in STORM.items()
    ]  # fmt: skip
    await story.play(100)
    assert sum(rule.struck for rule in rules) > 10
    story.all_ran_once(100)
