"""Counts of jobs that processes keep in mapped files, and the rate that they make."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import attrs

#: From the start of a process to its first job, and between two jobs.
PATIENCE_S = 30.0
LOOK_S = 0.002


class Stuck(Exception):
    """No job has run for a long time."""


class TooFew(Exception):
    """All was done before all had begun, or before there were two looks."""


@attrs.frozen
class Sample:
    """How many jobs each process had run, at one moment."""

    at_s: float
    counts: tuple[int, ...]


def counts(directory: Path) -> tuple[int, ...]:
    """What stands in each process's file."""
    read = (file.read_bytes() for file in sorted(directory.glob("count-*")))
    return tuple(int.from_bytes(cell, "little") for cell in read)


def watch(directory: Path, jobs: int) -> list[Sample]:
    """Look until all jobs have run.

    Raises:
      Stuck: They don't.
    """
    samples = [Sample(time.monotonic(), ())]
    moved_s = time.monotonic()
    while sum(samples[-1].counts) < jobs:
        time.sleep(LOOK_S)
        seen = Sample(time.monotonic(), counts(directory))
        if seen.counts != samples[-1].counts:
            samples.append(seen)
            moved_s = seen.at_s
        elif seen.at_s > moved_s + PATIENCE_S:
            done = sum(seen.counts)
            raise Stuck(f"{done} of {jobs} jobs, and no more for {PATIENCE_S:g} s")
    return samples


def steady_rate(samples: Sequence[Sample], processes: int) -> float:
    """Jobs per second while all processes were at it.

    The first tenth of the jobs doesn't count, nor what ran before the last process had begun:
    they don't start at one moment. Nor does the last tenth: towards the end, some have nothing
    left.

    Raises:
      TooFew: There is no such time.
    """
    total = sum(samples[-1].counts)
    begun = [
        s
        for s in samples
        if sum(count > 0 for count in s.counts) >= processes and sum(s.counts) >= total * 0.1
    ]
    until = [s for s in begun if sum(s.counts) >= total * 0.9]
    if not begun or until[0].at_s <= begun[0].at_s:
        raise TooFew(f"{total} jobs are too few to see {processes} process(es) at work")
    first, last = begun[0], until[0]
    return (sum(last.counts) - sum(first.counts)) / (last.at_s - first.at_s)
