"""All of trioq's figures against their goals.

    python -m benchmarks [--only drain,latency] [--rounds 5] [--quick] [--list]
                         [--json FILE] [--save FILE] [--against FILE]

Rows take turns in each round, and medians are told. A saved run is a file of JSON; beside it,
the table says how many times better each figure is now. Compare runs of one machine only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.goals import FIGURES

# Each puts its rows on the list, in this order.
from benchmarks.suite import (  # noqa: F401
    cancels,
    curves,
    drains,
    enqueues,
    handlers,
    latencies,
    limits,
    others,
    programs,
    results,
    runners,
    schedules,
    waits,
    wakings,
)
from benchmarks.suite.result import Result, laid_out, unlike
from benchmarks.suite.row import ROWS, Row, Scale
from benchmarks.support import machine


def main() -> None:
    options = _options()
    if options.list:
        print(*ROWS, sep="\n")
        return
    against = Result.from_json(options.against.read_text()) if options.against else None
    result, scale = Result(machine()), Scale(options.quick)
    rows = _chosen(options.only, options.quick)
    for number in range(1 if options.quick else options.rounds):
        for row in rows[:: -1 if number % 2 else 1]:
            if row.rounds is None or number < row.rounds:
                _measure(row, scale, result, number + 1)
    result.curves = scale.curves
    if not options.only and not options.quick:
        missing = [name for name in FIGURES if name not in result.rounds]
        result.failed += [f"nothing has measured {name!r}" for name in missing]
    print(laid_out(result, against))
    if options.quick:
        print("\nA quick run: that all works is all it says.")
    if against and (differ := unlike(result.machine, against.machine)):
        print("\nNot the same machine:", *differ, sep="\n  ")
    print(*(["", *result.failed] if result.failed else []), sep="\n", end="")
    for file in {options.json, options.save} - {None}:
        file.write_text(json.dumps(result.as_json(), indent=2, ensure_ascii=False) + "\n")
    if result.failed:
        raise SystemExit(1)


def _measure(row: Row, scale: Scale, result: Result, number: int) -> None:
    started = time.monotonic()
    try:
        result.add(row.measure(scale))
    # One that fails must not cost the figures of the others, whatever it fails of.
    except (Exception, SystemExit) as error:
        result.failed.append(f"{row.name}, round {number}: {type(error).__name__}: {error}")
    took_s = time.monotonic() - started
    print(f"round {number}: {row.name}: {took_s:.1f} s", file=sys.stderr, flush=True)


def _chosen(asked: str, quick: bool) -> list[Row]:
    if not asked:
        return [row for row in ROWS.values() if not (quick and row.slow)]
    names = asked.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        raise SystemExit(f"--only: {', '.join(unknown)}: unknown; there are {', '.join(ROWS)}")
    return [ROWS[name] for name in names]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", default="", metavar="ROWS", help="names, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="medians of this many; default: 5")
    parser.add_argument("--quick", action="store_true", help="one small round: does it work?")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    parser.add_argument("--save", type=Path, metavar="FILE", help="the same, to compare with later")
    parser.add_argument("--against", type=Path, metavar="FILE", help="a saved run")
    return parser.parse_args()
