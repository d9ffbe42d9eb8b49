"""The server: does it answer, may it be used, does it keep what it is given, has it room?"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from trioq.core.config import Config
from trioq.doctor.finding import Finding, fault, ok, warning
from trioq.store.checks import check_server, server_info
from trioq.store.redis import RedisStore

#: Round trips that are timed, and how long one may take before it costs throughput.
TRIPS = 20
SLOW_S = 0.010

#: Clocks that differ by more than this make times that are read side by side misleading.
SKEW_S = 2.0

#: Of memory, clients and disk, this part may be used without a word.
FULL = 0.8

#: What a server says of its own writing to disk, and what it means if that isn't ``ok``.
WRITING = {
    "aof_last_write_status": "the last write to the append-only file failed",
    "aof_last_bgrewrite_status": "the append-only file couldn't be rewritten",
    "rdb_last_bgsave_status": "the last snapshot failed",
}


def answers(store: RedisStore) -> Iterator[Finding]:
    """How quickly it answers, and what time it thinks it is."""
    trips, skews = [], []
    for _ in range(TRIPS):
        began = time.monotonic()
        seconds, micros = store.lane.call("TIME")
        trips.append(time.monotonic() - began)
        skews.append(int(seconds) + int(micros) / 1e6 - time.time())
    usual, worst = median(trips), max(trips)
    said = f"a round trip takes {usual * 1000:.2f} ms, at worst {worst * 1000:.2f} ms"
    yield (
        ok("latency", said)
        if usual < SLOW_S
        else warning("latency", f"{said}: put engines nearer to the server")
    )
    skew = median(skews)
    if abs(skew) < SKEW_S:
        yield ok("clock", "the server's clock and ours agree")
    else:
        how = "ahead of" if skew > 0 else "behind"
        yield warning(
            "clock",
            f"the server's clock is {abs(skew):.0f} s {how} ours: due times are by its clock,"
            " the time of an enqueue is by its client's",
        )


def usable(store: RedisStore, *, has_keeper: bool) -> Iterator[Finding]:
    """Its version, what the user may do, and what a crash costs; raises where it can't be used."""
    facts = check_server(store, has_keeper=has_keeper)
    told = f"{facts.kind} {'.'.join(map(str, facts.version))}" if facts.kind else "unknown kind"
    yield ok("server", f"{told}; the user may do all that engines need")
    is_kept = facts.durability.startswith("append-only")
    yield (ok if is_kept else warning)("persistence", facts.durability)


def roomy(store: RedisStore) -> Iterator[Finding]:
    """Memory, clients, and whether it can write to its disk."""
    info = server_info(store)
    yield from _writing(info)
    yield from _memory(info)
    clients, most = _number(info, "connected_clients"), _number(info, "maxclients")
    if most and clients > FULL * most:
        yield warning("clients", f"{clients} of at most {most} clients: raise maxclients")
    else:
        yield ok("clients", f"{clients} clients" + (f" of at most {most}" if most else ""))


def _writing(info: Mapping[str, str]) -> Iterator[Finding]:
    for field, meaning in WRITING.items():
        if info.get(field, "ok") != "ok":
            yield fault("persistence", f"{meaning}: see the server's log, and its disk")


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    used, most = _number(info, "used_memory"), _number(info, "maxmemory")
    system = _number(info, "total_system_memory")
    limit, which = (most, "maxmemory") if most else (system, "the machine's")
    said = f"{_mib(used)} used" + (f" of {which} {_mib(limit)}" if limit else "")
    if limit and used > FULL * limit:
        yield warning(
            "memory", f"{said}: a full server takes no jobs until engines have drained some"
        )
    else:
        yield ok("memory", said)


def disk(config: Config) -> Iterator[Finding]:
    """Room for an embedded server's append-only file, which is rewritten beside itself."""
    if config.redis.embedded is None:
        return
    directory = config.resolve(config.redis.embedded)
    usage, data = shutil.disk_usage(directory), _bytes_in(directory)
    said = f"{_mib(usage.free)} free where {directory} has {_mib(data)}"
    if usage.free < 2 * data or usage.free < (1 - FULL) / 10 * usage.total:
        yield warning("disk", f"{said}: a full disk stops the server from taking jobs")
    else:
        yield ok("disk", said)


def _bytes_in(directory: Path) -> int:
    total = 0
    for file in directory.rglob("*"):
        with contextlib.suppress(OSError):  # a rewrite has just removed it
            total += file.stat().st_size
    return total


def _number(info: Mapping[str, str], field: str) -> int:
    return int(info.get(field) or 0)


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"
