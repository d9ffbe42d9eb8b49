"""How exactly several producers share one rate.

    python -m benchmarks.limiter [--rate 100] [--burst 20] [--producers 3] [--seconds 30]

Runs so many ``trioq serve --role producer`` on directories of their own, with more files than
the rate lets through, and counts on the server, at one moment each time, how many jobs there
are. Prints the least and the most of any 10 s after the first, and by how much any window of
time t had more than ``rate * t``: that may never be more than the burst.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support import bench
from trioq.store.lane import Lane

Counts = list[tuple[float, int]]

WINDOW_S = 10.0


def make_files(root: Path, count: int) -> None:
    root.mkdir()
    for n in range(count):
        (root / f"{n:06d}.txt").write_text("x")


def start_producer(file: Path, root: Path) -> subprocess.Popen[bytes]:
    config = file.with_name(f"{root.name}.toml")
    text = file.read_text() + f'\n[producer]\nscan_dir = "{root}"\njob = "noop"\n'
    config.write_text(text)
    argv = [sys.executable, "-m", "trioq", "serve", str(config), "--role", "producer"]
    return subprocess.Popen(argv, stderr=subprocess.DEVNULL)


def watch(lane: Lane, seconds: float) -> Counts:
    """Count 100 times a second, from the last moment without a job on."""
    counts: Counts = []
    while len(counts) < 2 or counts[-1][0] - counts[0][0] < seconds:
        (s, us), enqueued = lane.transaction([("TIME",), ("HGET", "{bench}:stats", "enqueued")])
        if not enqueued:
            counts.clear()
        counts.append((int(s) + int(us) / 1e6, int(enqueued or 0)))
        time.sleep(0.01)
    return counts


def at(counts: Counts, time_s: float) -> float:
    """How many there were then, in a straight line between two counts."""
    for (before_s, before), (after_s, after) in itertools.pairwise(counts):
        if before_s <= time_s <= after_s:
            return before + (after - before) * (time_s - before_s) / (after_s - before_s)
    raise ValueError(time_s)


def in_windows(counts: Counts) -> list[float]:
    """How many came in each window that begins a tenth of a second after the one before."""
    start, end = counts[0][0] + 1.0, counts[-1][0] - WINDOW_S
    starts = [start + n / 10 for n in range(int((end - start) * 10))]
    return [at(counts, s + WINDOW_S) - at(counts, s) for s in starts]


def most_above(counts: Counts, rate: float) -> float:
    """The most that any window had beyond ``rate * t``."""
    most, least = 0.0, float("inf")
    for time_s, count in counts:
        least = min(least, count - rate * time_s)
        most = max(most, count - rate * time_s - least)
    return most


def measure(rate: float, burst: int, count: int, seconds: float) -> Counts:
    """How many jobs there were, at each of many moments, while so many producers ran.

    Raises:
      SystemExit: One of them failed.
    """
    files = int(rate * (seconds + 10) / count * 1.5)
    limiter = f"limiter = {{ rate = {rate}, burst = {burst} }}"
    with tempfile.TemporaryDirectory() as directory, bench(top=limiter) as on:
        roots = [Path(directory) / f"producer{n}" for n in range(count)]
        for root in roots:
            make_files(root, files)
        producers = [start_producer(on.file, root) for root in roots]
        try:
            counts = watch(on.admin, seconds)
        finally:
            for producer in producers:
                producer.send_signal(signal.SIGTERM)
            codes = [producer.wait() for producer in producers]
    if codes != [0] * count:
        raise SystemExit(f"exit codes {codes}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--burst", type=int, default=20)
    parser.add_argument("--producers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    counts = measure(options.rate, options.burst, options.producers, options.seconds)
    windows = in_windows(counts)
    print(f"{options.producers} producers, {options.rate:g}/s, burst {options.burst}")
    print(f"in any {WINDOW_S:g} s: {min(windows):.1f} to {max(windows):.1f}")
    print(f"most above rate × t: {most_above(counts, options.rate):.2f}")


if __name__ == "__main__":
    main()
