"""The jobs: who works on them, what nobody works on, and whether each is in its one place."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from trioq.core.config import Config
from trioq.doctor.finding import Finding, fault, ok, some, warning
from trioq.store.inspect import Stats
from trioq.store.redis import RedisStore

#: Signs of life are counted this often while they are watched.
LOOK_S = 0.05

#: An engine that is silent for so many of its heartbeats is worth a word.
BEATS = 3


def engines(store: RedisStore, config: Config, found: Stats) -> Iterator[Finding]:
    """Whether there are any, and whether each gives a sign of life while we watch."""
    names = {engine.id: engine.name for engine in found.engines}
    if not names:
        waits = sum(q.ready + q.scheduled + q.parked for q in found.queues.values())
        said = f"no engine lives, and {waits} job(s) wait" if waits else "no engine lives"
        yield warning("engines", f"{said}: trioq serve starts one")
        return
    silent = _silent(store, set(names), BEATS * config.worker.heartbeat_interval_s)
    for engine in sorted(silent):
        yield warning(
            "engines",
            f"{names[engine]} gave no sign of life while it was watched: it is dead or stopped,"
            " and the reapers of other engines take its jobs",
        )
    if alive := len(names) - len(silent):
        yield ok("engines", f"{alive} alive, {found.running} job(s) running")


def _silent(store: RedisStore, engines: set[str], for_s: float) -> set[str]:
    """Those that are still registered, and whose counters stand still for so long."""
    before = store.observe()
    until = time.monotonic() + for_s
    while engines and time.monotonic() < until:
        time.sleep(LOOK_S)
        now = store.observe()
        engines = {e for e in engines if e in now and now[e] == before.get(e)}
    return engines


def queues(config: Config, found: Stats) -> Iterator[Finding]:
    """Those that nobody serves, that are paused, or nearly full."""
    quiet = True
    for name, queue in found.queues.items():
        waits = queue.ready + queue.scheduled + queue.parked
        said = []
        if waits and found.engines and not queue.served:
            said.append(f"{waits} job(s), and no engine serves it")
        if waits and name not in config.queue_names:
            said.append(f"{waits} job(s), but it isn't configured here")
        if queue.paused:
            said.append(f"paused with {waits} job(s): trioq resume goes on")
        most = (configured := config.queue(name)) and configured.max_length
        if most and queue.ready + queue.scheduled > 0.8 * most:
            said.append(f"{waits} of at most {most} job(s): enqueueing is refused when it is full")
        quiet = quiet and not said
        yield from (warning("queues", f"{name}: {each}") for each in said)
    if quiet:
        ready = sum(queue.ready for queue in found.queues.values())
        yield ok("queues", f"{len(found.queues)} queues, {ready} job(s) ready")


def handlers(config: Config, found: Stats) -> Iterator[Finding]:
    """Jobs that no engine knows, and how many are dead."""
    unknown: Counter[str] = Counter()
    for (_, name), count in found.parked.items():
        if name not in found.names:
            unknown[name] += count
    after = config.worker.unknown_name_after_s
    for name, count in sorted(unknown.items()):
        yield warning(
            "handlers",
            f"{count} {name} job(s) wait for an engine that knows the name; each is dead when it"
            f" has waited for {after:,.0f} s",
        )
    if not unknown:
        yield ok("handlers", "no job waits for an engine that knows its name")
    if found.dead:
        yield warning("dead", f"{found.dead} job(s) are dead: trioq dead list shows why")


def records(found: Stats) -> Iterator[Finding]:
    """Each job in exactly one place: as many records as places that hold one."""
    if found.strays:
        yield fault(
            "records",
            f"{found.strays} uid(s) had no record when they were claimed; they are in the list"
            " strays. Please report this",
        )
    if found.records != found.placed:
        yield fault(
            "records",
            f"{found.records} jobs have records, but {found.placed} are in a queue, running or"
            " dead. Please report this",
        )
    elif not found.strays:
        yield ok("records", f"{found.records} job(s), each in its one place")
    if unreadable := [e.id for e in found.engines if not e.info.is_readable]:
        yield warning("engines", f"of another version of trioq: {some(unreadable)}")
