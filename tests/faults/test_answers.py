"""Answers that can't be any: from a proxy in trouble, or from somebody else at the address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from tests.faults.proxy import Answer, Flood, Proxy
from tests.faults.story import Story
from tests.support import Server, wait_until
from trioq.core.events import RedisAway, RedisBack
from trioq.errors import StoreRefused
from trioq.store import replies

#: They bring a network of their own.
pytestmark = pytest.mark.direct

JOBS = 12

#: What may be on its way in sockets when nobody reads any more.
SOCKETS_BYTES = 16 << 20

#: What an engine and its clients ask while they go about their work.
ASKED = ("register", "enqueue", "step", "beat", "blpop", "exec", "hgetall", "sign_off")

GARBAGE = {
    "a number": b":7\r\n",
    "null": b"$-1\r\n",
    "a null list": b"*-1\r\n",
    "an empty list": b"*0\r\n",
    "bytes": b"$5\r\nhello\r\n",
    "a word": b"+OK\r\n",
    "a word alone in its list": b"*1\r\n$2\r\nok\r\n",
    "a list of a number": b"*1\r\n:1\r\n",
    "a nested list": b"*1\r\n*1\r\n*1\r\n$2\r\nok\r\n",
    "too many items": b"*14\r\n$2\r\nok\r\n" + b"$0\r\n\r\n" * 13,
    "items of the wrong kinds": b"*11\r\n$2\r\nok\r\n" + b":1\r\n" * 10,
    "an error among the items": b"*2\r\n$2\r\nok\r\n-ERR no\r\n",
    "a proxy's error": b"-upstream failure\r\n",
    "a push": b">2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "more items than there is memory for": b"*4294967294\r\n",
    "deeply nested": b"*1\r\n" * 50_000 + b":1\r\n",
}


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.direct) as proxy:
        yield proxy


@pytest.fixture
def story(server: Server, proxy: Proxy) -> Story:
    return Story(server, proxy.url)


@pytest.mark.trio
@pytest.mark.parametrize("what", GARBAGE)
async def test_every_job_runs_once_when_one_request_of_each_kind_is_answered_with(
    story: Story, proxy: Proxy, what: str
) -> None:
    rules = {
        name: proxy.on(
            Answer(GARBAGE[what]), name, nth=1 if name == "register" else 2, lane="trioq:"
        )
        for name in ASKED
    }
    looked = ("step", "beat", "enqueue", "blpop", "register")
    await story.play(JOBS, also=lambda: all(rules[name].struck for name in looked))
    story.all_ran_once(JOBS)


@pytest.mark.trio
async def test_a_peer_that_answers_nothing_of_use_is_told_once_with_the_script_s_name(
    story: Story, proxy: Proxy
) -> None:
    async with trio.open_nursery() as nursery:
        engine = story.engine()
        await nursery.start(engine.run)
        rule = proxy.on(Answer(b":7\r\n"), "step", times=None, lane="trioq:")
        await story.enqueue(1)
        await trio.to_thread.run_sync(wait_until, lambda: rule.struck >= 8)
        proxy.clear()
        await story.until_done(1)
        engine.drain()
    (away,) = [event for event in story.events if isinstance(event, RedisAway)]
    assert "step was answered with a number" in str(away)
    assert len([event for event in story.events if isinstance(event, RedisBack)]) == 1
    story.all_ran_once(1)


@pytest.mark.trio
@pytest.mark.parametrize("begins", [b"*1\r\n$400000000\r\n", b"$400000000\r\n", b"+"])
async def test_an_answer_without_end_is_not_read_to_its_end(
    story: Story, proxy: Proxy, begins: bytes
) -> None:
    proxy.on(Flood(begins), "step", nth=3, lane="trioq:")
    await story.play(JOBS)
    assert 0 < proxy.flooded < replies.SCRIPT_BYTES_MAX + SOCKETS_BYTES
    story.all_ran_once(JOBS)


#: Each way to say "not now", and what proxies say of a server that they have lost.
NOT_NOW = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but is unable to persist on disk.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOREPLICAS Not enough good replicas to write.",
    "upstream failure",
    "no healthy upstream",
    "ERR Connection timed out",
    "ERR Connection refused",
    "ERR server closed connection",
    "PROXYERR try later",
]

#: Each way to say "no".
NO = [
    "ERR something nobody has heard of",
    "ERR unknown command 'EVALSHA', with args beginning with: ",
    "MOVED 3999 127.0.0.1:6381",
    "NOAUTH Authentication required.",
    "NOPERM User worker has no permissions to run the 'evalsha' command",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
]


@pytest.mark.trio
@pytest.mark.parametrize("word", NOT_NOW)
async def test_every_job_runs_once_when_a_step_is_answered_with(
    story: Story, proxy: Proxy, word: str
) -> None:
    rule = proxy.on(Answer(f"-{word}\r\n".encode()), "step", nth=3, lane="trioq:")
    await story.play(JOBS, also=lambda: rule.struck == 1)
    story.all_ran_once(JOBS)


@pytest.mark.trio
@pytest.mark.parametrize("word", NO)
async def test_an_engine_ends_and_keeps_every_job_when_its_server_says_no(
    story: Story, proxy: Proxy, word: str
) -> None:
    # It can't settle, so what it holds is there for another engine after the lease.
    story.worker = {"lease_s": 1.0}
    rule = proxy.on(Answer(f"-{word}\r\n".encode()), "step", nth=2, times=None, lane="trioq:")
    await story.enqueue(JOBS)
    ends = pytest.RaisesGroup(StoreRefused, flatten_subgroups=True, allow_unwrapped=True)
    with ends, trio.fail_after(20):
        await story.engine().run()
    assert rule.struck >= 1
    proxy.clear()
    await story.play(0, also=lambda: story.done() == JOBS)
    left = story.stats()
    assert (left.counters["done"], left.dead, left.running, left.strays) == (JOBS, 0, 0, 0)


@pytest.mark.trio
async def test_a_script_that_the_server_has_forgotten_is_sent_whole(
    story: Story, proxy: Proxy
) -> None:
    rule = proxy.on(Answer(b"-NOSCRIPT No matching script.\r\n"), "step", nth=3, lane="trioq:")
    await story.play(JOBS, also=lambda: rule.struck == 1)
    story.all_ran_once(JOBS)
    assert [event for event in story.events if isinstance(event, RedisAway)] == []
