"""A configuration file with one key set, and the real engines and clients that read it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
import trio

import trioq
from tests.support import PATIENCE_S, Server, new_job
from trioq.core.events import Event
from trioq.settings.describe import schema
from trioq.settings.environ import variable_of
from trioq.settings.write import toml_value
from trioq.store.redis import RedisStore

E = TypeVar("E", bound=Event)
T = TypeVar("T")

#: What a key that is kept needs for its effect, many times over.
SOON_S = 8.0


@attrs.define
class Place:
    """A directory with a configuration, its server, and what its engines report.

    Args:
      key: The one that is looked at: ``worker.count``, ``queues[].timeout``,
          ``commands.NAME.cwd``.
      value: What it is set to, as TOML gives it.
      source: Whether that stands in the file or in the environment.
    """

    server: Server
    directory: Path
    key: str
    value: Any
    source: Literal["file", "environment"] = "file"
    namespace: str = "t"
    app: trioq.App = attrs.field(factory=trioq.App)
    events: list[Event] = attrs.field(factory=list[Event])

    @property
    def path(self) -> Path:
        return self.directory / "jobqueue.toml"

    @property
    def store(self) -> RedisStore:
        """The test's own way to the server; it has no configuration."""
        return self.server.store(self.namespace)

    def configure(self, **others: Any) -> Path:
        """Write the file: the key, and these others, with ``__`` for a dot."""
        keys: dict[str, Any] = {"namespace": "t", "redis.url": self.server.url}
        keys |= {"observability.bind": "", "limiter.rate": 0}
        keys |= {key.replace("__", "."): value for key, value in others.items()}
        if self.source == "environment":
            steps = tuple(self.key.split("."))
            is_text = isinstance(self.value, str)
            os.environ[variable_of(steps)] = self.value if is_text else toml_value(self.value)
        elif self.key.startswith("queues[]."):
            queues = keys.setdefault("queues", [{"name": "high"}, {"name": "low"}])
            queues[-1][self.key.removeprefix("queues[].")] = self.value
        elif self.key.startswith("commands.NAME."):
            keys.setdefault("commands.told.argv", ["true"])
            keys[self.key.replace("NAME", "told")] = self.value
        else:
            keys[self.key.replace(".NAME.", ".told.")] = self.value
        self.path.write_text("".join(f"{k} = {toml_value(v)}\n" for k, v in keys.items()))
        return self.path

    # -- who reads it ----------------------------------------------------------------------

    def engine(self, **options: Any) -> trioq.Engine:
        """One that isn't running yet."""
        return trioq.Engine(self.app, self.path, report=self.events.append, **options)

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[trioq.Engine]:
        """An engine, drained in the end."""
        engine = self.engine(**options)
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            yield engine
            engine.drain()

    @contextmanager
    def client(self) -> Iterator[trioq.SyncClient]:
        with trioq.connect_sync(self.path) as client:
            yield client

    @contextmanager
    def admin(self) -> Iterator[trioq.Admin]:
        with trioq.connect_admin(self.path) as admin:
            yield admin

    def enqueue(self, name: str, payload: dict[str, Any] | None = None, **options: Any) -> str:
        """Queue one job; its uid."""
        with self.client() as client:
            return client.enqueue(name, payload or {}, **options).uid

    def put(self, name: str, queue: str = "low", **options: Any) -> str:
        """Queue one job without any configuration; its uid."""
        job = new_job(queue, name, **options)
        store = self.store
        store.enqueue(job.uid, 1, [job])
        store.lane.close()
        return job.uid

    # -- what comes of it ------------------------------------------------------------------

    def of(self, kind: type[E], **fields: Any) -> list[E]:
        """The reported events of a kind that have these fields."""
        return [
            event for event in self.events
            if isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
        ]  # fmt: skip

    async def until(self, what: Callable[[], T], timeout_s: float = SOON_S) -> T:
        """The first true answer."""
        with trio.move_on_after(timeout_s):
            while not (answer := what()):  # noqa: ASYNC110 (a server tells nobody)
                await trio.sleep(0.005)
            return answer
        raise AssertionError(f"not within {timeout_s} s; reported: {self.events[-20:]}")

    async def reported(self, kind: type[E], count: int = 1, **fields: Any) -> list[E]:
        """Wait until so many of these events were reported."""
        return await self.until(
            lambda: found if len(found := self.of(kind, **fields)) >= count else []
        )

    def calls(self, command: str) -> int:
        """How often the server has executed a command."""
        told = self.server.call("INFO", "commandstats").decode()
        head = f"cmdstat_{command}:calls="
        lines = [line for line in told.splitlines() if line.startswith(head)]
        return int(lines[0].removeprefix(head).partition(",")[0]) if lines else 0


Observation = Callable[[Place], Awaitable[None]]


@attrs.frozen
class Row:
    """A key, a value that isn't its default, and how it is seen that the value is kept."""

    key: str
    value: Any
    observe: Observation


ROWS: dict[str, Row] = {}


def row(key: str, value: Any) -> Callable[[Observation], Observation]:
    """Register the observation of a key.

    It fails where the key is ignored, so that its default is in effect.
    """

    def register(observe: Observation) -> Observation:
        assert key not in ROWS, key
        ROWS[key] = Row(key, value, observe)
        return observe

    return register


def all_keys() -> dict[str, Any]:
    """Each key that a configuration may have, and what the schema says of it."""
    return dict(_keys(schema()["properties"], ""))


def _keys(properties: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, about in properties.items():
        here = above + key
        if about.get("items", {}).get("properties"):
            yield from _keys(about["items"]["properties"], f"{here}[].")
        elif (
            isinstance(about.get("additionalProperties"), dict)
            and "properties" in (about["additionalProperties"])
        ):
            yield from _keys(about["additionalProperties"]["properties"], f"{here}.NAME.")
        elif "properties" in about:
            yield from _keys(about["properties"], f"{here}.")
        else:
            yield here, about


async def in_thread(what: Callable[[], T]) -> T:
    """Call what blocks for a while; the engine beside it goes on."""
    with trio.fail_after(PATIENCE_S):
        return await trio.to_thread.run_sync(what)
