"""Listening for bells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.observe.scraped import Told, configured, engine, eventually
from tests.support import Server
from trioq import App
from trioq.core.events import RedisAway, RedisBack
from trioq.engine import bell


@pytest.mark.trio
async def test_that_redis_is_back_is_known_before_a_bell_rings(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "LISTEN_S", 3600.0)  # no wait of this length ends in the test
    told = Told()

    async def heard(kind: type[RedisAway | RedisBack]) -> Sequence[object]:
        return told.of(kind)

    async with engine(App(), configured(own_server, tmp_path), report=told):
        await trio.to_thread.run_sync(own_server.kill)
        await eventually(partial(heard, RedisAway))
        await trio.to_thread.run_sync(own_server.start)
        await eventually(partial(heard, RedisBack))
