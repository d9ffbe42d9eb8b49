"""What holds of limits when engines are started again, and while they run."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioq
from tests.support import PATIENCE_S, Server
from trioq.core.limits import LimitSettings
from trioq.core.model.declarations import GRACE_MS
from trioq.engine.shard import declaring

pytestmark = pytest.mark.trio

CONFIG = """
namespace = "t"
queues = [{{ name = "low" }}]
redis.url = "{url}"
observability.bind = ""
[limits.all]
queue = "low"
concurrency = {most}
"""


def config(server: Server, path: Path, most: int) -> Path:
    path.write_text(CONFIG.format(url=server.url, most=most))
    return path


async def run_once(config: Path) -> None:
    """An engine begins, and ends."""
    engine = trioq.Engine(trioq.App(), config, report=lambda event: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        engine.drain()


def concurrency(config: Path) -> int | None:
    with trioq.connect_admin(config) as admin:
        allowed = admin.limit("all")
        return None if allowed is None else allowed.concurrency


@pytest.mark.direct  # an operator whose answer is lost asks again
async def test_an_engine_that_is_started_again_ends_nothing_that_somebody_has_set(
    server: Server, tmp_path: Path
) -> None:
    old = config(server, tmp_path / "old.toml", 3)
    await run_once(old)
    with trioq.connect_admin(old) as admin:
        assert admin.set_limit("all", LimitSettings(concurrency=9))
    await run_once(old)
    assert concurrency(old) == 9
    await run_once(config(server, tmp_path / "new.toml", 4))
    assert concurrency(old) == 4
    await run_once(old)
    assert concurrency(old) == 3, "nobody else lives: it was rolled back"


async def test_an_engine_says_so_several_times_in_which_another_may_come_back() -> None:
    assert 2 * declaring.EVERY_S * 1000 < GRACE_MS


async def test_an_engine_says_again_what_limits_it_has(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declaring, "EVERY_S", 0.01)
    engine = trioq.Engine(
        trioq.App(), config(server, tmp_path / "q.toml", 3), report=lambda event: None
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        server.call("DEL", "{t}:declared", "{t}:deployed")
        with trio.fail_after(PATIENCE_S):
            # Nobody tells of it.
            while server.call("EXISTS", "{t}:declared", "{t}:deployed") < 2:  # noqa: ASYNC110
                await trio.sleep(0.01)
        engine.drain()
