"""What must hold between the values of a configuration.

A rule yields faults. A fault names all the keys it judged, so that nobody is told about
a combination when one of its values is already known to be wrong.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs

from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Kind, Path
from trioq.core.config.numbers import Duration
from trioq.core.config.sections import SLOWEST, Config, ScheduleConfig
from trioq.core.config.texts import NAME, placeholders
from trioq.core.formats.payload import encode
from trioq.errors import ConfigError, PayloadRejected

BUILT_IN = ("fingerprint",)
"""Handlers that every engine has."""

BEATS_PER_LEASE = 4
"""Two may get lost, and one may be late, before a lease is in danger."""

POLLS_PER_LEASE = 3
"""A reaper has to see the same counter this often before it takes anything."""

ABOUT_EQUAL = 1e-9
"""Relative: 0.1 s is a third of 0.3 s, whatever floats say."""


@attrs.frozen
class Fault:
    """Something wrong at ``path``; ``also`` are the other keys that were looked at."""

    path: Path
    message: str
    also: tuple[Path, ...] = ()


def check(config: Config, more: Iterable[Fault] = ()) -> None:
    """Check a configuration that was made by hand.

    Args:
      more: What else is wrong, as with the handlers of an app.

    Raises:
      ConfigError: With all faults.
    """
    if found := [*faults(config), *more]:
        raise ConfigError([_line(fault, config) for fault in found])


def _line(fault: Fault, config: Config) -> str:
    """With the variable or the file in front that the value came from, if there is one."""
    above = (dotted(fault.path[:length]) for length in range(1, len(fault.path) + 1))
    where = next((config.environment[key] for key in above if key in config.environment), "")
    return ": ".join(filter(None, (where or config.source, dotted(fault.path), fault.message)))


def faults(config: Config) -> Iterator[Fault]:
    """All that is wrong: each value by itself, then the combinations."""
    wrong = list(_values(config, ()))
    yield from wrong
    if wrong:  # the rules compare values, so these have to be sound
        return
    for rule in (
        _names, _queues, _limits, _lengths, _extensions, _commands, _breakers, _schedules, _times,
        _rate, _tls,
    ):  # fmt: skip
        yield from rule(config)


def dotted(path: Path) -> str:
    """``("queues", 1, "name")`` as a person writes it: ``queues[1].name``."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_quoted(step)}" for step in path]
    return "".join(steps).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that may have been meant, or ""."""
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "count"?``, or nothing."""
    found = nearest(word, known)
    return f'; did you mean "{found}"?' if found else ""


def meant_or_known(word: str, known: Collection[str]) -> str:
    """The same, or else what there is: ``; there are "a", "b"``."""
    listed = _listed(known)
    return did_you_mean(word, known) or (f"; there are {listed}" if listed else "")


def _quoted(step: str) -> str:
    if re.fullmatch("[A-Za-z0-9_-]+", step):
        return step
    # A line stays a line, and nothing in it moves the cursor of a terminal.
    return json.dumps(step, ensure_ascii=not step.isprintable())


def _values(value: Any, path: Path) -> Iterator[Fault]:
    for entry in entries(type(value)).values():
        below = getattr(value, entry.field)
        here = (*path, entry.key)
        if below is None and entry.unsettable:
            continue
        if isinstance(entry.kind, Kind):
            for inside, message in entry.kind.problems(below, below):
                yield Fault(here + inside, message)
        else:
            yield from _sections(entry.kind, below, here)


def _sections(section: Section, value: Any, path: Path) -> Iterator[Fault]:
    match section.shape:
        case "one":
            yield from _values(value, path)
        case "list":
            for index, item in enumerate(value):
                yield from _values(item, (*path, index))
        case "named":
            for name, item in value.items():
                yield from _values(item, (*path, name))


def _names(config: Config) -> Iterator[Fault]:
    for entry in entries(Config).values():
        if isinstance(entry.kind, Section) and entry.kind.shape == "named":
            for name in getattr(config, entry.field):
                for inside, message in NAME.problems(name, name):
                    yield Fault((entry.key, name, *inside), message)


def _queues(config: Config) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, name in enumerate(config.queue_names):
        if name in first:
            other: Path = ("queues", first[name], "name")
            yield Fault(
                ("queues", index, "name"), f'"{name}" is already {dotted(other[:2])}', (other,)
            )
        first.setdefault(name, index)
    for path, name in _queue_references(config):
        if config.queues and name not in first:
            close = did_you_mean(name, first)
            yield Fault(
                path, f"expected {_one_of(first)}, got {name!r}{close}", _queue_names(config)
            )


def _queue_references(config: Config) -> Iterator[tuple[Path, str]]:
    yield ("default_queue",), config.default_queue
    if config.producer is not None:
        if config.producer.default_queue is not None:
            yield ("producer", "default_queue"), config.producer.default_queue
        for name in config.producer.queues_by_extension:
            yield ("producer", "queues_by_extension", name), name
    for name, command in config.commands.items():
        if command.queue is not None:
            yield ("commands", name, "queue"), command.queue
    for name, limit in config.limits.items():
        if limit.queue is not None:
            yield ("limits", name, "queue"), limit.queue
    for name, schedule in config.schedules.items():
        if schedule.queue is not None:
            yield ("schedules", name, "queue"), schedule.queue


def _queue_names(config: Config) -> tuple[Path, ...]:
    return tuple(("queues", index, "name") for index in range(len(config.queues)))


def _one_of(names: Collection[str]) -> str:
    return f"one of the queues ({_listed(names)})"


def _listed(names: Collection[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in list(names)[:8])
    return f"{listed}, …" if len(names) > 8 else listed


def _limits(config: Config) -> Iterator[Fault]:
    for name, limit in config.limits.items():
        here: Path = ("limits", name)
        if limit.rate is None and limit.concurrency is None:
            also = ((*here, "rate"), (*here, "concurrency"))
            yield Fault(here, "limits nothing; expected a rate, a concurrency, or both", also)
        if limit.rate is None and limit.burst != 1:
            yield Fault((*here, "burst"), "only used with a rate", ((*here, "rate"),))
        if bool(limit.jobs) == (limit.queue is not None):
            both = "both are given" if limit.jobs else "neither is given"
            also = ((*here, "jobs"), (*here, "queue"))
            yield Fault(here, f"expected jobs or a queue that it is for, {both}", also)
    for index, queue in enumerate(config.queues):
        key = "rate" if queue.rate is not None else "concurrency"
        if getattr(queue, key) is not None and queue.name in config.limits:
            other: Path = ("limits", queue.name)
            yield Fault(
                ("queues", index, key),
                f"the limit of a queue has its name, and {dotted(other)} is another one",
                (other,),
            )


def _lengths(config: Config) -> Iterator[Fault]:
    for index, queue in enumerate(config.queues):
        if queue.when_full is not None and queue.max_length is None:
            yield Fault(
                ("queues", index, "when_full"),
                "needs a max_length: a queue without one is never full",
                (("queues", index, "max_length"),),
            )


def _extensions(config: Config) -> Iterator[Fault]:
    if config.producer is None:
        return
    first: dict[str, Path] = {}
    for queue, extensions in config.producer.queues_by_extension.items():
        for index, extension in enumerate(extensions):
            here: Path = ("producer", "queues_by_extension", queue, index)
            other = first.setdefault(extension.lower(), here)
            if other != here:
                yield Fault(
                    here,
                    f'"{extension}" is already {dotted(other)}; an extension has one queue',
                    (other,),
                )


def _commands(config: Config) -> Iterator[Fault]:
    for name, command in config.commands.items():
        if name in BUILT_IN:
            yield Fault(("commands", name), "is a built-in handler; choose another name")
        path: Path = ("commands", name, "argv")
        if command.argv and placeholders(command.argv[0]):
            yield Fault(
                (*path, 0), "a payload may not choose the program; only arguments have placeholders"
            )


def _breakers(config: Config) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    for name, breaker in config.breakers.items():
        for index, job in enumerate(breaker.jobs):
            here: Path = ("breakers", name, "jobs", index)
            other = first.setdefault(job, here)
            if other != here:
                yield Fault(
                    here, f'"{job}" is already {dotted(other)}; a handler has one breaker', (other,)
                )


def _schedules(config: Config) -> Iterator[Fault]:
    for name, schedule in config.schedules.items():
        here: Path = ("schedules", name)
        yield from schedule_faults(here, schedule)
        try:
            encode(dict(schedule.payload), config.max_payload_bytes)
        except PayloadRejected as error:
            yield Fault((*here, "payload"), str(error), (("max_payload",),))


def schedule_faults(here: Path, schedule: ScheduleConfig) -> Iterator[Fault]:
    """What can't be between the values of one, each of which is right by itself."""
    given = [key for key, value in schedule.times.items() if value is not None]
    if len(given) != 1:
        also = tuple((*here, key) for key in schedule.times)
        got = " and ".join(given) or "none of them"
        yield Fault(here, f"expected one of cron, every and at, got {got}", also)
    for key, other in (("tz", "cron"), ("anchor", "every")):
        if getattr(schedule, key) is not None and other not in given:
            yield Fault((*here, key), f"only used with {other}", ((*here, other),))


def values_faults(section: Any) -> Iterator[Fault]:
    """What is wrong with the values of a section, each by itself."""
    return _values(section, ())


def _times(config: Config) -> Iterator[Fault]:
    worker, reaper = config.worker, config.reaper
    least_s = BEATS_PER_LEASE * worker.heartbeat_interval_s
    if not _at_most(least_s, worker.lease_s):
        yield Fault(
            ("worker", "lease"),
            f"expected at least {BEATS_PER_LEASE} × worker.heartbeat_interval, "
            f"{_written(least_s)}, got {_written(worker.lease_s)}",
            (("worker", "heartbeat_interval"),),
        )
    most_s = worker.lease_s / POLLS_PER_LEASE
    if not _at_most(reaper.interval_s, most_s):
        yield Fault(
            ("reaper", "interval"),
            f"expected at most a third of worker.lease, "
            f"{_written(most_s)}, got {_written(reaper.interval_s)}",
            (("worker", "lease"),),
        )
    if worker.backoff.base_s > worker.backoff.cap_s:
        yield Fault(
            ("worker", "backoff", "base"),
            f"expected at most worker.backoff.cap, "
            f"{_written(worker.backoff.cap_s)}, got {_written(worker.backoff.base_s)}",
            (("worker", "backoff", "cap"),),
        )


def _rate(config: Config) -> Iterator[Fault]:
    if 0 < config.limiter.rate < SLOWEST:
        yield Fault(
            ("limiter", "rate"),
            f"expected 0 for no limit, or at least {SLOWEST}, got {config.limiter.rate}",
        )


def _tls(config: Config) -> Iterator[Fault]:
    redis = config.redis
    given = {
        key: getattr(redis, key)
        for key in ("tls_ca", "tls_cert", "tls_key")
        if getattr(redis, key) is not None
    }
    if not redis.url.startswith("rediss:"):
        for key in given:
            yield Fault(
                ("redis", key), "only used with a rediss:// URL in redis.url", (("redis", "url"),)
            )
    for key, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if key in given and other not in given:
            yield Fault(("redis", key), f"expected redis.{other} as well", (("redis", other),))


def _at_most(low: float, high: float) -> bool:
    return low <= high or math.isclose(low, high, rel_tol=ABOUT_EQUAL)


def _written(seconds: float) -> str:
    text = Duration().write(round(seconds, 3) or seconds)
    return text if isinstance(text, str) else f"{seconds:.3g}s"
