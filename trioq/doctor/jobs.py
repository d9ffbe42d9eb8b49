"""The jobs: who works on them, what nobody works on, and whether each is in its one place."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote

from trioq.core.calls import Rate, WhenFull
from trioq.core.config import Config
from trioq.core.formats.door import name_of
from trioq.doctor.finding import Finding, fault, ok, some, warning
from trioq.store.inspect import Door, Standing, Stats
from trioq.store.inspect.sample import producers_wait
from trioq.store.redis import RedisStore

#: Signs of life are counted this often while they are watched.
LOOK_S = 0.05

#: Queues or names that are told of one by one.
LISTED = 10

#: What happens to more jobs than a queue has room for.
WHEN_FULL: Mapping[WhenFull, str] = {
    "reject": "enqueueing is refused when it is full",
    "wait": "who enqueues waits when it is full",
    "drop_oldest": "the oldest ones die when it is full",
}

#: An engine that is silent for so many of its heartbeats is worth a word.
BEATS = 3


def engines(store: RedisStore, config: Config, found: Stats) -> Iterator[Finding]:
    """Whether there are any, and whether each gives a sign of life while we watch."""
    names = {engine.id: engine.name for engine in found.engines}
    if not names:
        waits = sum(queue.waiting for queue in found.queues.values())
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
    yield from away(found, silent)
    if alive := len(names) - len(silent):
        said = f"{alive} alive{_grouped(found, silent)}, {found.running} job(s) running"
        yield ok("engines", said)


def away(found: Stats, silent: set[str]) -> Iterator[Finding]:
    """Those that can't run anything any more, because abandoned handlers keep all workers."""
    for each in found.engines:
        if each.away and each.away >= each.info.workers and each.id not in silent:
            who = ", ".join(f"{count} {name}" for name, count in sorted(each.abandoned.items()))
            yield warning(
                "engines",
                f"{each.name} runs nothing: abandoned handlers keep all of its {each.away:,}"
                f" worker(s): {who}; their jobs were cancelled, and they go on: restart it",
            )


def _grouped(found: Stats, silent: set[str]) -> str:
    """How many of the living ones are whose processes."""
    groups = Counter(e.info.supervisor for e in found.engines if e.id not in silent)
    del groups[""]
    return "".join(f", {count} of them under {name}" for name, count in groups.most_common(LISTED))


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
    waiting = {name: queue.waiting for name, queue in found.queues.items() if queue.waiting}
    unserved = {
        name: queue.waiting
        for name, queue in found.queues.items()
        if not queue.served and (queue.waiting or name in config.queue_names)
    }
    strange = {n: jobs for n, jobs in waiting.items() if n not in config.queue_names}
    paused = {name: queue.waiting for name, queue in found.queues.items() if queue.paused}
    names = {
        name: sum(count for (_, door), count in found.parked.items() if name_of(door) == name)
        for name in found.pauses.names
    }
    now_ms = time.time_ns() // 1_000_000
    full = [
        f"{queue.name}: {jobs} of at most {queue.max_length} job(s):"
        f" {WHEN_FULL[queue.when_full or 'reject']}"
        for queue in config.queues
        if queue.max_length and (jobs := _counted(found, queue.name)) > 0.8 * queue.max_length
    ]
    full += [
        f"{name}: {said}"
        for name, queue in found.queues.items()
        if (said := queue.in_line_in_words(now_ms))
    ][:LISTED]
    findings = [
        *_most(unserved if found.engines else {}, "queues", "{name}: {count} job(s), and no engine"
               " serves it", "job(s) in queues that no engine serves"),
        *_most(strange, "queues", "{name}: {count} job(s), but it isn't configured here",
               "job(s) in queues that aren't configured here"),
        *_most(paused, "queues", "{name}: paused with {count} job(s), until trioq resume {quoted}",
               "job(s) in queues that are paused"),
        *_most(names, "queues", "{name}: these jobs are paused, {count} wait, until trioq resume"
               " --job {quoted}", "job(s) whose names are paused"),
        *(warning("queues", each) for each in full),
    ]  # fmt: skip
    yield from findings
    if not findings:
        ready = sum(queue.ready for queue in found.queues.values())
        yield ok("queues", f"{len(found.queues)} queues, {ready} job(s) ready")


def _counted(found: Stats, name: str) -> int:
    """Jobs that count for a queue's ``max_length``."""
    queue = found.queues[name]
    return queue.ready + queue.scheduled + queue.limited


def schedules(found: Standing) -> Iterator[Finding]:
    """Those that are late, and those that no deployment lists any more."""
    faults = found.faults_in_words()
    yield from (warning("schedules", said) for said in faults[:LISTED])
    if len(faults) > LISTED:
        yield warning("schedules", "and more: trioq schedules lists them")
    if found.count and not faults:
        yield ok("schedules", found.in_words())


def limiter(store: RedisStore, rate: Rate | None) -> Iterator[Finding]:
    """Whether it holds producers up."""
    if rate is not None and producers_wait(store, rate):
        yield warning(
            "limiter",
            f"producers wait: it allows {rate.per_s:g}/s, and all {rate.burst} permits are taken",
        )


def parked(config: Config, behind: Sequence[Door]) -> Iterator[Finding]:
    """Jobs that are parked: of names that nobody knows, behind breakers, or where their payload
    fits another version of their handler."""
    unknown: Counter[str] = Counter()
    for door in behind:
        if "unknown_name" in door.why:
            unknown[door.name] += door.parked
    after_s = config.worker.unknown_name_after_s
    yield from _most(
        unknown, "handlers", "{count} {name} job(s) wait for an engine that knows the name; each"
        f" is dead when it has waited for {after_s:,.0f} s", "job(s) of names that no engine knows",
    )  # fmt: skip
    if not unknown:
        yield ok("handlers", "no job waits for an engine that knows its name")
    yield from _most(
        {
            f"{door.name} in {door.queue}": door.parked
            for door in behind
            if "unfit_payload" in door.why
        },
        "handlers", "{name}: {count} job(s) fit no version of the handler that an engine has, and"
        " are tried again, and dead, within a minute or two", "job(s) fit no engine's handler",
    )  # fmt: skip
    broken = {
        f"{door.name} in {door.queue}: {door.reasons}": door.parked
        for door in behind
        if "breaker" in door.why
    }
    yield from _most(
        broken, "breakers", "{name}, and {count} job(s) are parked: trioq top shows what failed",
        "job(s) are parked behind breakers",
    )  # fmt: skip


def dead(found: Stats) -> Iterator[Finding]:
    """How many have failed for good."""
    if found.dead:
        yield warning("dead", f"{found.dead} job(s) are dead: trioq dead list shows why")


def _most(counted: Mapping[str, int], check: str, said: str, rest: str) -> Iterator[Finding]:
    """A warning for each of those with the most jobs, and one for all the rest.

    Clients may invent queues and names: there can be thousands.

    Args:
      said: With ``{name}``, or ``{quoted}`` for a shell, and ``{count}``.
      rest: What the jobs of the others are.
    """
    names = sorted(counted, key=lambda name: (-counted[name], name))
    for name in names[:LISTED]:
        of = said.replace("{count}", str(counted[name])).replace("{quoted}", quote(name))
        yield warning(check, of.replace("{name}", name))
    if more := names[LISTED:]:
        jobs = sum(counted[name] for name in more)
        yield warning(check, f"and {len(more):,} more, with {jobs:,} {rest}")


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
