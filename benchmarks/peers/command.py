"""trioq beside other job queues: the same jobs, one machine, one run.

    python -m benchmarks.peers [--only trioq,taskiq] [--rounds 5] [--seconds 3] [--quick]
                               [--renew] [--json FILE]

Each peer has the newest version of the day on which its environment was made, and the settings
that its documentation advises for short jobs. All run on servers of one kind, on a port of this
machine, without an append-only file; trioq's has one. Peers take turns in each round, the order
changes, and medians are told. What can't be installed or measured is named, with the reason.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.counting import TooFew
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.environments import Environment, Unusable, environment
from benchmarks.peers.figures import LEGEND, ROWS, Line, Taken, laid_out
from benchmarks.peers.measure import Rig
from benchmarks.peers.server import OURS, PLAIN, server
from benchmarks.support import machine


def main() -> None:
    options = _options()
    chosen = _chosen(options.only, [peer.name for peer in PEERS], "--only")
    rows = [
        row for row in ROWS if row.what in _chosen(options.rows, [r.what for r in ROWS], "--rows")
    ]
    environments, missing = _prepared([p for p in PEERS if p.name in chosen], options.renew)
    with ExitStack() as stack:
        plain, ours = (stack.enter_context(server(kind)) for kind in (PLAIN, OURS))
        rigs = [Rig(e, ours if e.peer.is_ours else plain, options.seconds) for e in environments]
        lines = [Line(e.peer, e.version) for e in environments]
        for number in range(options.rounds):
            for rig, line in list(zip(rigs, lines, strict=True))[:: -1 if number % 2 else 1]:
                for row in rows:
                    _take(row, rig, line, options.jobs, f"round {number + 1}")
    print(laid_out(lines), LEGEND, sep="\n\n")
    told = [f"{peer}: not run: {why}" for peer, why in missing.items()]
    told += [f"{line.peer.name}: {why}" for line in lines for why in line.told]
    told += [f"{line.peer.name}: void: {line.void}" for line in lines if line.void]
    print("", *told, sep="\n") if told else None
    if options.json:
        made = {
            "machine": machine(),
            "peers": {line.peer.name: line.as_json() for line in lines},
            "not run": missing,
        }
        options.json.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")


def _take(row: Taken, rig: Rig, line: Line, jobs: int, where: str) -> None:
    name = rig.environment.peer.name
    if row.async_only and not rig.environment.peer.is_async:
        return
    try:
        figures = row.take(rig, jobs)
    except (Unusable, TooFew) as error:
        line.told.append(f"{row.what}, {where}: {error}")
        print(f"{where}: {name}, {row.what}: {error}", file=sys.stderr, flush=True)
        return
    line.add(figures)
    shown = ", ".join(f"{column} {value:,.2f}" for column, value in figures.items())
    print(f"{where}: {name}, {row.what}: {shown}", file=sys.stderr, flush=True)


def _prepared(peers: Sequence[Peer], renew: bool) -> tuple[list[Environment], dict[str, str]]:
    made, missing = [], {}
    for peer in peers:
        try:
            made.append(environment(peer, renew=renew))
        except Unusable as error:
            missing[peer.name] = str(error)
            print(f"{peer.name}: not run: {error}", file=sys.stderr, flush=True)
    return made, missing


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", help="names, with commas between", default="")
    parser.add_argument("--rows", help="names, with commas between", default="")
    parser.add_argument("--rounds", type=int, help="median of this many; default: 5")
    parser.add_argument("--seconds", type=float, help="for each rate, about; default: 3")
    parser.add_argument("--jobs", type=int, help="one by one, on idle workers; default: 200")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work?")
    parser.add_argument("--renew", action="store_true", help="install the newest of today")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args()
    usual = {"rounds": 1, "seconds": 0.5, "jobs": 20} if options.quick else {
        "rounds": 5, "seconds": 3.0, "jobs": 200,
    }  # fmt: skip
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _chosen(asked: str, known: Sequence[str], option: str) -> list[str]:
    # A name may have a comma itself, as `trioq, def` has: it is written without the space.
    short = {name.replace(", ", "-"): name for name in known}
    names = asked.split(",") if asked else list(short)
    if unknown := [name for name in names if name not in short]:
        raise SystemExit(f"{option}: {', '.join(unknown)}: unknown; there are {', '.join(short)}")
    return [short[name] for name in names]
