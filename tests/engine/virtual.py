"""Whole engines under a virtual clock: hours of leases and retries in a second.

A world of :mod:`trioq.testing` in a test of trio's, with what tests of the engine's insides need
besides. Give these tests trio's ``autojump_clock``. With ``--trioq-redis`` they run on a real
server.
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any, cast

import trio
from trio.testing import MockClock

from tests.dump import Dump, Waiting, dump, dump_of_model
from tests.engine.rig import config_of
from tests.support import new_job, unwanted
from trioq import testing
from trioq.app import App
from trioq.core.config import Config
from trioq.core.events import Report
from trioq.store import kept
from trioq.store.memory import MemoryStore
from trioq.store.protocol import Store
from trioq.testing import Running
from trioq.testing.link import PlainCaller
from trioq.testing.moments import EPOCH

__all__ = ["EPOCH_S", "PlainCaller", "Running", "World", "calm"]

#: What the server's clock says when the test begins: whole seconds, so that due times are exact.
EPOCH_S = int(EPOCH.timestamp())


def calm(**options: Any) -> Config:
    """A configuration whose engines beat and look seldom, so that hours pass quickly."""
    return config_of(**{"lease_s": 40.0, "heartbeat_interval_s": 10.0, "reaper_s": 10.0, **options})


class World(testing.World):
    """Engines over one store, in the test's nursery and by its clock."""

    is_plain = True
    on_redis = False
    """Where: said by ``--trioq-redis``."""
    not_closed: list[World] = []  # noqa: RUF012 - closed when its test has ended

    def __init__(
        self,
        nursery: trio.Nursery,
        app: App | None = None,
        config: Config | None = None,
        listeners: tuple[Report, ...] = (),
        begins: datetime | None = None,
    ) -> None:
        clock = cast(MockClock, trio.lowlevel.current_clock())
        app, config = app or App(), config or calm()
        super().__init__(app, config, redis=self.on_redis, clock=clock, begins=begins)
        self.nursery = nursery
        self.listeners = listeners
        self._began = clock.current_time()
        self._sender, self._sent = secrets.token_hex(8), 0
        self.not_closed.append(self)

    @property
    def config(self) -> Config:
        """That of engines that start from now on, as it was said."""
        assert isinstance(self._said, Config)
        return self._said

    @config.setter
    def config(self, config: Config) -> None:
        self._said = config

    @property
    def now(self) -> float:
        return self.timekeeper.now - self._began

    @property
    def store(self) -> Store:
        """What all engines call."""
        return self.space.store

    def enqueue(self, name: str, count: int = 1, queue: str = "low", **options: Any) -> list[str]:
        """Queue jobs of a name; their uids. ``payload`` is an object."""
        payload = json.dumps(options.pop("payload", {})).encode()
        jobs = [new_job(queue, name, payload, **options) for _ in range(count)]
        for start in range(0, count, 500):
            self._sent += 1
            self.store.enqueue(self._sender, self._sent, jobs[start : start + 500])
        return [job.uid for job in jobs]

    def cancel(self, *uids: str, name: str, queue: str = "low") -> list[str]:
        """Say that nobody wants these jobs any more; what became of each by now."""
        self._sent += 1
        jobs = [unwanted(uid, queue, name) for uid in uids]
        return [*self.store.cancel(self._sender, self._sent, jobs)]

    def close(self) -> None:
        super().close()
        self.not_closed.remove(self)

    # -- what the server has -------------------------------------------------------------------

    def history(self, uid: str) -> list[dict[str, Any]]:
        """What is kept of a job's failed attempts."""
        return [json.loads(line) for line in (self.store.history(uid) or b"").splitlines()]

    def count(self, word: str) -> int:
        """What the server has counted so far: ``done``, say."""
        return self.space.count(word)

    @property
    def jobs(self) -> set[str]:
        """All that aren't over, the dead too."""
        if isinstance(its := self.space.its, MemoryStore):
            return {*its.space.jobs}
        return {*kept.texts(its.lane.call("HKEYS", its.keys.fixed("jobs")))}

    @property
    def dead(self) -> set[str]:
        """The dead ones."""
        if isinstance(its := self.space.its, MemoryStore):
            return {*its.space.dead}
        return {*kept.texts(its.lane.call("ZRANGE", its.keys.fixed("dead"), 0, -1))}

    def held(self) -> dict[str, set[str]]:
        """Boot → what it has claimed and not settled."""
        if isinstance(its := self.space.its, MemoryStore):
            return {name: {*boot.held} for name, boot in its.space.boots.items()}
        there = dump(its)
        return {boot: {*there.running.get(boot, ())} for boot in there.engines}

    def waiting(self, queue: str) -> Waiting:
        """Who waits there."""
        return self.dump().queues.get(queue, Waiting())

    def dump(self) -> Dump:
        """All of it. With many jobs that takes its time."""
        its = self.space.its
        return dump_of_model(its.space) if isinstance(its, MemoryStore) else dump(its)

    # -- what may happen to it -----------------------------------------------------------------

    def forget_engines(self) -> None:
        """It has forgotten its boots, and what they hold."""
        if isinstance(its := self.space.its, MemoryStore):
            its.space.boots.clear()
            return
        held = [key for boot in self.held() for key in its.keys.of_boot(boot)[:3]]
        its.lane.call("UNLINK", *map(its.keys.fixed, ("engines", "steps", "beats")), *held)

    def take_bells(self) -> None:
        """Somebody else has taken all that rang, and died."""
        if isinstance(its := self.space.its, MemoryStore):
            its.space.bells.clear()
            return
        its.lane.call("UNLINK", *(its.keys.of("bell", name) for name in self.dump().bells))

    def lose_payload(self, uid: str) -> None:
        """A big one that lies apart is gone."""
        if isinstance(its := self.space.its, MemoryStore):
            its.space.jobs[uid].big = b""
            return
        its.lane.call("HDEL", its.keys.fixed("big"), uid)
