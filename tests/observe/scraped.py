"""Engines that are looked at from outside, as Prometheus and a probe would."""

from __future__ import annotations

import http.client
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

import trioq
from tests.support import PATIENCE_S, Server
from trioq.core.config import Config
from trioq.core.events import Event
from trioq.settings import load

T = TypeVar("T")

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
read_timeout = "1s"
connect_timeout = "1s"
[[queues]]
name = "high"
[[queues]]
name = "low"
[worker]
count = 4
lease = "2s"
heartbeat_interval = "400ms"
grace = "300ms"
backoff = {{ base = "20ms", cap = "100ms" }}
unknown_name_after = "100ms"
[reaper]
interval = "300ms"
[circuit_breaker]
min_samples = 3
cooldown = "300ms"
[observability]
bind = "{bind}"
queue_sample_interval = "200ms"
{more}
"""

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def configured(
    server: Server, directory: Path, bind: str = "127.0.0.1:0", more: str = ""
) -> Config:
    """A configuration that is served on any free port, and sampled often."""
    path = directory / "jobqueue.toml"
    path.write_text(CONFIG.format(url=server.url, bind=bind, more=more))
    return load(path)


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def get(address: str, path: str, accept: str = "*/*") -> Answer:
    """One request, on a connection of its own. Blocks."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={"accept": accept})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read().decode())
    finally:
        connection.close()


async def ask(address: str, path: str, accept: str = "*/*") -> Answer:
    """The same, beside an engine in this loop."""
    return await trio.to_thread.run_sync(partial(get, address, path, accept))


Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@attrs.frozen
class Scrape:
    """One scrape, parsed."""

    kinds: dict[str, str]
    """Family → type."""
    series: Series

    @classmethod
    def of(cls, text: str, *, openmetrics: bool = False) -> Scrape:
        parse = openmetrics_families if openmetrics else text_string_to_metric_families
        families = list(parse(text))
        return cls(
            {family.name: family.type for family in families},
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in families
                for sample in family.samples
            },
        )

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of one series; None: there is no such series."""
        return self.series.get((name, frozenset(labels.items())))

    def all(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """All series of a name."""
        return {labels: value for (one, labels), value in self.series.items() if one == name}


async def scrape(address: str) -> Scrape:
    answer = await ask(address, "/metrics")
    assert answer.status == 200
    return Scrape.of(answer.text)


async def eventually(look: Callable[[], Any]) -> Any:
    """The first true answer of an async question."""
    with trio.fail_after(PATIENCE_S):
        while True:
            answer = await look()
            if answer:
                return answer
            await trio.sleep(0.01)


async def becomes(address: str, expected: float | None, name: str, **labels: str) -> Scrape:
    """The first scrape in which a series has this value; None: it isn't there."""
    with trio.move_on_after(PATIENCE_S):
        while True:
            seen = await scrape(address)
            if seen(name, **labels) == expected:
                return seen
            await trio.sleep(0.01)
    raise AssertionError(f"{name}{labels} isn't {expected}: {seen.all(name)}")


@attrs.define
class Told:
    """A listener that keeps what it is told."""

    events: list[Event] = attrs.field(factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def engine(app: trioq.App, config: Config, **options: Any) -> AsyncIterator[trioq.Engine]:
    """An engine that serves, drained in the end."""
    async with trio.open_nursery() as nursery:
        made: trioq.Engine = await nursery.start(
            trioq.Engine(app, config, report=options.pop("report", Told()), **options).run
        )
        yield made
        made.drain()
