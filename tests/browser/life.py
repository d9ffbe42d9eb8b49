"""A system with some of everything: what runs, waits, is late, has failed, is paused, is limited.

Two engines; the first shows the page. Nothing in it changes by itself, so that what a test finds is
what it looks for.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

import trioq
from tests.browser import shop
from tests.support import Server, trioq_started, wait_until
from trioq.client.admin import Admin
from trioq.store.inspect import JobView

ROOT = Path(__file__).parents[2]

CONFIG = """
namespace = "shop"
app = "tests.browser.shop:app"
redis.url = "{url}"
observability = {{ bind = "", log_format = "json" }}
web.bind = "{bind}"
queues = [{{ name = "high" }}, {{ name = "mail" }}, {{ name = "low" }}, {{ name = "archive" }}]
default_queue = "low"
worker = {{ count = 8, grace = "0s" }}

[breakers.carrier]
jobs = ["ship"]
min_samples = 3
cooldown = "1h"
shared = true

[limits.payments]
jobs = ["charge"]
concurrency = 1
key = "customer"

[schedules.nightly]
cron = "0 3 * * *"
job = "report"
payload = {{ month = "last" }}

[schedules.digest]
every = "7d"
job = "receipt"
payload = {{ order = 1 }}
"""


@attrs.frozen
class Life:
    """A system that lives."""

    url: str
    """Of the page, without a slash at its end."""
    config: Path
    server: Server
    admin: Admin
    client: trioq.SyncClient

    def running(self, name: str) -> list[tuple[str, str]]:
        """The engines and the uids of the jobs of a name that run."""
        held = ((engine.id, view) for engine in self.admin.stats().engines
                for view in self.admin.held(engine.id))  # fmt: skip
        return [(id, view.uid) for id, view in held if view.about and view.about.name == name]

    def job(self, id: str) -> JobView:
        """A job of which something is known."""
        view = self.admin.job(id)
        assert view is not None
        return view

    def dead(self, name: str) -> list[str]:
        """The uids of the dead jobs of a name, the longest dead first."""
        return [view.uid for view in self.admin.dead(trioq.DeadFilter(name=name))]

    def engine(self, name: str) -> str:
        """The engine that runs a job of this name."""
        return self.running(name)[0][0]


@contextmanager
def living(directory: Path) -> Iterator[Life]:
    """Such a system, until it is left.

    Args:
      directory: For its files.
    """
    with ExitStack() as stack:
        server = Server().start()
        stack.callback(server.close)
        first = stack.enter_context(_engine(directory, "first", server, "127.0.0.1:0"))
        stack.enter_context(_engine(directory, "second", server, ""))
        url = wait_until(lambda: url_in(first))
        config = directory / "first.toml"
        client = stack.enter_context(trioq.connect_sync(config))
        admin = stack.enter_context(trioq.connect_admin(config))
        _fill(client, admin)
        yield Life(url, config, server, admin, client)


@contextmanager
def _engine(directory: Path, name: str, server: Server, bind: str) -> Iterator[Path]:
    """An engine of its own; its log."""
    config, log = directory / f"{name}.toml", directory / f"{name}.log"
    config.write_text(CONFIG.format(url=server.url, bind=bind))
    with log.open("w") as stream:
        process = trioq_started(
            "serve", config, stderr=stream, stdout=subprocess.DEVNULL,
            env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        yield log
    finally:
        process.kill()
        process.wait()


def url_in(log: Path) -> str:
    """Where the page is shown, as the log tells; empty: it isn't yet."""
    lines = (line for line in log.read_text().splitlines() if line.endswith("}"))
    told = (json.loads(line) for line in lines)
    served = (str(line["url"]) for line in told if line["event"] == "page_served")
    return next(served, "").rstrip("/")


def _fill(client: trioq.SyncClient, admin: Admin) -> None:
    client.enqueue_many([shop.receipt.call(order) for order in range(40)])
    client.enqueue_many([shop.mail.call(f"{who}@example.org") for who in ("ada", "bob", "cyd")])
    client.enqueue_many([shop.thumbnail.call(f"/photos/{n}.jpg") for n in range(4)])
    client.enqueue_many([shop.ship.call(n) for n in range(4)])
    client.enqueue_many([shop.charge.call("ada", cents) for cents in (1900, 250, 4200)])
    client.enqueue(shop.report.call("2026-11"), id="report-november")
    client.enqueue_many([trioq.Call("resize", {"n": n}, "low") for n in range(2)])
    client.enqueue(shop.receipt.call(7000), delay=3600, id="receipt-7000")
    admin.pause(queue="archive", note="the disk is being replaced")
    client.enqueue_many([trioq.Call("receipt", {"order": n}, "archive") for n in range(3)])
    wait_until(lambda: _is_full(admin))


def _is_full(admin: Admin) -> bool:
    stats = admin.stats()
    at_work = [view for engine in stats.engines for view in admin.held(engine.id)]
    parked = sum(queue.parked for queue in stats.queues.values())
    return (stats.dead, parked, len(at_work)) == (7, 2, 2)
