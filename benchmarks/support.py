"""What benchmarks share: a real server of their own, its CPU time, how figures are shown."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs

from trioq.core.config import Config
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.store.embedded import find_server
from trioq.store.embedded.locks import try_exclusive
from trioq.store.lane import Lane

CONFIG = """
namespace = "bench"
{top}
[redis]
url = "embedded:.server"
[[queues]]
name = "high"
[[queues]]
name = "low"
[worker]
keep_done = 1000
{worker}
[observability]
bind = "{bind}"
log_format = "json"
"""


@attrs.define
class Bench:
    """An embedded server, as ``trioq serve`` would run it: AOF, synced every second."""

    directory: Path
    config: Config
    connector: Connector
    admin: Lane

    @property
    def file(self) -> Path:
        """The configuration, for another process."""
        return self.directory / "jobqueue.toml"

    def info(self, section: str) -> dict[str, str]:
        """The server's INFO."""
        lines = self.admin.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def cpu_s(self) -> float:
        """User and system time that the server has used, without its AOF rewriting children."""
        info = self.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def clear(self) -> None:
        """Forget all jobs."""
        self.admin.call("FLUSHALL")


@contextmanager
def bench(*, top: str = "", worker: str = "", bind: str = "") -> Iterator[Bench]:
    """A server and a configuration of its own, removed in the end.

    Args:
      top, worker: More lines for the configuration.
      bind: Where engines serve metrics; empty: they don't count any.
    """
    with tempfile.TemporaryDirectory(prefix="trioq-bench-") as name:
        directory = Path(name)
        (directory / "jobqueue.toml").write_text(CONFIG.format(top=top, worker=worker, bind=bind))
        with joined(directory) as made:
            yield made
        # The server's keeper shuts it down, and holds this lock until it has.
        while (fd := try_exclusive(directory / ".server" / "keeper.lock")) is None:
            time.sleep(0.01)
        os.close(fd)


@contextmanager
def joined(directory: Path) -> Iterator[Bench]:
    """The server of a bench's directory, also from another process."""
    config = load(directory / "jobqueue.toml")
    with open_store(config) as connector:
        yield Bench(directory, config, connector, connector.lane("admin"))


def client_cpu_s() -> float:
    """User and system time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def machine() -> dict[str, Any]:
    """Where the figures are from."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_name(),
        "server": str(find_server()),
        "python": platform.python_version(),
        **{name: version(name) for name in ("trio", "redis", "hiredis")},
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def parser(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    made.add_argument("--rounds", type=int, default=rounds, help="median of this many")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


Row = Mapping[str, float]


def median(rows: Sequence[Row]) -> dict[str, float]:
    """The median of each column."""
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def percentile(values: Iterable[float], part: float) -> float:
    """The value below which this part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def show(
    options: argparse.Namespace, rows: Mapping[str, Row], goals: Sequence[tuple[str, float]] = ()
) -> None:
    """Print a table, or JSON; and below it what the goals are about.

    Args:
      rows: Figures by what was measured; all have the same columns.
      goals: What is compared, and how it came out.
    """
    where = machine()
    if options.json:
        made = {"machine": where, "rows": rows, "compared": dict(goals)}
        json.dump(made, sys.stdout, indent=2)
        print()
        return
    columns = list(next(iter(rows.values())))
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    width = max(map(len, rows))
    print(f"{'':<{width}}" + "".join(f"{column:>{_width(column)}}" for column in columns))
    for name, row in rows.items():
        cells = (f"{row[column]:>{_width(column)},.{_digits(row[column])}f}" for column in columns)
        print(f"{name:<{width}}" + "".join(cells))
    for what, value in goals:
        print(f"{what}: {value:,.{_digits(value)}f}")


def _width(column: str) -> int:
    return max(12, len(column) + 2)


def _digits(value: float) -> int:
    return 0 if value >= 1000 else 2
